/**
 * A consent receipt: signed by the key that it carries, whose thumbprint (RFC 7638) is the person's id.
 *
 * The signature is Ed25519 over the token, or a passkey's (WebAuthn) over the SHA-256 of the receipt.
 */
import { fromBase64url, toBase64url } from "./base64url.js";
import { canonical, isObject, readCanonical, sameJson } from "./canonical_json.js";
import { readSigned, splitToken } from "./compact_jws.js";
import { PASSKEY_TYPE, requireAssertion } from "./passkey_check.js";
import { openCheckpoint } from "./signed_note.js";
import { Refusal, isMoment, need, sha256, sha256Hex } from "./strict_encoding.js";

const RECEIPT_TYPE = "volens-receipt+jws";
export const RECEIPT_CHECKS = ["form", "person_key", "person_signature", "notice_text", "kept_checkpoint"];
const SCHEMA = "ISO/IEC TS 27560:2023 volens-receipt/2";
const DESK_STATEMENT = "signed at the desk, with the key made there or brought there";
const PURPOSE = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const ORIGIN = /^(https:\/\/([a-z0-9-]+\.)*[a-z0-9-]*[a-z-][a-z0-9-]*|http:\/\/localhost)(:[1-9][0-9]{0,4})?$/;
const JURISDICTION = /^[A-Z]{2}(-[A-Z0-9]{1,3})?$/;

/**
 * Check a receipt, or the take-home file with it; fill in `report`, and return what other documents are compared with:
 * `{sha256, siteId, zone, issuedAt, checkpoint}`.
 */
export async function checkReceipt(report, token, takeHome, site) {
  const { agreed, form } = await readReceipt(token, report);
  const { pii_processing: terms, event } = agreed;
  const [party] = agreed.party_identification;
  report.fact("controller", party.party_name);
  report.fact("contact", party.party_contact);
  report.fact("zone", terms.purpose);
  report.word("custody", "custody", terms.custody);
  report.word("signed_with", "form", form);
  report.limit(`limit_form_${form}`);
  report.moment("signed_at", event.event_time);
  report.moment(event.expires_at < new Date().toISOString() ? "ended_at_latest" : "ends_at_latest", event.expires_at);
  report.fact("jurisdiction", terms.jurisdiction);
  report.fact("alternative", terms.alternative ?? "");
  report.fact("notice_sha256", terms.privacy_notice.sha256);
  if (typeof takeHome.notice === "string") {
    need((await sha256Hex(takeHome.notice)) === terms.privacy_notice.sha256, "problem_notice_text");
    report.holds("notice_text");
  } else {
    report.without("notice_text");
  }
  const checkpoint = await keptCheckpoint(report, takeHome.checkpoint, site);
  const digest = await sha256Hex(token);
  report.fact("receipt_sha256", digest);
  return { sha256: digest, siteId: party.party_id, zone: terms.purpose, issuedAt: event.event_time, checkpoint };
}

/** Return the checkpoint in a take-home file; null if there is none, or no key of the site that it names. */
async function keptCheckpoint(report, note, site) {
  if (typeof note !== "string" || site === null) {
    report.without("kept_checkpoint");
    return null;
  }
  try {
    const checkpoint = await openCheckpoint(note, site);
    report.holds("kept_checkpoint");
    report.fact("log_was", checkpoint.size);
    return checkpoint;
  } catch (error) {
    if (error instanceof Refusal && error.state === "wrong-key") {
      report.without("kept_checkpoint");
      report.limit("limit_other_checkpoint");
      return null;
    }
    throw error;
  }
}

async function readReceipt(token, report) {
  const parts = splitToken(token);
  const agreed = readCanonical(parts.payload);
  requireClaims(agreed);
  const isPasskey = parts.header.typ === PASSKEY_TYPE;
  requireSignatureTerms(agreed.signature, isPasskey);
  report.holds("form");
  const key = agreed.pii_principal_key;
  requireKeyForm(key);
  need(toBase64url(await sha256(canonical(key))) === agreed.pii_principal_id, "problem_person_key");
  report.holds("person_key");
  if (isPasskey) {
    await requireAssertion(parts, key, agreed.signature, token.split(".")[0]);
  } else {
    need(key.kty === "OKP");
    await readSigned(token, RECEIPT_TYPE, [fromBase64url(key.x)]);
  }
  report.holds("person_signature");
  return { agreed, form: agreed.signature.form };
}

function requireClaims(agreed) {
  const { pii_processing: terms, event } = agreed;
  need(agreed.schema_version === SCHEMA, "problem_receipt_version");
  need(/^[0-9a-f]{32}$/.test(agreed.record_id));
  need(isObject(terms) && isObject(event) && isObject(terms.privacy_notice));
  const parties = agreed.party_identification;
  need(Array.isArray(parties) && parties.length === 1 && isObject(parties[0]));
  need(typeof parties[0].party_id === "string");
  const texts = [terms.purpose, terms.jurisdiction, terms.privacy_notice.sha256, agreed.pii_principal_id];
  need(texts.every((one) => typeof one === "string"));
  need(PURPOSE.test(terms.purpose) && JURISDICTION.test(terms.jurisdiction));
  need(/^[0-9a-f]{64}$/.test(terms.privacy_notice.sha256));
  need(["operator", "subject_key", "badge"].includes(terms.custody));
  need(isMoment(event.event_time) && isMoment(event.expires_at) && event.event_time < event.expires_at);
  need(event.event_state === "consent given");
}

/** The member `signature` says who held the key; it must be of the kind that the token is. */
function requireSignatureTerms(said, isPasskey) {
  need(isObject(said) && isPasskey === (said.form === "passkey"));
  if (isPasskey) {
    need(isObject(said, "form", "origin", "relying_party_id") && ORIGIN.test(said.origin));
    need(new URL(said.origin).hostname === said.relying_party_id && new URL(said.origin).origin === said.origin);
  } else {
    const isDesk = said.form === "desk" && sameJson(said, { form: "desk", statement: DESK_STATEMENT });
    need(isDesk || (said.form === "person_key" && isObject(said, "form")));
  }
}

/** A JWK with its required members only, in their canonical form: Ed25519, P-256, or RSA of 2048 to 4096 bits. */
function requireKeyForm(key) {
  need(isObject(key));
  if (key.kty === "OKP") {
    need(isObject(key, "crv", "kty", "x") && key.crv === "Ed25519" && fromBase64url(key.x).length === 32);
  } else if (key.kty === "EC") {
    need(isObject(key, "crv", "kty", "x", "y") && key.crv === "P-256");
    need(fromBase64url(key.x).length === 32 && fromBase64url(key.y).length === 32);
  } else {
    need(isObject(key, "e", "kty", "n") && key.kty === "RSA" && key.e === "AQAB");
    const modulus = fromBase64url(key.n);
    const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
    need(modulus[0] > 0 && modulus.at(-1) % 2 === 1 && bits >= 2048 && bits <= 4096);
  }
}
