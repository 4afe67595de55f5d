// The pages of people about their own data: hands over the code, sends what a button says, and follows an erasure.

import { ProblemError, post, saveFile, say, takeFragment, texts } from "./request.js";

const POLL_MS = 2000;
const MAX_FILE_BYTES = 1_000_000;

// The problem in the person's words; `form` may have better words for bad input.
export function words(error, form) {
  const known = texts();
  if (!(error instanceof ProblemError)) return known.other;
  const kind = error.kind === "shape" ? "input" : error.kind;
  if (kind === "input" && form.dataset.problem) return known[form.dataset.problem];
  const name = kind.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
  if (known[name]) return known[name];
  return error.status >= 500 ? known.busy : known.other;
}

// Leads on if the session, or what was to be changed, has ended meanwhile: the next page tells how it is now.
export function refreshIfStale(error) {
  if (error.kind === "session-ended") location.replace("/me?closed=1");
  else if (error.kind === "no-live-consent") location.reload();
  else return false;
  return true;
}

// The code in a take-home file, or the whole text if it is a bare receipt.
async function inFile(file) {
  const text = file.size > MAX_FILE_BYTES ? "" : await file.text();
  try {
    const content = JSON.parse(text);
    return content.withdrawal_code ? { code: content.withdrawal_code } : { receipt: content.receipt || "" };
  } catch {
    return { receipt: text.trim() };
  }
}

async function bodyOf(form) {
  if (form.dataset.send === "code") {
    const file = form.elements.file.files[0];
    return file && !form.elements.code.value.trim() ? inFile(file) : { code: form.elements.code.value };
  }
  return form.dataset.send === "nothing" ? undefined : Object.fromEntries(new FormData(form));
}

async function save(form) {
  const answer = await fetch(form.action, {
    method: "POST", headers: { Accept: "application/zip, application/json" }, credentials: "same-origin", redirect: "error",
  }).catch(() => { throw new ProblemError(0, { type: "offline" }); });
  if (!answer.ok) throw new ProblemError(answer.status, await answer.json().catch(() => ({})));
  saveFile(await answer.blob(), form.dataset.name);
  document.getElementById("saved").hidden = false;
}

// Sends a form once, whatever is clicked meanwhile.
async function submit(form) {
  if (form.getAttribute("aria-busy") === "true") return;
  const button = form.querySelector("button");
  const problem = form.querySelector("[role=alert]") || document.getElementById("problem");
  const label = button.textContent;
  const wait = (busy) => {
    form.setAttribute("aria-busy", String(busy));
    button.setAttribute("aria-busy", String(busy));
    button.textContent = busy ? texts().wait : label;
  };
  wait(true);
  if (problem) say(problem, "");
  try {
    if (form.dataset.send === "download") {
      await save(form);
      return wait(false);
    }
    const { next } = await post(form.action, await bodyOf(form));
    if (form.classList.contains("leave")) sessionStorage.clear(); // the key or badge that this tab kept
    location.replace(next);
  } catch (error) {
    wait(false);
    if (form.dataset.send !== "code" && refreshIfStale(error)) return;
    if (problem) say(problem, words(error, form));
    const field = form.querySelector("input:not([type=file])");
    if (field) field.focus();
  }
}

// Reads this page again while something still runs. A parsed document needs no markup made by scripts.
function follow(part) {
  setTimeout(() => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.onload = () => {
      if (request.status !== 200 || !request.response) return follow(part);
      const found = request.response.querySelector("[aria-live]");
      if (!found) return location.reload();
      const next = document.importNode(found, true);
      if (next.dataset.live) {
        if (next.textContent !== part.textContent) part.replaceChildren(...next.childNodes);
        follow(part);
      } else {
        location.reload();
      }
    };
    request.onerror = () => follow(part);
    request.send();
  }, Number(part.dataset.live) || POLL_MS);
}

for (const form of document.querySelectorAll("form[data-send]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(form);
  });
  form.querySelector("button[type=submit]").disabled = false; // until here an early tap would show what is meant for the script
}

// A page that comes back from the browser's memory shows how it is now, with buttons that work again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const live = document.querySelector("[data-live]");
if (live) follow(live);

const entry = document.querySelector("form[data-send=code]");
function openWithFragment() {
  const secret = takeFragment();
  if (!secret || !entry) return;
  entry.elements.code.value = secret;
  say(document.getElementById("opening"), document.getElementById("opening").textContent);
  submit(entry).finally(() => { document.getElementById("opening").hidden = true; });
}
window.addEventListener("hashchange", openWithFragment);
openWithFragment();
