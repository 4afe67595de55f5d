// A kiosk beside a door: asleep until a tap, a key or a badge; then it asks the door, says the answer, and sleeps again.
import { Asking } from "./kiosk_asking.js";
import { Camera } from "./kiosk_camera.js";
import { CodeReader } from "./kiosk_codes.js";
import { Forgetting } from "./kiosk_forgetting.js";
import { pair } from "./kiosk_pairing.js";
import { PinPad } from "./kiosk_pin_pad.js";
import { Screens } from "./kiosk_screens.js";
import { send } from "./request.js";

const COME_IN_S = 5;
const ANSWER_S = 15;
const SCREEN_S = 60;
const PIN_S = 30;
const STATE_EVERY_MS = 30_000;
const TYPED_WITHIN_MS = 1500;
const SHORTEST_BADGE = 4;

const kiosk = document.getElementById("kiosk");
const { zone, needs } = kiosk.dataset;
const address = `/kiosk/${zone}`;
const camera = new Camera(document.getElementById("view"), document.getElementById("frame"));
const screens = new Screens(kiosk, stopAll);
const pinPad = new PinPad(screens);
const reader = new CodeReader(camera);
const asking = new Asking(screens, camera, reader, address, needs, (again) => pinPad.ask(again, PIN_S));
const forgetting = new Forgetting(screens, camera, reader, address);
let typed = "", typedAt = 0;

function stopAll() {
  asking.stop();
  forgetting.stop();
  pinPad.stop();
  typed = "";
}

async function ask(badge = null) {
  if (needs === "badge_number" && !badge) {
    // The badge comes first: without it no camera starts.
    screens.announce(document.getElementById("wake"), "reader");
    return;
  }
  stopAll();
  const answer = await asking.run(badge);
  if (answer === null) return;
  pinPad.stop();
  if (answer === "comeIn") {
    screens.show("come-in", COME_IN_S);
  } else {
    kiosk.dataset.tone = answer === "cannot" || answer === "noCamera" ? "warn" : "plain";
    screens.write(document.getElementById("why"), answer);
    screens.show("closed", ANSWER_S);
  }
}

const GO = {
  ask: () => ask(),
  asleep: () => screens.sleep(),
  other: () => { stopAll(); screens.show("other", SCREEN_S); },
  forget: () => { stopAll(); forgetting.begin(); },
};
for (const one of document.querySelectorAll("[data-go]")) one.addEventListener("click", () => GO[one.dataset.go]());
for (const one of document.querySelectorAll("[data-speak]")) {
  one.addEventListener("click", () => { screens.speak(one.dataset.speak); screens.seconds ||= SCREEN_S; screens.stayAwake(); });
  one.disabled = false; // until here an early tap would be lost
}
kiosk.addEventListener("click", (event) => {
  const isWake = event.target.closest("#wake") || !event.target.closest("button, input, label, a");
  if (screens.current === "asleep" && isWake) ask();
});

// Keys: a badge reader types a number and Enter; a person types digits of a PIN, or wakes the kiosk with any key.
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input") || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "Escape" && screens.current !== "asleep") {
    screens.sleep();
    return;
  }
  const onButton = event.target.closest("button, a") !== null;
  if (screens.current === "pin") {
    if (pinPad.type(event.key, onButton)) event.preventDefault();
    return;
  }
  const now = performance.now();
  if (now - typedAt > TYPED_WITHIN_MS) typed = "";
  typedAt = now;
  if (event.key === "Enter" && typed.length >= SHORTEST_BADGE) {
    event.preventDefault();
    const badge = typed;
    typed = "";
    if (screens.current !== "camera") ask(badge);
  } else if (event.key.length === 1 && (event.key !== " " || !onButton)) {
    const isFirst = !typed;
    typed += event.key;
    if (screens.current === "asleep" && isFirst && needs !== "badge_number") ask();
  } else if (event.key === "Enter" && !onButton && screens.current === "asleep") {
    ask();
  }
});

// While it sleeps it asks now and then whether the door decides at all, so that people read it before they wait.
async function check() {
  if (document.hidden) return;
  let works = false;
  try {
    works = (await send("GET", `${address}/state`)).in_use;
  } catch (error) {
    if (error.status === 401 && screens.current === "asleep") location.reload();
    works = error.status === 429;
  }
  showState(works);
}

function showState(works) {
  screens.write(document.getElementById("wake"), works ? (needs === "badge_number" ? "reader" : "touch") : "cannot");
  document.getElementById("ask-first").hidden = !works;
  document.getElementById("instead").hidden = works;
}

showState(true);
screens.show("asleep");
pair().catch(() => {});  // a new link for a tablet that is paired already
addEventListener("offline", () => showState(false));
addEventListener("online", check);
document.addEventListener("visibilitychange", () => { if (document.hidden) screens.sleep(); else check(); });
setInterval(check, STATE_EVERY_MS);
check();
