// Three pictures by the camera, or three files: of a person alone (step 3 of an invitation, new photos on my data), or at
// the desk. Where the zone asks a person who is alone to turn the head (words.turns), that comes first, and there are no
// files.

import { Capture, poses } from "./capture.js";
import { frameForm, turnHead } from "./head_turn.js";
import { HalfError, heldParts, keepBadge } from "./own_half.js";
import { ProblemError, kindOf, post, reasonOf, say, texts } from "./request.js";
import { hideSignedOut, isSignedOut } from "./signed_out.js";
import { SpokenHint, buzz } from "./spoken_hint.js";

const words = texts("capture-texts");
const problem = document.getElementById("problem");
const imperative = document.getElementById("imperative");
const count = document.getElementById("count");
const viewfinder = document.querySelector(".viewfinder");
const ALL = 3;
const ASKED = {
  look_ahead: "look_straight", turn_left: "head_left", turn_right: "head_right", several_people: "one_person",
  too_far: "closer", done: "good",
};
const fields = document.getElementById("fields"); // only at the desk: what is sent with the photos

const spoken = new SpokenHint(document.getElementById("spoken"));

let capture = null;

on("turning", () => byCamera(false));
on("calm", () => byCamera(true));
on("stop", () => { capture?.stop(); show("why"); });
on("upload", () => show("files"));
on("back", () => show("why"));
on("send", () => byFiles());

async function byCamera(isCalm) {
  say(problem, "");
  hideSignedOut();
  try {
    const held = await heldByPerson();
    show("capture");
    tell("look-at", 0);
    capture = new Capture(document.getElementById("video"), look, tell);
    let turned = null;
    const turn = async () => { turned = await headTurn(capture); return turned; };
    const photos = await capture.take(poses(isCalm), words.turns ? turn : undefined);
    if (photos.length) await send(photos, held, turned);
  } catch (error) {
    capture?.stop();
    fail(error);
  }
}

async function byFiles() {
  const chosen = [...document.getElementById("chosen").files];
  const adds = fields?.querySelector("[name=change]")?.value === "add";
  hideSignedOut();
  if (chosen.length < (adds ? 1 : ALL)) return say(problem, words.three);
  try {
    await send(chosen, await heldByPerson());
  } catch (error) {
    fail(error, "files");
  }
}

// What goes with the photos where the person holds the key; asked for before a picture is taken.
// At the desk there are fields for it where it is needed: what this browser keeps may be another person's.
const heldByPerson = async () => (fields && !document.getElementById("own-half") ? [] : heldParts(words.receipt));

async function look(frame, pose) {
  const sent = post(`${words.look}?pose=${pose}`, frame, { "Content-Type": "image/jpeg" });
  return (await unlessBusy(sent))?.advice || "working";
}

// Resolves to the answer of the site; null if it is busy.
async function unlessBusy(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error.status === 429 || error.status === 503) return null;
    throw error;
  }
}

// Resolves to the frames of a head turn, or null if the person stopped. Throws if its time is over.
async function headTurn(camera) {
  const turned = await turnHead({
    isWanted: () => !camera.stopped,
    frame: () => camera.frame(),
    send: (frame, challenge) => unlessBusy(post(words.turns, frameForm(frame, challenge))),
    tell: (word) => tell(ASKED[word] || word, 0),
    arrow: document.getElementById("arrow"),
  });
  if (!turned && !camera.stopped) throw new ProblemError(0, { type: "refused", reason: "head-not-turned" });
  return turned;
}

async function send(photos, held, turned = null) {
  say(imperative, words.working);
  const form = new FormData();
  photos.forEach((photo, number) => form.append("photos", photo, `photo-${number + 1}`));
  for (const field of fields?.querySelectorAll("[name]") || []) {
    form.append(field.name, field.type === "checkbox" ? String(field.checked) : field.value);
  }
  for (const [name, blob] of held) form.append(name, blob, name);
  if (turned) form.append("challenge", turned.challenge);
  for (const frame of turned?.frames || []) form.append("turned", frame, "frame.jpg");
  const answer = await post(words.send, form);
  if (answer.badge && fields) return handOver(answer.badge);
  if (answer.badge) keepBadge(words.receipt, answer.badge);
  location.assign(words.next);
}

// A badge goes in the body of a form, so that it is in no address and no history.
function handOver(badge) {
  const form = document.getElementById("badge-form");
  form.elements.badge.value = badge;
  form.submit();
}

function tell(advice, done) {
  const sentence = words[advice] || words[advice.replaceAll("-", "")] || words.lookAt;
  if (imperative.textContent !== sentence) imperative.textContent = sentence;
  spoken.say(sentence);
  if (done > Number(viewfinder.dataset.done || 0)) buzz();
  viewfinder.dataset.done = done;
  const taken = words.count.replace("%(done)s", done).replace("%(all)s", ALL);
  if (count.textContent !== taken) count.textContent = taken; // a status is read at every change
}

function fail(error, section = "why") {
  show(section);
  if (fields && isSignedOut(error)) return;
  const known = {
    "poor-quality": words.poor, "no-face": words.poor, "several-faces": words.one_person, "image": kindOf("image"),
    "different-people": words.different, "already-enrolled": words.known, "no-live-consent": words.ended,
    "session-ended": words.ended, denied: words.denied, nocamera: words.nocamera, offline: words.offline,
    refused: words.refused, tamper: words.refused, input: words.refused, "foreign-receipt": words.refused,
    rate: words.rate, "too-large": words.large,
  };
  if (error instanceof HalfError) return say(problem, error.sentence);
  if (!fields && error.reason === "enrolled-before") return location.assign(words.next); // a double submit
  if (error.reason === "head-not-turned" && !words.turns) return location.reload(); // the zone has begun to ask for it
  say(problem, reasonOf(error) || known[error.kind] || words.other);
}

function show(id) {
  if (id !== "capture") spoken.stop();
  for (const one of document.querySelectorAll("#why, #capture, #files")) one.hidden = one.id !== id;
  document.querySelector(`#${id} h1`).scrollIntoView({ block: "nearest" });
}

function on(id, act) {
  const button = document.getElementById(id);
  if (!button) return; // no files where the head is turned
  button.addEventListener("click", act);
  button.disabled = false; // until here an early tap would be lost
}
