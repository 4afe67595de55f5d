// The pages of the desk: sends what a form says to the operations of the site, and hands over what comes back.

import { camelCase, kindOf, ProblemError, reasonOf, saveFile, say, send, texts } from "./request.js";
import { hideSignedOut, isSignedOut } from "./signed_out.js";

const words = texts();
const FORMULA = /^[=+\-@\t\r\n]/;

for (const form of document.querySelectorAll("form[data-send]")) {
  let key = crypto.randomUUID(); // a repeated try has the same key, so it is done once
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    const problem = form.querySelector("[role=alert]") || document.getElementById("problem");
    if (button.disabled) return;
    say(problem, "");
    hideSignedOut();
    if (!form.checkValidity()) {
      const field = form.querySelector(":invalid");
      say(problem, field.validationMessage);
      return field.focus();
    }
    button.disabled = true;
    try {
      const answer = await sent(form, key);
      key = crypto.randomUUID();
      finish(form, answer);
      if (form.dataset.then === "report") button.disabled = false;
    } catch (error) {
      if (!isSignedOut(error)) say(problem, sentenceFor(error));
      button.disabled = false;
    }
  });
  form.addEventListener("input", () => { key = crypto.randomUUID(); });
  form.querySelector("button[type=submit]").disabled = false; // until here an early tap would be lost
}

function sent(form, key) {
  const zone = form.querySelector("[data-zone]")?.value || "";
  const address = form.getAttribute("action").replace("{zone}", encodeURIComponent(zone));
  const method = form.dataset.send;
  const headers = method === "POST" || method === "FORM" ? { "Idempotency-Key": key } : {};
  if (method === "FORM") return send("POST", address, new FormData(form), headers);
  return send(method, address, method === "DELETE" ? undefined : fields(form), headers);
}

// Empty fields are left out; numbers and ticks are sent as such.
function fields(form) {
  const found = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") found[field.name] = field.checked;
    else if (field.value.trim()) found[field.name] = field.type === "number" ? Number(field.value) : field.value;
  }
  return found;
}

function finish(form, answer) {
  const then = form.dataset.then;
  if (then === "done") location.replace(`${location.pathname}?done=${form.dataset.done}`);
  else if (then === "reload") location.reload();
  else if (then === "code") handOver("code-form", answer.take_home);
  else if (then === "letter") handOver("letter-form", answer.link);
  else report(answer.rows);
}

// A code or link goes in the body of a form, so that it is in no address and no history.
function handOver(id, secret) {
  const form = document.getElementById(id);
  form.elements[0].value = secret;
  form.submit();
}

function report(rows) {
  const part = document.getElementById("report");
  const table = document.getElementById("report-rows");
  table.replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    line.append(
      cell("th", table.dataset.row, row.number), cell("td", table.dataset.name, row.name),
      cell("td", table.dataset.result, row.invitation ? words.invited : whyNot(row)),
    );
    return line;
  }));
  const invited = rows.filter((row) => row.invitation).length;
  const sum = words.report.replace("%(invited)s", invited).replace("%(refused)s", rows.length - invited);
  say(document.getElementById("report-sum"), sum);
  const button = document.getElementById("report-save");
  button.onclick = () => saveFile(new Blob([csv(rows)], { type: "text/csv" }), "invitations.csv");
  button.hidden = !invited;
  part.hidden = false;
  part.focus();
}

function whyNot(row) {
  return reasonOf({ reason: row.code }) || kindOf("input");
}

function cell(kind, label, text) {
  const found = document.createElement(kind);
  if (kind === "th") found.scope = "row";
  found.dataset.label = label;
  found.textContent = text;
  return found;
}

function csv(rows) {
  const lines = [["row", "name", "reason", "invitation_id", "link"], ...rows.map((one) => [
    one.number, one.name, one.invitation ? "" : whyNot(one), one.invitation?.invitation_id || "", one.invitation?.link || "",
  ])];
  const quoted = (value) => `"${String(value).replace(FORMULA, "'$&").replaceAll('"', '""')}"`;
  return lines.map((line) => line.map(quoted).join(",")).join("\r\n");
}

for (const button of document.querySelectorAll("[data-save]")) {
  const text = document.querySelector(button.dataset.save).value;
  button.addEventListener("click", () => saveFile(new Blob([text], { type: "application/json" }), button.dataset.name));
  button.disabled = false;
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
    button.textContent = words.copied;
  });
  button.disabled = !navigator.clipboard;
}

function sentenceFor(error) {
  if (!(error instanceof ProblemError)) return words.other;
  const sentence = words[camelCase(error.kind)] || words[error.kind.replaceAll("-", "")];
  const reason = reasonOf(error);
  if (reason) return `${reason} ${words.unchanged}`;
  return sentence || (error.status >= 500 ? words.busy : kindOf(error.kind));
}

// A page that comes back from the browser's memory shows how it is now.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
