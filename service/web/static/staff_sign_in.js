// Sign-in of staff with a passkey; with a link's token after the "#", the making of that passkey.

import { fromBase64url, toBase64url } from "./base64url.js";
import { post, ProblemError, say, takeFragment, texts } from "./request.js";
import { canUsePasskeys, makePasskey } from "./sign.js";

const words = texts();
const button = document.getElementById("go");
const problem = document.getElementById("problem");
const status = document.getElementById("status");
const token = takeFragment();
let invited = null; // what the link is for; asked for before the tap, because a dialog must follow a tap at once

const atIssuer = document.getElementById("issuer");
if (atIssuer) {
  atIssuer.addEventListener("click", () => run(() => post("/staff/oidc/begin", { next: words.back || null })));
  atIssuer.hidden = Boolean(token);
  atIssuer.disabled = false;
}
button.addEventListener("click", () => run(token ? register : signIn));
await begin();

async function begin() {
  if (!canUsePasskeys()) return say(problem, words.nopasskeys);
  if (token) {
    document.getElementById("sign-in").hidden = true;
    document.getElementById("link").hidden = false;
    button.textContent = words.make;
    try {
      invited = await post("/staff/link", { token });
    } catch (error) {
      return say(problem, sentenceFor(error));
    }
    say(document.getElementById("who"), words.who.replace("%(label)s", invited.label));
  }
  button.disabled = false;
}

async function run(act) {
  button.disabled = true;
  say(problem, "");
  say(status, words.working);
  try {
    const { next } = await act();
    location.replace(next);
  } catch (error) {
    say(status, "");
    say(problem, sentenceFor(error));
    button.disabled = false;
  }
}

async function register() {
  const registration = await makePasskey(invited.options);
  return post("/staff/passkey", { token, registration });
}

async function signIn() {
  const { challenge, rp_id: rpId } = await post("/staff/sign-in/begin", {});
  const made = await navigator.credentials.get({
    publicKey: { challenge: fromBase64url(challenge), rpId, userVerification: "required" },
  });
  return post("/staff/sign-in", {
    id: made.id,
    authenticator_data: toBase64url(made.response.authenticatorData),
    client_data_json: toBase64url(made.response.clientDataJSON),
    signature: toBase64url(made.response.signature),
    next: words.back || null,
  });
}

function sentenceFor(error) {
  if (error.name === "NotAllowedError" || error.name === "AbortError" || error.name === "InvalidStateError") {
    return words.stopped;
  }
  if (!(error instanceof ProblemError)) return words.other;
  return words[error.kind === "session-ended" ? "late" : error.kind] || words.other;
}
