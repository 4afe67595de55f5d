// The person's half of a key (zones in which the person holds it): made here, kept here, and shown to a door only.
// The site gets a commitment: SHA-256 of the secret and the receipt's id, from which the secret cannot be found.

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const PREFIX = "VOLENS-SECRET:";
const KEY = "volens-secrets"; // of this tab: text by receipt
const LENGTH = 32;
const CHECK = 3;
const encoder = new TextEncoder();

class PersonSecret {
  constructor(bytes, receiptId) {
    this.bytes = bytes;
    this.receiptId = receiptId;
  }

  async commitment() {
    const context = encoder.encode(`volens person secret v1\0${this.receiptId}\0`);
    const digest = await sha256(context, this.bytes);
    return [...digest].map((one) => one.toString(16).padStart(2, "0")).join("");
  }

  // As text: base 32 (RFC 4648) of the secret and three bytes of a checksum, as doors and files read it.
  async text() {
    return PREFIX + base32(Uint8Array.of(...this.bytes, ...(await checksum(this.bytes))));
  }

  // For the pages that follow in this tab: photos and a renewal need it, and the receipt page hands it to the person.
  keep() {
    const all = JSON.parse(sessionStorage.getItem(KEY) || "{}");
    sessionStorage.setItem(KEY, JSON.stringify({ ...all, [this.receiptId]: [...this.bytes] }));
  }
}

export function newSecret(receiptId) {
  return new PersonSecret(crypto.getRandomValues(new Uint8Array(32)), receiptId);
}

// The authenticator computes the same bytes again for the same salt, so the passkey alone brings the secret back.
export function secretFromPrf(prf, receiptId) {
  return new PersonSecret(prf.slice(0, 32), receiptId);
}

export function secretSalt(receiptId) {
  return sha256(encoder.encode(`volens person secret prf v1|${receiptId}`), new Uint8Array());
}

// Reads the text of the file or of the QR code; null if it was misread or cut off.
export async function secretFromText(text, receiptId) {
  const plain = text.toUpperCase().replace(/[\s-]/g, "").replace(PREFIX.replace("-", ""), "");
  const bytes = fromBase32(plain);
  if (bytes?.length !== LENGTH + CHECK) return null;
  const secret = bytes.slice(0, LENGTH);
  const expected = await checksum(secret);
  return bytes.slice(LENGTH).every((one, at) => one === expected[at]) ? new PersonSecret(secret, receiptId) : null;
}

// Returns the secret that this tab keeps for a receipt, or null.
export function keptSecret(receiptId) {
  const found = JSON.parse(sessionStorage.getItem(KEY) || "{}")[receiptId];
  return found ? new PersonSecret(Uint8Array.from(found), receiptId) : null;
}

const checksum = async (bytes) => (await sha256(encoder.encode("volens person secret check v1\0"), bytes)).slice(0, CHECK);

async function sha256(...parts) {
  const all = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of parts) {
    all.set(one, at);
    at += one.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

function base32(bytes) {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const one of bytes) {
    value = (value << 8) | one;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(value >> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return bits ? text + ALPHABET[(value << (5 - bits)) & 31] : text;
}

function fromBase32(text) {
  const bytes = [];
  let bits = 0;
  let value = 0;
  for (const one of text) {
    const found = ALPHABET.indexOf(one);
    if (found < 0) return null;
    value = (value << 5) | found;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 255);
    }
    value &= (1 << bits) - 1;
  }
  return Uint8Array.from(bytes);
}
