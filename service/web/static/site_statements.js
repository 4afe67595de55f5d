/**
 * What a site signs: certificates, access answers, acknowledgements, refusals and policies.
 */
import { fromBase64url } from "./base64url.js";
import { canonical, canonicalBytes, isObject, readJson, sameJson } from "./canonical_json.js";
import { peekToken, readSigned } from "./compact_jws.js";
import { checkEntry, requireConsistency } from "./merkle_tree.js";
import { openCheckpoint, refuseOtherOrigin, refuseOtherSigner } from "./signed_note.js";
import { Refusal, fromBase64, fromUtf8, isMoment, need, plainBytes, sha256Hex } from "./strict_encoding.js";

export const CERTIFICATE_CHECKS = ["form", "site_signature", "checkpoint", "log_entry", "searched", "acknowledgements"];
export const ANSWER_CHECKS = ["form", "site_signature", "files", "checkpoint", "log_entry"];
export const ACKNOWLEDGEMENT_CHECKS = ["form", "site_signature", "recipient_signature"];
export const POLICY_CHECKS = ["form", "site_signature", "policy_text"];
export const REFUSAL_CHECKS = ["form", "site_signature"];
export const ACKNOWLEDGEMENT_TYPE = "volens-erasure-acknowledgement+jws";
const REFUSAL_TYPE = "volens-refusal+jws";
export const ANSWER_FILE = "answer.jws";
const CERTIFICATE_TYPE = "volens-erasure-certificate+jws";
const ANSWER_TYPE = "volens-access-answer+jws";
const STATEMENT_TYPE = "volens-recipient-statement+jws";
const POLICY_TYPE = "volens-retention-policy+jws";
const POLICY_SIGNATURE = "volens:signature";

/** Return the payload of a token of the site; if the signature does not hold, say whose the document says it is. */
async function readSiteToken(token, typ, site, { noteOf = () => null, siteIdOf = () => null }) {
  try {
    return await readSigned(token, typ, site.publicKeys);
  } catch (error) {
    const payload = peekToken(token, typ);
    const siteId = siteIdOf(payload);
    refuseOtherSigner(noteOf(payload), site);
    refuseOtherOrigin(typeof siteId === "string" ? `volens/${siteId}` : site.name, site);
    throw error;
  }
}

/** Return `{said, checkpoint}` of a statement that the site signed, whose log entry commits to it; see `details`. */
async function readLogged(token, typ, site, report, kind, details) {
  const said = await readSiteToken(token, typ, site, { noteOf: (payload) => payload.log?.checkpoint });
  need(isObject(said.statement) && isObject(said.log));
  report.holds("site_signature");
  return { statement: said.statement, entry: said.log, prove: () => proveLogged(said, site, report, kind, details) };
}

async function proveLogged(said, site, report, kind, details) {
  const checkpoint = await openCheckpoint(said.log.checkpoint, site);
  report.holds("checkpoint");
  const found = await checkEntry(said.log, checkpoint);
  const digest = await sha256Hex(canonicalBytes(said.statement));
  need(found === kind && sameJson(said.log.details, details(said.statement, digest)), "problem_log_entry");
  report.holds("log_entry");
  report.fact("log_place", `${said.log.index + 1} / ${checkpoint.size}`);
  return checkpoint;
}

/**
 * Check a certificate of erasure (a file); fill in `report`, and return what other documents are compared with:
 * `{receiptSha256, certificateId, siteId, zone, endedAt, statement, entry, checkpoint}`.
 */
export async function checkCertificate(report, data, site) {
  const { token, acknowledgements, witnessed } = certificateFile(data);
  const details = (statement, digest) => ({ certificate_id: statement.certificate_id, statement_sha256: digest });
  report.holds("form");
  const logged = await readLogged(token, CERTIFICATE_TYPE, site, report, "erasure.certified", details);
  const { statement, entry } = logged;
  need([1, 2, 3].includes(statement.version), "problem_version");
  const texts = [statement.certificate_id, statement.receipt_sha256, statement.zone, statement.reason];
  need(texts.every((one) => typeof one === "string") && isMoment(statement.ended_at) && isMoment(statement.erased_at));
  const checkpoint = await logged.prove();
  requireNothingFound(statement);
  report.holds("searched");
  for (const one of acknowledgements) {
    const answer = await readAcknowledgement(one, site);
    need(answer.certificate_id === statement.certificate_id, "problem_other_acknowledgement");
    report.fact("acknowledged_by", answer.recipient);
  }
  if (acknowledgements.length > 0) {
    report.holds("acknowledgements");
  } else {
    report.without("acknowledgements");
  }
  if (witnessed !== undefined) {
    await requireWitnessed(witnessed, checkpoint, site);
  }
  sayCertificate(report, statement);
  return {
    receiptSha256: statement.receipt_sha256,
    certificateId: statement.certificate_id,
    siteId: statement.site_id,
    zone: statement.zone,
    endedAt: statement.ended_at,
    statement,
    entry,
    checkpoint,
  };
}

function certificateFile(data) {
  const text = fromUtf8(plainBytes(data));
  const file = readJson(text);
  const more = file.acknowledgements ?? [];
  need(typeof file.certificate === "string" && Array.isArray(more) && more.every((one) => typeof one === "string"));
  const list = more.length > 0 ? `, "acknowledgements": [${more.map((one) => JSON.stringify(one)).join(", ")}]` : "";
  const evidence = file.witnessed === undefined ? "" : `, "witnessed": ${witnessedText(file.witnessed)}`;
  need(`{"certificate": ${JSON.stringify(file.certificate)}${list}${evidence}}\n` === text);
  return { token: file.certificate, acknowledgements: more, witnessed: file.witnessed };
}

/** The later checkpoint in the form that the site writes: JSON in ASCII, with a blank after each comma and colon. */
function witnessedText(witnessed) {
  need(isObject(witnessed) && typeof witnessed.checkpoint === "string" && Array.isArray(witnessed.consistency));
  const escaped = (text) => `\\u${text.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const note = JSON.stringify(witnessed.checkpoint).replace(/[\u0080-\uffff]/g, escaped);
  return `{"checkpoint": ${note}, "consistency": [${witnessed.consistency.map((one) => JSON.stringify(one)).join(", ")}]}`;
}

/** Refuse unless the later checkpoint is by the site and continues the log of the certificate's own checkpoint. */
async function requireWitnessed(witnessed, checkpoint, site) {
  const later = await openCheckpoint(witnessed.checkpoint, site);
  const proof = witnessed.consistency.map((one) => fromBase64(one));
  await requireConsistency(checkpoint.size, later.size, proof, checkpoint.root, later.root);
}

function requireNothingFound(statement) {
  need(Array.isArray(statement.searched) && Array.isArray(statement.search_after ?? []));
  const found = statement.searched.map((one) => one.found);
  const after = (statement.search_after ?? []).map((one) => one.found ?? false);
  need([...found, ...after].every((one) => one === 0 || one === false), "problem_found");
}

function sayCertificate(report, statement) {
  report.fact("controller", statement.controller);
  report.fact("zone", statement.zone);
  report.word("ended_because", "reason", statement.reason);
  report.moment("matching_ended", statement.ended_at);
  report.moment("erased_at", statement.erased_at);
  for (const [what, count] of Object.entries(statement.destroyed ?? {})) {
    report.fact("destroyed", `${what}: ${count}`);
  }
  const pieces = statement.searched.reduce((sum, one) => sum + Number(one.pieces), 0);
  report.fact("searched_for", pieces);
  report.fact("searched_in", (statement.searched_in ?? []).map((one) => one.name).join(", "));
  report.fact("recipients", (statement.recipients ?? []).map((one) => one.name).join(", "));
  report.fact("certificate_id", statement.certificate_id);
  report.fact("receipt_sha256", statement.receipt_sha256);
}

async function readAcknowledgement(token, site) {
  const answer = await readSigned(token, ACKNOWLEDGEMENT_TYPE, site.publicKeys);
  const texts = [answer.certificate_id, answer.recipient, answer.acknowledged_at];
  need(texts.every((one) => typeof one === "string"));
  if (answer.statement !== undefined) {
    const theirs = await readSigned(answer.statement.trim(), STATEMENT_TYPE, [fromBase64url(answer.recipient_key)]);
    const isSame = theirs.certificate_id === answer.certificate_id && theirs.statement === "erased";
    need(isSame, "problem_other_acknowledgement");
  }
  return answer;
}

/** Check an acknowledgement that stands alone, a bare token of the site. */
export async function checkAcknowledgement(report, token, site) {
  const answer = await readAcknowledgement(token, site);
  report.holds("form");
  report.holds("site_signature");
  if (answer.statement === undefined) {
    report.without("recipient_signature");
    report.limit("limit_recorded_by_operator");
  } else {
    report.holds("recipient_signature");
  }
  report.fact("recipient", answer.recipient);
  report.moment("acknowledged_at", answer.acknowledged_at);
  report.word("recorded_by", "recorded", answer.statement === undefined ? "operator" : "recipient");
  report.fact("certificate_id", answer.certificate_id);
  return { certificateId: answer.certificate_id };
}

/** Check an access answer: a map of the files in the zip. Return `{receipts, checkpoint}`. */
export async function checkAnswer(report, files, site) {
  const token = fromUtf8(plainBytes(files.get(ANSWER_FILE))).trim();
  const details = (_statement, digest) => ({ answer_sha256: digest });
  report.holds("form");
  const logged = await readLogged(token, ANSWER_TYPE, site, report, "access.answered", details);
  const { statement } = logged;
  need(statement.version === 1, "problem_version");
  await requireListedFiles(files, statement.files, [ANSWER_FILE]);
  report.holds("files");
  const checkpoint = await logged.prove();
  report.fact("controller", statement.controller?.name ?? "");
  report.moment("answered_at", statement.answered_at);
  report.word("holds_anything", "held", statement.holds_anything === true ? "yes" : "no");
  for (const one of statement.searched_for) {
    report.fact("searched_text", one.text);
  }
  report.fact("consents_found", statement.searched.length);
  report.fact("file_count", files.size - 1);
  report.fact("not_searched", statement.not_searched ?? "");
  return { receipts: statement.searched.map((one) => one.receipt_sha256), checkpoint };
}

/** Refuse unless `listed` has exactly the names of `files` without `others`, each with its SHA-256 in hexadecimal. */
export async function requireListedFiles(files, listed, others) {
  need(isObject(listed));
  const names = [...files.keys()].filter((name) => !others.includes(name));
  need(canonical(names.sort()) === canonical(Object.keys(listed).sort()), "problem_file_list");
  for (const name of names) {
    need((await sha256Hex(files.get(name))) === listed[name], "problem_file_changed", { file: name });
  }
}

/** Check a retention policy: JSON in any layout, signed over its canonical form. */
export async function checkPolicy(report, data, site) {
  const { [POLICY_SIGNATURE]: token, ...policy } = readJson(fromUtf8(plainBytes(data)));
  need(typeof token === "string");
  report.holds("form");
  let said;
  try {
    said = await readSigned(token, POLICY_TYPE, site.publicKeys);
  } catch (error) {
    refuseOtherOrigin(`volens/${policy["volens:site"]}`, site);
    throw error;
  }
  need(said.v === 1, "problem_version");
  report.holds("site_signature");
  need(said.policy_sha256 === (await sha256Hex(canonicalBytes(policy))), "problem_policy_text");
  report.holds("policy_text");
  report.fact("controller", policy["dpv:hasDataController"]["dpv:hasName"]);
  report.fact("contact", policy["dpv:hasDataController"]["dpv:hasContact"]);
  report.moment("issued_at", policy["dct:issued"]);
  for (const zone of policy["dpv:hasPersonalDataProcess"]) {
    report.fact("zone_and_days", `${zone["volens:zone"]}: ${zone["volens:retentionDays"]}`);
  }
  return {};
}

/** Check a refusal receipt (a file): a person said no. */
export async function checkRefusal(report, data, site) {
  const text = fromUtf8(plainBytes(data));
  const token = readJson(text).refusal;
  need(typeof token === "string" && `{"refusal": ${JSON.stringify(token)}}\n` === text);
  report.holds("form");
  const said = await readSiteToken(token, REFUSAL_TYPE, site, { siteIdOf: (payload) => payload.controller?.site_id });
  need(said.version === 1 && /^[0-9a-f]{32}$/.test(said.refusal_id), "problem_version");
  need(isMoment(`${said.refused_on}T00:00:00Z`) && isObject(said.controller));
  report.holds("site_signature");
  report.fact("controller", said.controller.name);
  report.fact("contact", said.controller.contact);
  report.fact("zone", said.zone);
  report.fact("refused_on", said.refused_on);
  report.fact("refusal_id", said.refusal_id);
  return {};
}

/** Refuse a certificate that names a receipt and contradicts it; return whether it is about the receipt's consent. */
export function isAbout(certificate, receipt) {
  if (certificate.receiptSha256 !== receipt.sha256) {
    return false;
  }
  const isSame = certificate.siteId === receipt.siteId && certificate.zone === receipt.zone;
  if (!isSame || certificate.endedAt < receipt.issuedAt) {
    throw new Refusal("problem_contradicts_receipt");
  }
  return true;
}
