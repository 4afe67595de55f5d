/**
 * Zip archives (APPNOTE 6.3): the central directory and members that are stored or deflated; nothing else is read.
 *
 * Not checked: CRC-32 and times. The documents list the SHA-256 of every file.
 */
import { Refusal, fromUtf8, need } from "./strict_encoding.js";

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const MAX_COMMENT = 65535;
const MAX_MEMBERS = 20000;
const ENCRYPTED = 1;
const MAX_UNPACKED = 64 * 1024 * 1024;

/** Return a map of names to bytes; at most `limit` bytes in total, so that a zip bomb is refused. */
export async function readZip(data, limit = MAX_UNPACKED) {
  const files = new Map();
  let left = limit;
  for (const entry of entriesOf(data)) {
    if (entry.name.endsWith("/") && entry.size === 0) {
      continue; // a folder
    }
    const content = await unpacked(data, entry, left);
    left -= content.length;
    need(!files.has(entry.name), "problem_zip");
    files.set(entry.name, content);
  }
  return files;
}

function entriesOf(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let end = data.length - END_BYTES;
  while (end >= 0 && view.getUint32(end, true) !== END) {
    end -= 1;
    need(data.length - end <= END_BYTES + MAX_COMMENT, "problem_zip");
  }
  need(end >= 0, "problem_zip");
  const count = view.getUint16(end + 10, true);
  need(count <= MAX_MEMBERS, "problem_zip");
  const entries = [];
  let at = view.getUint32(end + 16, true);
  for (let number = 0; number < count; number += 1) {
    need(at + 46 <= data.length && view.getUint32(at, true) === ENTRY, "problem_zip");
    const nameSize = view.getUint16(at + 28, true);
    entries.push({
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      local: view.getUint32(at + 42, true),
      name: fromUtf8(data.subarray(at + 46, at + 46 + nameSize)),
    });
    at += 46 + nameSize + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

async function unpacked(data, entry, left) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  need(entry.local + 30 <= data.length && view.getUint32(entry.local, true) === LOCAL, "problem_zip");
  const nameSize = view.getUint16(entry.local + 26, true);
  const start = entry.local + 30 + nameSize + view.getUint16(entry.local + 28, true);
  const name = data.subarray(entry.local + 30, entry.local + 30 + nameSize);
  need(start + entry.packed <= data.length && fromUtf8(name) === entry.name, "problem_zip");
  need((entry.flags & ENCRYPTED) === 0 && (entry.method === 0 || entry.method === 8), "problem_zip");
  const packed = data.subarray(start, start + entry.packed);
  const content = entry.method === 0 ? packed : await inflated(packed, Math.min(left, entry.size));
  need(content.length === entry.size && content.length <= left, "problem_zip");
  return content;
}

async function inflated(packed, limit) {
  const parts = [];
  let size = 0;
  const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      size += read.value.length;
      need(size <= limit, "problem_zip");
      parts.push(read.value);
    }
  } catch {
    throw new Refusal("problem_zip");
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

