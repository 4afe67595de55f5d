// Sends the forms of the privacy officer's pages to /v1, saves answers as files, follows jobs and running erasures.

import { kindOf, lastState, ProblemError, post, reasonOf, saveFile, say, texts } from "./request.js";
import { hideSignedOut, isSignedOut, untilSignedIn } from "./signed_out.js";

const problem = document.getElementById("problem");
const progress = document.getElementById("progress");
const SIGNED_OUT = 401;

class FailedJob extends Error {
  constructor(outcome) {
    super(reasonOf(outcome) || kindOf(outcome.kind || "other"));
  }
}

// The problem in words: those of the form first, then those of all forms.
function words(error, form) {
  if (error instanceof FailedJob) return `${texts().failed} ${error.message}`;
  if (!(error instanceof ProblemError)) return texts().other;
  const reason = reasonOf(error);
  if (reason) return reason;
  const kind = { "erasure-incomplete": "incomplete" }[error.kind] || error.kind;
  return form.dataset[kind] || texts()[kind] || (error.status >= 500 ? texts().other : kindOf(error.kind));
}

async function fileTexts(input) {
  return Promise.all([...input.files].map((file) => file.text()));
}

// The body: what the page fixed, and each field that is filled in.
async function bodyOf(form) {
  const body = JSON.parse(form.dataset.body || "{}");
  for (const field of form.querySelectorAll("input, select")) {
    if (field.name === "approvals") {
      body.approvals = (await fileTexts(field)).map((text) => JSON.parse(text).approval);
    } else if (field.type === "file") {
      if (field.files.length) [body[field.name]] = await fileTexts(field);
    } else if (field.type === "checkbox") {
      if (field.checked) body[field.name] = true;
    } else if (field.value.trim()) {
      body[field.name] = field.value.trim();
    }
  }
  return body;
}

async function save(form, body) {
  const content = Object.keys(body).length
    ? { body: JSON.stringify(body), headers: { Accept: "application/zip, application/json", "Content-Type": "application/json" } }
    : { headers: { Accept: "application/zip, application/json" } };
  const answer = await fetch(form.dataset.post, {
    method: "POST", ...content, credentials: "same-origin", redirect: "error", cache: "no-store",
  }).catch(() => { throw new ProblemError(0, { type: "offline" }); });
  if (!answer.ok) throw new ProblemError(answer.status, await answer.json().catch(() => ({})));
  saveFile(await answer.blob(), form.dataset.download);
}

async function finished(job) {
  const found = await lastState(job, ({ done, total }) => {
    if (total) say(progress, texts().running.replace("%(done)s", done).replace("%(total)s", total));
  }, untilSignedIn);
  if (found.state !== "done") throw new FailedJob(found.outcome || {});
}

async function submit(form) {
  if (form.getAttribute("aria-busy") === "true") return;
  const button = form.querySelector("button");
  const label = button.textContent;
  const wait = (busy) => {
    form.setAttribute("aria-busy", String(busy));
    button.setAttribute("aria-busy", String(busy));
    button.textContent = busy ? texts().wait : label;
  };
  wait(true);
  say(problem, "");
  hideSignedOut();
  try {
    const body = await bodyOf(form);
    let next = form.dataset.next;
    if (form.dataset.download) {
      await save(form, body);
    } else {
      const answer = await post(form.dataset.post, Object.keys(body).length ? body : undefined);
      if ("job" in form.dataset) await finished(answer);
      if (form.dataset.nextId) next += answer[form.dataset.nextId];
    }
    location.assign(next);
  } catch (error) {
    wait(false);
    say(progress, "");
    if (isSignedOut(error)) return;
    say(problem, error instanceof SyntaxError ? texts().input : words(error, form));
    problem.scrollIntoView({ block: "nearest" });
  }
}

// Reads this page again while an erasure runs. A parsed document needs no markup made by scripts.
function follow(part) {
  setTimeout(() => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.onload = () => {
      if (request.status === SIGNED_OUT) return untilSignedIn({ kind: "credential" }).then(() => follow(part));
      const found = request.status === 200 && request.response && request.response.querySelector("[aria-live]");
      if (!found) return follow(part);
      part.replaceChildren(...document.importNode(found, true).childNodes);
      if (found.dataset.live) follow(part);
    };
    request.onerror = () => follow(part);
    request.send();
  }, Number(part.dataset.live));
}

for (const form of document.querySelectorAll("form[data-post]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(form);
  });
  form.querySelector("button").disabled = false;
}

// A page that comes back from the browser's memory shows how it is now, with buttons that work again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const live = document.querySelector("[data-live]");
if (live) follow(live);
