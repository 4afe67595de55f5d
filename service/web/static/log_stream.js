/**
 * An exported audit log (JSON Lines), read line by line with a frontier: memory does not grow with the log.
 */
import { isObject, readCanonical } from "./canonical_json.js";
import { Frontier, openLeaf, readLeaf } from "./merkle_tree.js";
import { openCheckpoint } from "./signed_note.js";
import { Refusal, fromBase64, joined, need, sameBytes, toUtf8 } from "./strict_encoding.js";

export const LOG_FORMAT = "volens-audit-log/1";
export const LOG_CHECKS = ["header", "leaves", "openings", "checkpoints", "end", "evidence"];
const MAX_LINE_BYTES = 256 * 1024;
const PAUSE_AFTER_MS = 40;
const MAX_PENDING = 64;
const LEAF_LINE = toUtf8('{"at":');
const OPENING_LINE = toUtf8('{"details":');
const SHOWN_KINDS = 12;

/** Check an exported log. `evidence` lists checked checkpoints `{size, root}` that it must continue. */
export async function checkLog(report, file, site, evidence, onProgress) {
  const log = new LogReader(report, site, evidence);
  const pause = pacer(onProgress, file.size);
  for await (const [line, end] of linesOf(file)) {
    await log.read(line);
    await pause(end);
  }
  await log.finish();
  const unused = evidence.length > 0 ? [] : ["evidence"];
  for (const { check } of [...report.checks]) {
    unused.includes(check) ? report.without(check) : report.holds(check);
  }
  sayLog(report, log, site);
  return { checkpoint: log.head };
}

function sayLog(report, log, site) {
  report.fact("log_name", site.name);
  report.fact("entries", log.frontier.size);
  report.moment("first_entry", log.firstAt);
  report.moment("last_entry", log.lastAt);
  report.fact("signed_checkpoints", log.checkpoints);
  report.fact("opened_entries", log.openings);
  const kinds = [...log.kinds].sort(([, one], [, other]) => other - one);
  for (const [kind, count] of kinds.slice(0, SHOWN_KINDS)) {
    report.fact("entries_of_kind", `${kind}: ${count}`);
  }
}

class LogReader {
  constructor(report, site, evidence) {
    this.report = report;
    this.site = site;
    this.evidence = evidence;
    this.frontier = new Frontier();
    this.kinds = new Map();
    this.openings = 0;
    this.checkpoints = 0;
    this.head = null;
    this.header = null;
    this.leaf = null;
    this.pending = [];
  }

  async read(line) {
    if (this.header === null) {
      this.report.runs("header");
      await this.readHeader(line);
    } else if (startsWith(line, LEAF_LINE)) {
      await this.readLeafLine(line);
    } else if (startsWith(line, OPENING_LINE) && this.leaf !== null) {
      this.report.runs("openings");
      const opening = readCanonical(line);
      need(isObject(opening, "details", "salt"), "problem_log_line");
      await openLeaf(this.leaf, opening.details, fromBase64(opening.salt));
      this.openings += 1;
      this.leaf = null;
    } else {
      await this.readCheckpointLine(line);
    }
  }

  async readHeader(line) {
    const header = readCanonical(line);
    need(isObject(header, "format", "key", "checkpoint") && header.format === LOG_FORMAT);
    if (header.key !== this.site.line) {
      const [signer, key] = String(header.key).split("+");
      const values = { signer, key, site: this.site.name, known: this.site.keys[0].keyId };
      throw new Refusal("problem_other_site", values, "wrong-key");
    }
    this.header = await openCheckpoint(header.checkpoint, this.site);
  }

  async readLeafLine(line) {
    this.report.runs("leaves");
    const { kind, at } = readLeaf(line);
    this.leaf = line;
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    this.firstAt ??= at;
    this.lastAt = at;
    await this.frontier.append(line);
    for (const one of this.evidence.filter(({ size }) => size === this.frontier.size)) {
      this.report.runs("evidence");
      need(sameBytes(one.root, await this.frontier.root()), "problem_evidence");
    }
  }

  async readCheckpointLine(line) {
    this.report.runs("checkpoints");
    const document = readCanonical(line);
    need(isObject(document, "checkpoint"), "problem_log_line");
    const seen = { size: this.frontier.size, root: await this.frontier.root() };
    this.head = seen;
    this.checkpoints += 1;
    const check = this.requireCheckpoint(document.checkpoint, seen);
    check.catch(() => {}); // it is awaited below
    this.pending.push(check);
    if (this.pending.length >= MAX_PENDING) {
      await Promise.all(this.pending.splice(0));
    }
  }

  async requireCheckpoint(note, seen) {
    const { size, root } = await openCheckpoint(note, this.site);
    need(size === seen.size && sameBytes(root, seen.root), "problem_log_checkpoint");
  }

  async finish() {
    await Promise.all(this.pending);
    this.report.runs("end");
    need(this.header !== null && this.head !== null, "problem_log_end");
    need(this.head.size === this.frontier.size && this.header.size === this.head.size, "problem_log_end");
    need(sameBytes(this.head.root, this.header.root), "problem_log_end");
    this.report.runs("evidence");
    need(this.evidence.every(({ size }) => size <= this.frontier.size), "problem_log_older");
  }
}

/** Yield `[line, place of its end]` of a file, without line ends; refuse a file whose last line is cut off. */
async function* linesOf(file) {
  const reader = file.stream().getReader();
  let rest = new Uint8Array(0);
  let place = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const data = rest.length === 0 ? read.value : joined(rest, read.value);
    let start = place === 0 && data[0] === 0xef && data[1] === 0xbb && data[2] === 0xbf ? 3 : 0;
    for (let end = data.indexOf(10, start); end >= 0; end = data.indexOf(10, start)) {
      place += end + 1 - start;
      yield [data.subarray(start, data[end - 1] === 13 ? end - 1 : end), place];
      start = end + 1;
    }
    rest = data.slice(start);
    need(rest.length <= MAX_LINE_BYTES, "problem_log_line");
  }
  need(rest.length === 0, "problem_log_end");
}

function startsWith(line, prefix) {
  return line.length >= prefix.length && sameBytes(line.subarray(0, prefix.length), prefix);
}

/** Return a function that lets the page draw from time to time, and tells how far the file was read. */
function pacer(onProgress, size) {
  let since = performance.now();
  return async (place) => {
    if (performance.now() - since > PAUSE_AFTER_MS) {
      onProgress(place / size);
      await new Promise((resolve) => setTimeout(resolve));
      since = performance.now();
    }
  };
}

/** Return whether the beginning of a file is the header of an exported log. */
export function isLogStart(data) {
  return new TextDecoder().decode(data).split("\n")[0].includes(`"format":"${LOG_FORMAT}"`);
}
