/**
 * Compact JWS (RFC 7515) with one algorithm, Ed25519, and a pinned `typ`: what a site and people sign.
 */
import { fromBase64url } from "./base64url.js";
import { isObject, readCanonical, readJson } from "./canonical_json.js";
import { Refusal, fromUtf8, need, toUtf8 } from "./strict_encoding.js";

export const MAX_TOKEN_BYTES = 64 * 1024;
export const ED25519 = "Ed25519";

/** Return `{header, payload, signature, signed}` of a token WITHOUT checking its signature; payload is bytes. */
export function splitToken(token) {
  need(typeof token === "string" && token.length <= MAX_TOKEN_BYTES);
  const segments = token.split(".");
  need(segments.length === 3);
  const [header, payload, signature] = segments.map(fromBase64url);
  const signed = toUtf8(token.slice(0, token.lastIndexOf(".")));
  return { header: readJson(fromUtf8(header)), payload, signature, signed };
}

/** Return the `typ` in a token's header, or null if the text is not a token. */
export function typeOf(token) {
  try {
    return splitToken(token).header.typ ?? null;
  } catch {
    return null;
  }
}

/** Return the payload (a JSON object) of a token WITHOUT checking its signature, for look-ups only. */
export function peekToken(token, typ) {
  const { header, payload } = splitToken(token);
  need(isObject(header, "alg", "typ") && header.alg === ED25519 && header.typ === typ, "problem_header");
  const said = readCanonical(payload);
  need(isObject(said));
  return said;
}

/** Return the payload (a JSON object) of a token that one of `publicKeys` (32 bytes each) signed. */
export async function readSigned(token, typ, publicKeys) {
  const { header, payload, signature, signed } = splitToken(token);
  need(isObject(header, "alg", "typ") && header.alg === ED25519 && header.typ === typ, "problem_header");
  for (const publicKey of publicKeys) {
    if (await verifySignature(ED25519, ED25519, publicKey, signature, signed)) {
      const said = readCanonical(payload);
      need(isObject(said));
      return said;
    }
  }
  throw new Refusal("problem_signature");
}

/** Return whether a signature is valid; a public key that is none of its kind verifies nothing. */
export async function verifySignature(algorithm, parameters, publicKey, signature, data) {
  const format = publicKey instanceof Uint8Array ? "raw" : "jwk";
  let key;
  try {
    key = await crypto.subtle.importKey(format, publicKey, algorithm, false, ["verify"]);
  } catch {
    return false;
  }
  return crypto.subtle.verify(parameters, key, signature, data);
}
