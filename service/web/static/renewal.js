// Renewal: asks for the new receipt, lets the person sign it with the same key, and hands it over. Where the person holds
// half of the key to their data, the new half is made here; the old one opens the data once more.

import { refreshIfStale, words } from "./my_data.js";
import { HalfError, givenSecret, heldBadge, heldSecret, keepBadge } from "./own_half.js";
import { newSecret, secretFromPrf, secretSalt } from "./person_secret.js";
import { ProblemError, post, say } from "./request.js";
import { signWithBrowserKey, signWithKeyFile, signWithPasskey } from "./sign.js";

const MAX_KEY_BYTES = 8192;
const form = document.getElementById("renewal");
const button = form?.querySelector(".actions button");
const problem = document.getElementById("problem");

async function renew() {
  const { receipt, notice, custody } = form.dataset;
  const isEnrolled = Boolean(document.getElementById("own-half"));
  const needsSecret = custody === "subject_key";
  // What the person typed or chose is checked before they sign.
  if (needsSecret && isEnrolled && form.dataset.form !== "passkey") await heldSecret();
  else if (needsSecret && isEnrolled) await givenSecret();
  const badge = custody === "badge" && isEnrolled ? { badge: btoa(String.fromCharCode(...(await heldBadge()))) } : {};
  const offer = await post(`${form.action}/offer`, { notice_sha256: notice });
  const made = await sign(offer, needsSecret ? [await secretSalt(offer.receipt_id), await secretSalt(receipt)] : []);
  const halves = needsSecret ? await newHalf(offer, made, isEnrolled) : badge;
  const answer = await post(form.action, { signed: made.signed, ...halves });
  if (answer.badge) keepBadge(answer.receipt_id, answer.badge);
  location.replace(answer.next);
}

// Signs with the key that signed before: the passkey, the file that was chosen, or the key of this browser.
async function sign(offer, salts) {
  if (form.dataset.form === "passkey") return signWithPasskey(offer, null, ...salts);
  const file = form.querySelector("#key-file").files[0];
  if (!file && form.dataset.form === "desk") throw new HalfError(form.dataset.noFile);
  const made = file
    ? await signWithKeyFile(offer, await file.slice(0, MAX_KEY_BYTES).text())
    : await signWithBrowserKey(offer, form.dataset.zone);
  if (!made) throw new HalfError(file ? form.dataset.noKeyInFile : form.dataset.noKey);
  return made;
}

async function newHalf(offer, { prf, before }, isEnrolled) {
  const fresh = prf ? secretFromPrf(prf, offer.receipt_id) : newSecret(offer.receipt_id);
  const old = isEnrolled ? await heldSecret(before) : null;
  fresh.keep(); // before it is sent: if the answer is lost, the person has it all the same
  if (!old) return { commitment: await fresh.commitment() };
  return { secret: await old.text(), new_secret: await fresh.text() };
}

function sentence(error) {
  if (error instanceof HalfError) return error.sentence;
  if (error.name === "NotAllowedError" || error.name === "AbortError") return form.dataset.stopped;
  if (["input", "refused", "tamper", "foreign-receipt"].includes(error.kind)) return form.dataset.otherKey;
  return words(error, form);
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.disabled) return;
  button.disabled = true;
  say(problem, "");
  try {
    await renew();
  } catch (error) {
    if (error instanceof ProblemError && refreshIfStale(error)) return;
    say(problem, sentence(error));
  } finally {
    button.disabled = false;
  }
});
if (form) button.disabled = false; // until here an early tap would send the form without a signature
