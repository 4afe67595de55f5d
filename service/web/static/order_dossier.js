/**
 * The dossier of an erasure by order: plan, approvals, counts, certificates and the log, in one list of files.
 *
 * The numbers are those of docs/certificate-format.md, section 10.
 */
import { fromBase64url } from "./base64url.js";
import { canonicalBytes, readJson, sameJson } from "./canonical_json.js";
import { readSigned } from "./compact_jws.js";
import { checkEntry, checkInclusion, requireConsistency } from "./merkle_tree.js";
import { openCheckpoint, readSiteKey } from "./signed_note.js";
import { CERTIFICATE_CHECKS, checkCertificate, requireListedFiles } from "./site_statements.js";
import {
  Refusal,
  fromBase64,
  fromHex,
  fromUtf8,
  joined,
  need,
  plainBytes,
  sha256Hex,
  toHex,
} from "./strict_encoding.js";
import { Report } from "./verdict_report.js";

export const DOSSIER_CHECKS = ["manifest", "plan", "approvals", "certificates", "consistency", "entries", "counts"];
export const DOSSIER_SIGNATURE = "manifest.sig.json";
const MANIFEST = "manifest.json";
const REFERENCE = "sealed embedding";

/** Check a dossier: a map of names to bytes. Return `{receipts, checkpoint}`. */
export async function checkDossier(report, files, site, onProgress) {
  // 1.
  const manifest = await readManifest(files, site);
  report.holds("manifest");
  const json = (name) => readJson(fromUtf8(plainBytes(files.get(name))));
  const { before, after } = json("counts.json");
  const proofs = json("log.json");
  // 2.
  const order = { token: memberOf(files, "plan.json", "plan"), cohort_id: manifest.cohort_id };
  const plan = await readSigned(order.token, "volens-cohort-plan+jws", site.publicKeys);
  need(plan.version === 1 && plan.cohort_id === order.cohort_id, "problem_plan");
  report.holds("plan");
  await checkApprovals(files, before, order.token, plan);
  report.holds("approvals");
  // 3.
  const certificates = await checkCertificates(files, site, plan, after, onProgress);
  report.holds("certificates");
  // 4.
  const old = await openCheckpoint(proofs.before, site);
  const now = await openCheckpoint(proofs.after, site);
  await requireConsistency(old.size, now.size, proofs.consistency.map(fromBase64), old.root, now.root);
  report.holds("consistency");
  // 5.
  await checkEntries(proofs, order, before, after, certificates, old, now);
  report.holds("entries");
  // 6.
  checkCounts(before, after, certificates);
  report.holds("counts");
  sayDossier(report, plan, before, after, certificates);
  return { receipts: [...certificates.values()].map((one) => one.receiptSha256), checkpoint: now };
}

function sayDossier(report, plan, before, after, certificates) {
  report.fact("controller", plan.controller);
  report.fact("ordered", Object.entries(plan.selection).map(([name, value]) => `${name} ${value}`).join(", "));
  report.moment("planned_at", plan.made_at);
  report.fact("approved_by", before.approved_by.map((one) => one.operator).join(", "));
  report.moment("counted_before", before.measured_at);
  report.fact("people_before", before.cohort.people);
  report.moment("counted_after", after.measured_at);
  report.fact("people_after", after.cohort.people);
  report.fact("certificate_count", certificates.size);
  report.fact("cohort_id", plan.cohort_id);
}

async function readManifest(files, site) {
  need(files.has(MANIFEST) && files.has(DOSSIER_SIGNATURE));
  const data = plainBytes(files.get(MANIFEST));
  let said;
  try {
    said = await readSigned(memberOf(files, DOSSIER_SIGNATURE, "dossier"), "volens-dossier+jws", site.publicKeys);
  } catch (error) {
    await refuseOtherKey(files.get("site.pub"), site);
    throw error;
  }
  const manifest = readJson(fromUtf8(data));
  need(said.version === 1 && manifest.version === 1);
  need(said.manifest_sha256 === (await sha256Hex(data)) && said.cohort_id === manifest.cohort_id, "problem_manifest");
  for (const [name, content] of files) {
    const plain = plainBytes(content);
    files.set(name, (await sha256Hex(plain)) === manifest.files[name] ? plain : content);
  }
  await requireListedFiles(files, manifest.files, [MANIFEST, DOSSIER_SIGNATURE]);
  return manifest;
}

async function refuseOtherKey(carried, site) {
  const other = carried ? await readSiteKey(carried).catch(() => null) : null;
  if (other !== null && other.line !== site.line) {
    const values = { signer: other.name, key: other.keys[0].keyId, site: site.name, known: site.keys[0].keyId };
    throw new Refusal("problem_other_site", values, "wrong-key");
  }
}

function memberOf(files, name, member) {
  const value = readJson(fromUtf8(plainBytes(files.get(name))))[member];
  need(typeof value === "string");
  return value;
}

async function checkApprovals(files, before, planToken, plan) {
  const digest = await sha256Hex(planToken);
  const keys = new Set();
  for (const [at, who] of before.approved_by.entries()) {
    const token = memberOf(files, `approvals/${at + 1}.json`, "approval");
    const said = await readSigned(token, "volens-approval+jws", [fromBase64url(who.public_key)]);
    need(said.plan_sha256 === digest && (await sha256Hex(token)) === who.approval_sha256, "problem_approval");
    need(plan.made_at <= said.approved_at && said.approved_at <= plan.good_until, "problem_approval");
    keys.add(who.public_key);
  }
  const given = [...files.keys()].filter((name) => name.startsWith("approvals/")).length;
  need(keys.size === before.approved_by.length && keys.size === given, "problem_approval");
  need(before.operators_required <= 1 || keys.size >= before.operators_required, "problem_approval");
}

/** Return a map of certificate ids to what `checkCertificate` returns, once they are of exactly the planned people. */
async function checkCertificates(files, site, plan, after, onProgress) {
  const names = [...files.keys()].filter((name) => name.startsWith("certificates/"));
  const certificates = new Map();
  for (const [at, name] of names.entries()) {
    const report = new Report(name, "certificate", CERTIFICATE_CHECKS);
    await report.run(() => checkCertificate(report, files.get(name), site));
    need(report.state === "valid", "problem_dossier_certificate", { file: name });
    need(name === `certificates/${report.content.certificateId}.json`, "problem_dossier_certificate", { file: name });
    certificates.set(report.content.certificateId, report.content);
    onProgress((at + 1) / names.length);
  }
  const receipts = [...certificates.values()].map((one) => one.receiptSha256).sort();
  need(new Set(receipts).size === certificates.size, "problem_dossier_people");
  const members = await sha256Hex(joined(fromHex(plan.salt), ...receipts.map(fromHex)));
  need(members === plan.members_sha256 && after.certificates === certificates.size, "problem_dossier_people");
  return certificates;
}

async function checkEntries(proofs, order, before, after, certificates, old, now) {
  const entries = [];
  for (const entry of proofs.entries) {
    entries.push({ kind: await checkEntry(entry, now), details: entry.details, index: entry.index });
  }
  const ofKind = (kind) => entries.filter((one) => one.kind === kind);
  const [begun, ...moreBegun] = ofKind("cohort.begun");
  const [finished, ...moreFinished] = ofKind("cohort.finished");
  need(moreBegun.length === 0 && moreFinished.length === 0, "problem_dossier_log");
  const { cohort_id } = order;
  const plan_sha256 = await sha256Hex(order.token);
  const before_sha256 = await sha256Hex(canonicalBytes(before));
  need(sameJson(begun.details, { cohort_id, plan_sha256, before_sha256 }), "problem_dossier_log");
  const certificates_sha256 = await sha256Hex([...certificates.keys()].sort().join("\n"));
  const after_sha256 = await sha256Hex(canonicalBytes(after));
  need(sameJson(finished.details, { cohort_id, after_sha256, certificates_sha256 }), "problem_dossier_log");
  need(begun.index === old.size - 1 && finished.index === now.size - 1, "problem_dossier_log");
  const stops = after.collecting_stopped_by.map(({ placed_at: _, ...stop }) => stop);
  need(sameJson(ofKind("collecting.stopped").map((one) => one.details), stops), "problem_dossier_log");
  const added = ofKind("operator.added");
  const named = added.map(({ details }) => [details.operator, details.public_key]);
  const approved = before.approved_by.map((who) => [who.operator, toHex(fromBase64url(who.public_key))]);
  need(sameJson(named, approved) && added.every((one) => one.index < begun.index), "problem_dossier_log");
  need(entries.length === 2 + stops.length + added.length, "problem_dossier_log");
  const left = new Set(before.left_since_plan);
  need(sameJson(Object.keys(proofs.certificates).sort(), [...certificates.keys()].sort()), "problem_dossier_log");
  for (const [name, place] of Object.entries(proofs.certificates)) {
    const { entry, receiptSha256 } = certificates.get(name);
    need(entry.index === place.index, "problem_dossier_log");
    await checkInclusion(fromBase64(entry.leaf), entry.index, place.proof, now);
    need(entry.index > begun.index || left.has(receiptSha256), "problem_dossier_log");
  }
}

function checkCounts(before, after, certificates) {
  const left = new Set(before.left_since_plan);
  const mine = [...certificates.values()].filter((one) => !left.has(one.receiptSha256));
  need(certificates.size - mine.length === left.size, "problem_dossier_counts");
  const zones = {};
  for (const { zone, statement } of mine) {
    zones[zone] ??= { consents: 0, references: 0 };
    zones[zone].consents += 1;
    zones[zone].references += statement.destroyed[REFERENCE] ?? 0;
  }
  need(sameJson(before.cohort.zones, zones), "problem_dossier_counts");
  for (const what of ["consents", "references"]) {
    const total = Object.values(zones).reduce((sum, zone) => sum + zone[what], 0);
    need(before.cohort[what] - after.cohort[what] === total, "problem_dossier_counts");
  }
  const { people, consents, references } = after.cohort;
  need(people === 0 && consents === 0 && references === 0, "problem_dossier_counts");
}
