// "Forget me": a receipt's code, typed or held to the camera, ends the consent after one question.
import { post } from "./request.js";

const SCAN_S = 30;
const SCREEN_S = 90;
const EVERY_MS = 350;
const TRIES = 5;
const AGAIN_MS = 2000;
const WITHDRAWAL = /^VOLENS-WITHDRAW:|\/me#./i;

export class Forgetting {
  constructor(screens, camera, reader, address) {
    Object.assign(this, { screens, camera, reader, address });
    this.input = document.getElementById("code");
    this.wrong = document.getElementById("code-wrong");
    this.code = "";
    this.number = 0;
    document.getElementById("code-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.input.value.trim()) this.ask(this.input.value.trim());
    });
    document.getElementById("hold-receipt").addEventListener("click", () => this.scan());
    this.still = document.getElementById("still");
    this.too = document.getElementById("forget-too");
    document.getElementById("forget-now").addEventListener("click", (event) => this.forget(event.currentTarget, false));
    this.too.addEventListener("click", () => this.forget(this.too, true));
  }

  // Shows how to end a consent, and why the last try did not work.
  begin(problem = null) {
    this.screens.show("forget", SCREEN_S);
    this.wrong.hidden = problem === null;
    if (problem !== null) this.screens.write(this.wrong, problem);
  }

  // Ends a scan, and drops what was typed.
  stop() {
    this.number += 1;
    this.code = "";
    this.input.value = "";
    this.wrong.hidden = true;
    document.getElementById("certificate").textContent = "";
  }

  ask(code) {
    this.code = code;
    this.screens.show("sure", SCREEN_S);
  }

  async scan() {
    this.number += 1;
    this.reader.again();
    const mine = this.number;
    const isMine = () => mine === this.number;
    this.screens.show("camera");
    this.screens.announce(document.getElementById("imperative"), "receipt");
    try {
      await this.camera.open();
      const until = performance.now() + 1000 * SCAN_S;
      while (isMine() && performance.now() < until) {
        const began = performance.now();
        const code = await this.#read();
        if (!isMine()) return;
        if (code) {
          this.ask(code);
          return;
        }
        await new Promise((done) => setTimeout(done, Math.max(0, began + EVERY_MS - performance.now())));
      }
      if (isMine()) this.begin("noReceipt");
    } catch (error) {
      if (isMine()) this.begin(error instanceof DOMException ? "noCamera" : "notNow");
    } finally {
      if (isMine()) this.camera.close();
    }
  }

  // Resolves to the withdrawal code that a frame shows: bare, or in the address of the person's page.
  async #read() {
    const read = await this.reader.read(WITHDRAWAL);
    if (read !== null) return read[0] || "";
    const frame = await this.camera.frame();
    if (frame === null) return "";
    const form = new FormData();
    form.append("frame", frame, "frame.jpg");
    try {
      const { codes } = await post(`${this.address}/codes`, form);
      return codes.find((one) => WITHDRAWAL.test(one)) || "";
    } catch (error) {
      if (error.status === 429 || error.kind === "busy") return "";
      throw error;
    }
  }

  // Ends the consent of the code; with `all`, every consent that the same person's key has signed.
  async forget(button, all) {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    const { code, number } = this;
    try {
      const ended = await this.#withdraw({ code, all_of_this_person: all });
      if (number === this.number) this.#ended(ended);
    } catch (error) {
      if (number !== this.number) return;
      const isUnknown = error.status === 404 || error.status === 422;
      this.begin(isUnknown ? "unknownCode" : error.kind === "stop-pending" ? "stopPending" : "notNow");
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  // A withdrawal may be repeated: while the store is locked, matching has stopped, and only the certificate has to wait.
  async #withdraw(wanted) {
    for (let left = TRIES; ; left -= 1) {
      try {
        return await post("/v1/withdrawals", wanted);
      } catch (error) {
        if (error.status !== 503 || left === 1) throw error;
        await new Promise((done) => setTimeout(done, AGAIN_MS));
      }
    }
  }

  // Says what has ended, and what has not: no one is told to be forgotten while another consent is in force.
  #ended({ certificate_id: certificate, in_force: others }) {
    const zones = others.map((one) => one.zone).join(", ");
    this.screens.write(document.getElementById("forgotten"), zones ? "ended" : "forgotten");
    this.still.hidden = this.too.hidden = !zones;
    if (zones) this.screens.write(this.still, "still", { zones });
    else this.code = this.input.value = "";
    document.getElementById("certificate").textContent = certificate.replace(/(.{4})(?=.)/g, "$1 ");
    this.screens.show("forgotten", SCREEN_S);
  }
}
