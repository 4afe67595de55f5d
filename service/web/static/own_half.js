// What the person holds of the key to their data: a secret (custody subject_key) or a badge (custody badge). It is kept in
// this tab, typed, read from a file, or computed by the passkey, and checked here before anything is sent.

import { keptSecret, secretFromPrf, secretFromText, secretSalt } from "./person_secret.js";
import { say } from "./request.js";
import { prfOfPasskey } from "./sign.js";

const BADGE = "volens-badge"; // of this tab
const MAX_BADGE_BYTES = 6000;
const box = document.getElementById("own-half");

// One sentence for the person.
export class HalfError extends Error {
  constructor(sentence) {
    super("the person's half of the key is missing or another's");
    this.sentence = sentence; // of the page, in its language
  }
}

// Returns the secret that was typed or chosen, or that this tab keeps; null if there is none. Throws if it is another's.
export async function givenSecret() {
  const file = box.querySelector("[type=file]").files[0];
  const typed = box.querySelector("[type=text]").value.trim() || (file ? await file.slice(0, 1000).text() : "");
  const { receipt } = box.dataset;
  const found = typed ? await secretFromText(typed, receipt) : keptSecret(receipt);
  if (found && (await fits(found))) return found;
  if (typed) throw new HalfError(box.dataset.wrong);
  return null;
}

// Returns the secret that was given, or else that of a passkey's output.
export async function heldSecret(prf = null) {
  const given = await givenSecret();
  if (given) return given;
  const computed = prf && secretFromPrf(prf, box.dataset.receipt);
  if (computed && (await fits(computed))) return computed;
  throw new HalfError(box.dataset.missing);
}

export async function heldBadge() {
  const file = box.querySelector("[type=file]").files[0];
  if (file) {
    if (file.size > MAX_BADGE_BYTES) throw new HalfError(box.dataset.wrong);
    return new Uint8Array(await file.arrayBuffer());
  }
  const kept = keptBadge(box.dataset.receipt);
  if (!kept) throw new HalfError(box.dataset.missing);
  return Uint8Array.from(atob(kept.file), (one) => one.charCodeAt(0));
}

// What goes with photos, as parts of a form: on a page without fields for it, the secret that this tab keeps.
export async function heldParts(receipt) {
  if (box?.dataset.custody === "badge") return [["badge", new Blob([await heldBadge()])]];
  const secret = box ? await heldSecret() : keptSecret(receipt);
  return secret ? [["secret", new Blob([await secret.text()])]] : [];
}

export function keepBadge(receipt, badge) {
  sessionStorage.setItem(BADGE, JSON.stringify({ receipt, ...badge }));
}

export function keptBadge(receipt) {
  const badge = JSON.parse(sessionStorage.getItem(BADGE) || "null");
  return badge?.receipt === receipt ? badge : null;
}

const fits = async (secret) => (await secret.commitment()) === box.dataset.commitment;

const fromPasskey = box?.querySelector("button");
fromPasskey?.addEventListener("click", async () => {
  const status = box.querySelector("[role=status]");
  const { receipt, relyingParty } = box.dataset;
  const prf = await prfOfPasskey(relyingParty, await secretSalt(receipt)).catch(() => null);
  const secret = prf && secretFromPrf(prf, receipt);
  const isRight = Boolean(secret) && (await fits(secret));
  if (isRight) secret.keep();
  say(status, isRight ? box.dataset.found : box.dataset.missing);
});
if (fromPasskey) fromPasskey.disabled = false; // until here an early tap would be lost
