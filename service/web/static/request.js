// Sends JSON to our own server, and turns what went wrong into one sentence for the person.

const JOB_MS = 500;

export class ProblemError extends Error {
  constructor(status, problem) {
    super(problem.title || ""); // never shown: it is English; see reasonOf
    this.status = status;
    this.kind = (problem.type || "").split(":").pop();
    this.reason = problem.reason || "";
    this.number = problem.number || 0;
    this.problem = problem;
  }
}

// Returns the parsed JSON of the answer. A lost connection is a ProblemError of kind "offline".
export async function send(method, address, body, headers = {}) {
  let answer;
  const isForm = body instanceof FormData || body instanceof Blob;
  const content = body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) };
  const type = body === undefined || isForm ? {} : { "Content-Type": "application/json" };
  try {
    answer = await fetch(address, {
      method, ...content, headers: { Accept: "application/json", ...type, ...headers },
      credentials: "same-origin", redirect: "error", cache: "no-store",
    });
  } catch {
    throw new ProblemError(0, { type: "offline" });
  }
  const found = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ProblemError(answer.status, found);
  return found;
}

export const post = (address, body, headers) => send("POST", address, body, headers);

// Lets the browser save a file that a script has.
export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Follows a job of the service until it ends, and returns what it says then; `tell` gets each state in between. After a
// problem, `wait` resolves to whether to ask again.
export async function lastState(job, tell = () => {}, wait = async () => false) {
  let found = job;
  while (found.state === "running") {
    await new Promise((resolve) => { setTimeout(resolve, JOB_MS); });
    try {
      found = await send("GET", `/v1/jobs/${job.job_id}`);
    } catch (error) {
      if (!(await wait(error))) throw error;
      continue;
    }
    tell(found);
  }
  return found;
}

// The sentence for what exactly is wrong, in the language of the page; "" where the problem has no code for it.
// The sentences are those of refusals.html: <template id="refusals" data-photo-dark="The face is too dark. ...">.
export function reasonOf({ reason, number }) {
  const known = document.getElementById("refusals").dataset;
  const sentence = (reason && known[camelCase(reason)]) || "";
  if (!sentence || !number) return sentence;
  const where = reason.startsWith("table-") ? known.rowNumber : known.photoNumber;
  return `${sentence} ${where.replace("%(number)s", number)}`;
}

// The sentence for a kind of problem that a page has no words of its own for.
export function kindOf(kind) {
  const known = document.getElementById("refusals").dataset;
  return known[camelCase(kind)] || known.other;
}

export const camelCase = (code) => code.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());

// Texts of a page for its scripts: <template id="texts" data-closer="Closer">.
export function texts(id = "texts") {
  return document.getElementById(id).dataset;
}

// The secret after the "#" of the address. It is taken out of the address bar, so that the history does not keep it.
export function takeFragment() {
  const secret = decodeURIComponent(location.hash.slice(1));
  if (secret) history.replaceState(null, "", location.pathname + location.search);
  return secret;
}

// Shows one sentence in an element with role "alert" or "status", which screen readers then speak.
export function say(element, sentence) {
  element.textContent = sentence;
  element.hidden = !sentence;
}
