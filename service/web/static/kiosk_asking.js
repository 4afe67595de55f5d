// Asks the door about the person in front of the kiosk: camera on, some frames, one answer, camera off.
import { frameForm, turnHead } from "./head_turn.js";
import { post } from "./request.js";

const LOOK_S = 15;
const EVERY_MS = 350;
const PIN_TRIES = 3;
const FIRST = { secret: "showSecret", badge: "showBadge" };
const ADVICE = {
  look_ahead: "circle", turn_left: "turnLeft", turn_right: "turnRight", done: "circle",
  no_face: "circle", several_people: "onePerson", too_far: "closer",
};
const CODES = { secret: /^VOLENS-SECRET:/i, badge: /^VOLENS-BADGE:/i };
const PIECE = /^VOLENS-BADGE:[0-9A-F]+:\d+\/(\d+):/;

export class Asking {
  // `address` of the kiosk; `typePin(again)` resolves to what the person types.
  constructor(screens, camera, reader, address, needs, typePin) {
    Object.assign(this, { screens, camera, reader, address, needs, typePin });
    this.imperative = document.getElementById("imperative");
    this.arrow = document.getElementById("arrow");
    this.number = 0;
  }

  // Ends what is under way. The camera is off then.
  stop() {
    this.number += 1;
    this.camera.close();
  }

  // Looks until there is an answer; `badge` is what a badge reader typed. Resolves to the answer, or null if stopped.
  async run(badge = null) {
    this.stop();
    this.reader.again();
    const mine = this.number;
    const isMine = () => mine === this.number;
    try {
      return await this.#look(isMine, this.needs === "badge_number" ? badge : null);
    } catch (error) {
      if (!isMine()) return null;
      if (error instanceof DOMException) return "noCamera";
      if (error.status === 401) location.reload();
      return "cannot";
    } finally {
      if (isMine()) this.camera.close();
    }
  }

  async #look(isMine, typed) {
    let factor = typed, codes = [], visit = "", tries = 0, hasSeen = false;
    let until = await this.#open(FIRST[this.needs] || "circle");
    while (isMine() && performance.now() < until) {
      const began = performance.now();
      const read = this.#isComplete(codes) ? [] : await this.reader.read(CODES[this.needs]);
      if (!isMine()) return null;
      if (read?.length) {
        codes = [...new Set([...codes, ...read])];
        this.#progress(codes);
      }
      // No frame is sent while the browser looks for the codes.
      let found = read === null || this.#isComplete(codes) ? await this.#ask(factor, codes, visit) : null;
      if (!isMine()) return null;
      if (found) visit = found.visit;  // the looks so far, sealed: several of them decide
      if (found?.answer === "turn" && this.needs === "pin" && factor === null) {
        // The PIN first: the frames of a head turn do not wait for fingers.
        this.camera.close();
        factor = await this.typePin(false);
        if (!isMine()) return null;
        tries = 1;
        until = await this.#open("circle");
        continue;
      }
      if (found?.answer === "turn") {
        codes = found.codes.length ? found.codes : codes;
        const turned = await this.#turn(isMine);
        if (!isMine()) return null;
        found = turned && await this.#ask(factor, codes, "", turned);
        if (!isMine()) return null;
        if (!found || found.answer in ADVICE || ["turn", "not_live"].includes(found.answer)) return "noTurn";
        if (found.answer === "not_known" && this.needs !== "pin") return "stranger";
      }
      const advice = found && ADVICE[found.answer];
      if (advice) this.screens.announce(this.imperative, advice);
      if (found && !advice) hasSeen = true;
      const isWrongPin = this.needs === "pin" && factor && found && found.answer === "not_known";
      if (found?.answer === "come_in") return "comeIn";
      if (found?.answer === "factor_required" || isWrongPin) {
        if (this.needs !== "pin" || tries === PIN_TRIES) return "stranger";
        this.camera.close();
        factor = await this.typePin(tries > 0);
        if (!isMine()) return null;
        tries += 1;
        until = await this.#open("circle");
      } else if (found?.answer === "not_known") {
        return "stranger";
      } else if (found?.answer === "show_code") {
        codes = found.codes;
        this.#progress(codes);
      }
      await new Promise((done) => setTimeout(done, Math.max(0, began + EVERY_MS - performance.now())));
    }
    if (!isMine()) return null;
    return hasSeen ? "stranger" : "noFace";
  }

  // Asks the person to turn the head; resolves to the frames that the door took, or null if time is over.
  async #turn(isMine) {
    const turned = await turnHead({
      isWanted: isMine,
      frame: () => this.camera.frame(),
      send: (frame, challenge) => this.#post("turns", frameForm(frame, challenge)),
      tell: (word) => this.screens.announce(this.imperative, ADVICE[word]),
      arrow: this.arrow,
    });
    return turned && { challenge: turned.challenge, frame: turned.frames.pop(), earlier: turned.frames };
  }

  async #open(word) {
    this.screens.show("camera");
    this.screens.announce(this.imperative, word);
    await this.camera.open();
    return performance.now() + 1000 * LOOK_S;
  }

  // Resolves to the answer to one frame, or to those of a head turn; null if there was none this time.
  async #ask(factor, codes, visit, turned = null) {
    const frame = turned ? turned.frame : await this.camera.frame();
    if (frame === null) return null;
    const form = frameForm(frame, turned && turned.challenge);
    if (factor !== null) form.append("factor", factor);
    for (const one of codes) form.append("code", one);
    if (visit) form.append("visit", visit);
    for (const one of turned ? turned.earlier : []) form.append("earlier", one, "earlier.jpg");
    return this.#post("looks", form);
  }

  // Sends a frame; resolves to null if the door is busy. Throws if it does not decide now.
  async #post(where, form) {
    try {
      return await post(`${this.address}/${where}`, form);
    } catch (error) {
      if (error.status === 429 || error.kind === "busy") return null;
      throw error;
    }
  }

  // Whether nothing is left to hold to the camera.
  #isComplete(codes) {
    if (!(this.needs in CODES)) return true;
    const count = Number(codes.map((one) => PIECE.exec(one)?.[1]).find((one) => one) || 1);
    return codes.length >= count;
  }

  #progress(codes) {
    const count = codes.map((one) => PIECE.exec(one)?.[1]).find((one) => one);
    if (count && codes.length < Number(count)) {
      this.screens.announce(this.imperative, "pieces", { number: codes.length, count });
    } else if (codes.length) {
      this.screens.announce(this.imperative, "circle");
    }
  }
}
