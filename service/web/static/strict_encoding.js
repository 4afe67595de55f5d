/**
 * Strict encodings of bytes besides base64url: base64, hexadecimal, UTF-8, and SHA-256 by WebCrypto.
 *
 * One value has one text: an encoding that is not canonical (padding, unused bits, capital hexadecimal) is refused.
 */

/** A document does not hold. `text` names a sentence of the page, which `values` fill in. */
export class Refusal extends Error {
  constructor(text, values = {}, state = "invalid") {
    super(text);
    this.text = text;
    this.values = values;
    this.state = state;
  }
}

/** Refuse with a sentence of the page unless `holds` is true. */
export function need(holds, text = "problem_form", values = {}) {
  if (holds !== true) {
    throw new Refusal(text, values);
  }
}

/** Return the bytes of canonical base64 with padding (RFC 4648, 4). */
export function fromBase64(text) {
  need(typeof text === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0);
  const data = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  need(toBase64(data) === text);
  return data;
}

export function toBase64(data) {
  let text = "";
  for (let start = 0; start < data.length; start += 8192) {
    text += String.fromCharCode(...data.subarray(start, start + 8192));
  }
  return btoa(text);
}

export function toHex(data) {
  return Array.from(data, (one) => one.toString(16).padStart(2, "0")).join("");
}

/** Return the bytes of lower-case hexadecimal. */
export function fromHex(text) {
  need(typeof text === "string" && /^([0-9a-f]{2})*$/.test(text));
  return Uint8Array.from(text.match(/../g) ?? [], (one) => parseInt(one, 16));
}

/** Return the text of UTF-8 bytes; other bytes are refused, and a byte order mark stays. */
export function fromUtf8(data) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new Refusal("problem_utf8");
  }
}

export function toUtf8(text) {
  return new TextEncoder().encode(text);
}

/** Remove what editors and copies add: a leading byte order mark, and CR before LF. No document contains them. */
export function plainBytes(data) {
  const start = data[0] === 0xef && data[1] === 0xbb && data[2] === 0xbf ? 3 : 0;
  const kept = data.subarray(start);
  return kept.includes(13) ? kept.filter((one, at) => one !== 13 || kept[at + 1] !== 10) : kept;
}

export function joined(...parts) {
  const all = new Uint8Array(parts.reduce((size, one) => size + one.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function sameBytes(one, other) {
  return one.length === other.length && one.every((value, at) => value === other[at]);
}

/** Return SHA-256 of bytes or of a text in UTF-8: 32 bytes. */
export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", typeof data === "string" ? toUtf8(data) : data));
}

export async function sha256Hex(data) {
  return toHex(await sha256(data));
}

/** Return whether a text is a moment as `2099-04-01T08:00:01Z`; the order of such texts is the order of the times. */
export function isMoment(text) {
  if (typeof text !== "string" || !/^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) {
    return false;
  }
  const moment = new Date(text);
  return !Number.isNaN(moment.getTime()) && moment.toISOString() === text.replace("Z", ".000Z");
}
