/**
 * The documents that a visitor drops: what each one is, its report, and what they say about each other.
 */
import { readJson } from "./canonical_json.js";
import { typeOf } from "./compact_jws.js";
import { LOG_CHECKS, checkLog, isLogStart } from "./log_stream.js";
import { DOSSIER_CHECKS, DOSSIER_SIGNATURE, checkDossier } from "./order_dossier.js";
import { RECEIPT_CHECKS, checkReceipt } from "./receipt_check.js";
import { openCheckpoint, readSiteKey } from "./signed_note.js";
import {
  ACKNOWLEDGEMENT_CHECKS,
  ACKNOWLEDGEMENT_TYPE,
  ANSWER_CHECKS,
  ANSWER_FILE,
  CERTIFICATE_CHECKS,
  POLICY_CHECKS,
  REFUSAL_CHECKS,
  checkAcknowledgement,
  checkAnswer,
  checkCertificate,
  checkPolicy,
  checkRefusal,
  isAbout,
} from "./site_statements.js";
import { Refusal, fromUtf8, need, plainBytes } from "./strict_encoding.js";
import { Report } from "./verdict_report.js";
import { readZip } from "./zip_reader.js";

const MAX_FILE_BYTES = 64 * 1024 * 1024;
const START_BYTES = 64 * 1024;
const SITE_KEY = /^volens\/[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+\s/;
const NOTE = /^volens\/[^+\s]+\n[0-9]/;
const TOKEN = /^[A-Za-z0-9_=-]+(\.[A-Za-z0-9_=-]*)+$/;

/** What is done for each kind: the planned checks, whether `site.pub` is needed, and the function that checks. */
const KINDS = {
  receipt: { planned: RECEIPT_CHECKS, check: receiptOf, isSelfContained: true },
  certificate: { planned: CERTIFICATE_CHECKS, check: ofData(checkCertificate) },
  answer: { planned: ANSWER_CHECKS, check: ofFiles(checkAnswer) },
  acknowledgement: { planned: ACKNOWLEDGEMENT_CHECKS, check: ofToken(checkAcknowledgement) },
  refusal: { planned: REFUSAL_CHECKS, check: ofData(checkRefusal) },
  policy: { planned: POLICY_CHECKS, check: ofData(checkPolicy) },
  checkpoint: { planned: ["checkpoint"], check: checkpointOf },
  dossier: { planned: DOSSIER_CHECKS, check: ofFiles(checkDossier) },
  log: { planned: LOG_CHECKS, check: checkLogFile },
  unknown: { planned: [], check: refuseUnknown, isSelfContained: true },
};

/**
 * Return what was dropped as documents: `{name, kind, file, files, data}`; a folder with a dossier is one document.
 *
 * `dropped` is a list of `{path, file}`; the path has the folders, with `/` between them.
 */
export async function sortDocuments(dropped) {
  const folders = dropped
    .filter(({ path }) => path.endsWith(`/${DOSSIER_SIGNATURE}`))
    .map(({ path }) => path.slice(0, -DOSSIER_SIGNATURE.length));
  const documents = [];
  for (const folder of folders) {
    const inside = dropped.filter(({ path }) => path.startsWith(folder));
    const read = async ({ path, file }) => [path.slice(folder.length), await bytesOf(file)];
    documents.push({ name: folder, kind: "dossier", files: new Map(await Promise.all(inside.map(read))) });
  }
  for (const { path, file } of dropped) {
    if (!folders.some((folder) => path.startsWith(folder))) {
      documents.push(await documentOf(path, file));
    }
  }
  return documents;
}

async function documentOf(name, file) {
  const start = plainBytes(await bytesOf(file.slice(0, START_BYTES)));
  if (isLogStart(start)) {
    return { name, kind: "log", file };
  }
  if (file.size > MAX_FILE_BYTES) {
    return { name, kind: "unknown", problem: "problem_too_large" };
  }
  const data = await bytesOf(file);
  if (start[0] === 0x50 && start[1] === 0x4b) {
    return zipDocument(name, data);
  }
  return { name, data, ...kindOfText(new TextDecoder().decode(plainBytes(data))) };
}

async function zipDocument(name, data) {
  try {
    const files = await readZip(data);
    const signature = [...files.keys()].find((one) => `/${one}`.endsWith(`/${DOSSIER_SIGNATURE}`));
    if (signature === undefined) {
      return { name, kind: files.has(ANSWER_FILE) ? "answer" : "unknown", files };
    }
    const folder = signature.slice(0, -DOSSIER_SIGNATURE.length);
    const inside = [...files].map(([path, content]) => [path.slice(folder.length), content]);
    return { name, kind: "dossier", files: new Map(inside) };
  } catch (error) {
    return { name, kind: "unknown", problem: error instanceof Refusal ? error.text : "problem_zip" };
  }
}

function kindOfText(text) {
  const trimmed = text.trim();
  if (SITE_KEY.test(`${trimmed}\n`)) {
    return { kind: "site_key" };
  }
  if (NOTE.test(text)) {
    return { kind: "checkpoint" };
  }
  if (trimmed.startsWith("{")) {
    return kindOfJson(trimmed);
  }
  if (TOKEN.test(trimmed)) {
    return kindOfToken(trimmed);
  }
  return { kind: "unknown" };
}

function kindOfJson(text) {
  let file;
  try {
    file = readJson(text);
  } catch {
    return { kind: "unknown", problem: "problem_json" };
  }
  const byMember = {
    receipt: "receipt",
    certificate: "certificate",
    refusal: "refusal",
    "volens:signature": "policy",
  };
  const member = Object.keys(byMember).find((one) => file[one] !== undefined);
  if (member !== undefined) {
    return { kind: byMember[member] };
  }
  const isPart = ["dossier", "approval", "plan", "statement"].some((one) => file[one] !== undefined);
  return { kind: "unknown", problem: isPart ? "problem_part_of_dossier" : undefined };
}

function kindOfToken(token) {
  const typ = typeOf(token);
  if (typ === ACKNOWLEDGEMENT_TYPE) {
    return { kind: "acknowledgement" };
  }
  if (typ === "volens-access-answer+jws") {
    return { kind: "unknown", problem: "problem_part_of_answer" };
  }
  if (typ === "volens-recipient-statement+jws") {
    return { kind: "unknown", problem: "problem_recipient_statement" };
  }
  return { kind: "receipt" };
}

/**
 * Return the reports of documents; `site` is what `readSiteKey` returns, or null without a key.
 *
 * Logs come last, because they must continue the checkpoints in the other documents that hold.
 */
export async function checkDocuments(documents, site, onProgress) {
  const reports = [];
  const evidence = [];
  const order = [...documents].sort((one, other) => Number(one.kind === "log") - Number(other.kind === "log"));
  for (const document of order) {
    const { planned, check, isSelfContained } = KINDS[document.kind];
    const report = new Report(document.name, document.kind, planned);
    if (site === null && !isSelfContained) {
      report.refuse(new Refusal("problem_no_key", {}, "no-key"));
    } else {
      await report.run(() => check(report, document, site, onProgress, evidence));
    }
    if (report.content?.checkpoint) {
      evidence.push(report.content.checkpoint);
    }
    reports.push(report);
  }
  compareWithReceipts(reports);
  return reports;
}

/** Say of each certificate, dossier and access answer whether it is about the consents of the receipts beside it. */
function compareWithReceipts(reports) {
  const valid = (kind) => reports.filter((one) => one.kind === kind && one.state === "valid");
  const certificates = valid("certificate");
  for (const receipt of valid("receipt")) {
    let isFound = false;
    for (const certificate of certificates) {
      isFound = compareCertificate(certificate, receipt) || isFound;
    }
    for (const other of [...valid("dossier"), ...valid("answer")]) {
      const isFor = other.content.receipts.includes(receipt.content.sha256);
      const text = `note_${other.kind}_${isFor ? "about" : "not_about"}`;
      other.note(text, { file: receipt.name }, isFor ? "holds" : "open");
    }
    if (certificates.length > 0 && !isFound) {
      receipt.note("note_no_certificate", {}, "fails");
    }
  }
}

function compareCertificate(certificate, receipt) {
  if (certificate.state !== "valid") {
    return false;
  }
  try {
    const isSame = isAbout(certificate.content, receipt.content);
    const text = isSame ? "note_certificate_about" : "note_certificate_not_about";
    certificate.note(text, { file: receipt.name }, isSame ? "holds" : "open");
    if (isSame) {
      receipt.note("note_receipt_erased", { file: certificate.name }, "holds");
    }
    return isSame;
  } catch (error) {
    certificate.refuse(error instanceof Refusal ? error : new Refusal("problem_form"));
    return true;
  }
}

async function receiptOf(report, { data }, site) {
  const text = fromUtf8(plainBytes(data));
  if (!text.trim().startsWith("{")) {
    return checkReceipt(report, text.trim(), {}, site);
  }
  const takeHome = readJson(text);
  need(takeHome.format === "volens-take-home/1" && typeof takeHome.receipt === "string");
  return checkReceipt(report, takeHome.receipt, takeHome, site);
}

async function checkpointOf(report, { data }, site) {
  const checkpoint = await openCheckpoint(fromUtf8(plainBytes(data)), site);
  report.holds("checkpoint");
  report.fact("log_name", site.name);
  report.fact("entries", checkpoint.size);
  return { checkpoint };
}

async function checkLogFile(report, { file }, site, onProgress, evidence) {
  return checkLog(report, file, site, evidence, onProgress);
}

function ofData(check) {
  return (report, document, site, onProgress) => check(report, document.data, site, onProgress);
}

function ofFiles(check) {
  return (report, document, site, onProgress) => check(report, document.files, site, onProgress);
}

function ofToken(check) {
  return (report, document, site) => check(report, fromUtf8(plainBytes(document.data)).trim(), site);
}

async function refuseUnknown(_report, { problem }) {
  throw new Refusal(problem ?? "problem_unknown", {}, "unknown");
}

async function bytesOf(blob) {
  return new Uint8Array(await blob.arrayBuffer());
}

/** Return the keys in a document that is a `site.pub`. */
export async function siteKeyOf(document) {
  return readSiteKey(document.data);
}

