/**
 * A passkey's signature (WebAuthn assertion) over a receipt.
 */
import { fromBase64url, toBase64url } from "./base64url.js";
import { canonicalBytes, isObject, readCanonical, readJson } from "./canonical_json.js";
import { ED25519, verifySignature } from "./compact_jws.js";
import { fromUtf8, joined, need, sameBytes, sha256 } from "./strict_encoding.js";

export const PASSKEY_TYPE = "volens-receipt+webauthn";
const ALGORITHMS = { OKP: "EdDSA", EC: "ES256", RSA: "RS256" };
const PRESENT_AND_VERIFIED = 0x05;
const BACKUP_ELIGIBLE = 0x08;
const BACKUP_STATE = 0x10;
const ATTESTED_DATA = 0x40;
const EXTENSION_DATA = 0x80;
const MAX_CBOR_DEPTH = 4;

/**
 * Refuse unless the third segment is a passkey's assertion (WebAuthn 3, section 7.2) over this receipt: made to sign in
 * (`webauthn.get`), for the origin and relying party that the receipt names, with the person present and verified, over
 * the SHA-256 of the receipt as challenge. The counter is not compared: there is only this one signature.
 */
export async function requireAssertion({ payload, signature: segment }, key, terms, headerSegment) {
  const algorithm = ALGORITHMS[key.kty];
  // Exactly these bytes: a passkey does not sign the header, so another spelling would be another token of it.
  const header = toBase64url(canonicalBytes({ alg: algorithm, typ: PASSKEY_TYPE }));
  need(headerSegment === header, "problem_header");
  const parts = readCanonical(segment);
  need(isObject(parts, "authenticator_data", "client_data_json", "signature"));
  const authenticator = fromBase64url(parts.authenticator_data);
  const clientData = fromBase64url(parts.client_data_json);
  const signature = fromBase64url(parts.signature);
  need(authenticator.length <= 1024 && clientData.length <= 4096 && signature.length >= 1 && signature.length <= 512);
  need(endOfAuthenticatorData(authenticator) === authenticator.length);
  const client = readJson(fromUtf8(clientData).replace(/^\ufeff/, ""));
  need(isObject(client));
  need(client.type === "webauthn.get", "problem_passkey_type");
  need(client.challenge === toBase64url(await sha256(payload)), "problem_passkey_challenge");
  requireFlags(authenticator[32]);
  const signed = joined(authenticator, await sha256(clientData));
  need(await verifyAssertion(algorithm, key, signature, signed), "problem_signature");
  need(client.origin === terms.origin && client.topOrigin === undefined, "problem_passkey_origin");
  need((client.crossOrigin ?? false) === false && client.crossOrigin !== null, "problem_passkey_origin");
  const party = await sha256(terms.relying_party_id);
  need(sameBytes(authenticator.subarray(0, 32), party), "problem_passkey_origin");
}

function requireFlags(flags) {
  need((flags & PRESENT_AND_VERIFIED) === PRESENT_AND_VERIFIED, "problem_passkey_flags");
  need((flags & BACKUP_ELIGIBLE) !== 0 || (flags & BACKUP_STATE) === 0, "problem_form");
}

/** Where authenticator data ends by its flags (WebAuthn 3, section 6.1): after 37 bytes, or after one map of CBOR. */
function endOfAuthenticatorData(data) {
  need(data.length >= 37 && (data[32] & ATTESTED_DATA) === 0);
  if ((data[32] & EXTENSION_DATA) === 0) {
    return 37;
  }
  need(data[37] >> 5 === 5);
  return endOfItem(data, 37, 0);
}

/** Where an item of CBOR with a definite length ends (RFC 8949, appendix C). */
function endOfItem(data, start, depth) {
  const major = data[start] >> 5;
  const info = data[start] & 31;
  need(start < data.length && info <= 27 && depth <= MAX_CBOR_DEPTH);
  const size = info < 24 ? 0 : 2 ** (info - 24);
  let at = start + 1 + size;
  const number = data.subarray(start + 1, at).reduce((value, byte) => value * 256 + byte, 0);
  const value = size === 0 ? info : number;
  if (major === 2 || major === 3) {
    return at + value;
  }
  const items = { 4: value, 5: 2 * value, 6: 1 }[major] ?? 0;
  for (let item = 0; item < items; item += 1) {
    at = endOfItem(data, at, depth + 1);
  }
  return at;
}

async function verifyAssertion(algorithm, key, signature, signed) {
  if (algorithm === "EdDSA") {
    return verifySignature(ED25519, ED25519, fromBase64url(key.x), signature, signed);
  }
  const jwk = { ...key };
  if (algorithm === "ES256") {
    const ecdsa = { name: "ECDSA", namedCurve: "P-256" };
    return verifySignature(ecdsa, { name: "ECDSA", hash: "SHA-256" }, jwk, rawFromDer(signature), signed);
  }
  return verifySignature({ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, "RSASSA-PKCS1-v1_5", jwk, signature, signed);
}

/** Return r || s (64 bytes) of an ECDSA signature in DER; another encoding of the same two numbers is refused. */
function rawFromDer(der) {
  const r = derInteger(der, 2);
  const s = derInteger(der, 2 + r.length);
  need(der[0] === 0x30 && der[1] === der.length - 2 && 2 + r.length + s.length === der.length, "problem_signature");
  return joined(r.number, s.number);
}

function derInteger(der, at) {
  const size = der[at + 1];
  need(der[at] === 0x02 && size >= 1 && size <= 33 && at + 2 + size <= der.length, "problem_signature");
  const bytes = der.subarray(at + 2, at + 2 + size);
  const isPadded = bytes[0] === 0;
  need(bytes[0] < 0x80 && (!isPadded || (size > 1 && bytes[1] >= 0x80)), "problem_signature");
  const digits = isPadded ? bytes.subarray(1) : bytes;
  need(digits.length <= 32, "problem_signature");
  const number = new Uint8Array(32);
  number.set(digits, 32 - digits.length);
  return { number, length: 2 + size };
}
