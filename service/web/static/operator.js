// The operator's pages: sends what a button says to /v1, then shows the page as it is now, or a link once.

import { lastState, ProblemError, reasonOf, say, send, texts } from "./request.js";
import { hideSignedOut, isSignedOut, untilSignedIn } from "./signed_out.js";

const problem = document.getElementById("problem");
const QUIET = 4;
const SCALE = 5;

// The problem in words: those of the form first, then those of the page.
function words(error, form) {
  const known = texts();
  if (!(error instanceof ProblemError)) return known.other;
  return reasonOf(error) || form.dataset[error.kind] || known[error.kind] || (error.status >= 500 ? known.busy : known.other);
}

// Empty fields are left out, except those that may be emptied.
function bodyOf(form) {
  const body = JSON.parse(form.dataset.body || "{}");
  for (const field of form.querySelectorAll("input, select")) {
    if (field.name && (field.value.trim() || "empty" in field.dataset)) {
      body[field.name] = field.type === "number" ? Number(field.value) : field.value.trim();
    }
  }
  return Object.keys(body).length || form.dataset.method !== "DELETE" ? body : undefined;
}

function drawQr(canvas, rows) {
  const side = (rows.length + 2 * QUIET) * SCALE;
  canvas.width = canvas.height = side;
  const picture = canvas.getContext("2d");
  picture.fillStyle = "#fff";
  picture.fillRect(0, 0, side, side);
  picture.fillStyle = "#000";
  rows.forEach((row, y) => [...row].forEach((module, x) => {
    if (module === "1") picture.fillRect((x + QUIET) * SCALE, (y + QUIET) * SCALE, SCALE, SCALE);
  }));
}

function showLink(answer) {
  const part = document.getElementById("link");
  document.getElementById("link-label").textContent = answer.label;
  document.getElementById("link-text").textContent = answer.link;
  drawQr(document.getElementById("link-qr"), answer.qr);
  part.hidden = false;
  part.focus();
  part.scrollIntoView({ block: "start" });
}

async function submit(form, key) {
  const answer = await send(form.dataset.method, form.getAttribute("action"), bodyOf(form), { "Idempotency-Key": key });
  if (answer.link) return showLink(answer);
  if (answer.job_id && (await lastState(answer, undefined, untilSignedIn)).state !== "done") throw new ProblemError(409, { type: "job" });
  location.reload();
}

for (const form of document.querySelectorAll("form[data-method]")) {
  const button = form.querySelector("button[type=submit]");
  let key = crypto.randomUUID(); // a repeated try has the same key, so it is done once
  form.addEventListener("input", () => { key = crypto.randomUUID(); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    say(problem, "");
    hideSignedOut();
    button.disabled = true;
    try {
      await submit(form, key);
      key = crypto.randomUUID();
    } catch (error) {
      if (!isSignedOut(error)) {
        say(problem, words(error, form));
        problem.scrollIntoView({ block: "nearest" });
      }
    }
    button.disabled = false;
  });
  button.disabled = false; // until here an early tap would be lost
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = texts().copied;
  });
  button.disabled = !navigator.clipboard;
}

document.getElementById("link-done")?.addEventListener("click", () => location.reload());

// A page that comes back from the browser's memory shows how it is now; a link that was shown is gone.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
