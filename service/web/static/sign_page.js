// Step 2: the person signs the receipt, with a passkey or with a key in this browser.

import { newSecret, secretFromPrf, secretSalt } from "./person_secret.js";
import { kindOf, post, reasonOf, say, texts } from "./request.js";
import { canUsePasskeys, makeBrowserKey, makePasskey, signWithBrowserKey, signWithPasskey } from "./sign.js";

const words = texts();
const problem = document.getElementById("problem");
const status = document.getElementById("status");
const nameField = document.getElementById("name");
const ageField = document.getElementById("of-age");
const buttons = [...document.querySelectorAll(".actions button")];
const holdsSecret = words.custody === "subject_key";

let passkey = null; // made once, even if the person stops before signing and tries again

document.getElementById("passkey").addEventListener("click", () => run(byPasskey));
document.getElementById("browser-key").addEventListener("click", () => run(byBrowserKey));
if (!canUsePasskeys()) document.getElementById("passkey").hidden = true;
busy(false); // disabled until here: an early tap must not be lost
window.addEventListener("pageshow", () => busy(false)); // back from the next page

async function run(sign) {
  say(problem, "");
  const name = nameField.value.trim();
  if (!name) {
    nameField.focus();
    return say(problem, words.name);
  }
  if (!ageField.value) {
    ageField.focus();
    return say(problem, words.age);
  }
  busy(true);
  say(status, words.working);
  try {
    const { signed, secret } = await sign();
    const commitment = secret ? await secret.commitment() : undefined;
    const answer = await post("/invitation/accept", { signed, name, commitment });
    secret?.keep();
    say(status, words.signed);
    location.assign(answer.next);
  } catch (error) {
    say(status, "");
    say(problem, sentenceFor(error));
    busy(false);
  }
}

async function byPasskey() {
  if (!passkey) {
    const options = await post("/invitation/passkey", {});
    passkey = { id: "", registration: await makePasskey(options) };
    passkey.id = passkey.registration.id;
  }
  const offer = await post("/invitation/offer", { registration: passkey.registration, of_age: isOfAge() });
  say(status, words.again);
  const salt = holdsSecret ? await secretSalt(offer.receipt_id) : null;
  const { signed, prf } = await signWithPasskey(offer, passkey.id, salt);
  if (!holdsSecret) return { signed };
  return { signed, secret: prf ? secretFromPrf(prf, offer.receipt_id) : newSecret(offer.receipt_id) };
}

async function byBrowserKey() {
  const publicKey = await makeBrowserKey(words.zone).catch(() => {
    throw Object.assign(new Error(), { kind: "nokeys" });
  });
  const offer = await post("/invitation/offer", { public_key: publicKey, of_age: isOfAge() });
  const { signed } = await signWithBrowserKey(offer, words.zone);
  return { signed, secret: holdsSecret ? newSecret(offer.receipt_id) : undefined };
}

const isOfAge = () => ageField.value === "yes";

function sentenceFor(error) {
  if (error.name === "NotAllowedError" || error.name === "AbortError" || error.name === "InvalidStateError") {
    return words.stopped;
  }
  if (error.kind === "offline" || error.kind === "nokeys") return words[error.kind];
  if (error.kind === "session-ended" || error.kind === "invitation-ended") return words.ended;
  return reasonOf(error) || (error.status >= 400 && error.status < 500 ? kindOf(error.kind) : words.other);
}

function busy(isBusy) {
  for (const one of buttons) one.disabled = isBusy;
}
