/**
 * The keys of a site (`site.pub`: a C2SP verifier key and its successors) and its checkpoints (C2SP signed notes).
 */
import { ED25519, readSigned, verifySignature } from "./compact_jws.js";
import {
  Refusal,
  fromBase64,
  fromUtf8,
  joined,
  need,
  plainBytes,
  sha256,
  toHex,
  toUtf8,
} from "./strict_encoding.js";

const KEY_LINE = /^([^+\s\x00-\x1f]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/;
const SIGNATURE_LINE = /^\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)$/;
const SIZE = /^(0|[1-9][0-9]{0,15})$/;
const CONTROL = /[\x00-\x09\x0b-\x1f]/;
const MAX_NOTE_BYTES = 64 * 1024;

/** Return the text of a verifier key as `{line, name, keyId, publicKey}`. */
async function readKeyLine(line) {
  const match = KEY_LINE.exec(line);
  need(match !== null, "problem_site_key");
  const [, name, keyId, encoded] = match;
  const typed = fromBase64(encoded);
  need(typed.length === 33 && typed[0] === 1, "problem_site_key");
  const own = toHex((await sha256(joined(toUtf8(`${name}\n`), typed))).subarray(0, 4));
  need(own === keyId, "problem_site_key");
  return { line, name, keyId, publicKey: typed.subarray(1), lastSize: Infinity };
}

/**
 * Return the keys of a `site.pub`: `{line, name, keys, successions}`, the oldest key first.
 *
 * Each further line must be signed by the key before it, name it, and have the next epoch and a log size that is not
 * below the one before. A key that was replaced signs no checkpoint of more leaves than its `lastSize`.
 */
export async function readSiteKey(data) {
  const lines = fromUtf8(plainBytes(data)).trim().split("\n");
  const [first, ...tokens] = lines.map((one) => one.trim());
  const keys = [await readKeyLine(first)];
  for (const token of tokens.filter((one) => one !== "")) {
    const before = keys.at(-1);
    const said = await readSigned(token, "volens-key-succession+jws", [before.publicKey]).catch(() => {
      throw new Refusal("problem_succession");
    });
    const next = await readKeyLine(String(said.new_key));
    const least = keys.at(-2)?.lastSize ?? 0;
    need(said.version === 1 && said.epoch === keys.length + 1 && said.old_key === before.line, "problem_succession");
    need(Number.isSafeInteger(said.log_size) && said.log_size >= least, "problem_succession");
    need(next.name === before.name, "problem_succession");
    before.lastSize = said.log_size;
    keys.push(next);
  }
  return { line: keys[0].line, name: keys[0].name, keys, publicKeys: keys.map((one) => one.publicKey) };
}

/** Return `[name, key id]` of each signature line of a note, WITHOUT checking any; empty if the note is malformed. */
function namedSigners(note) {
  try {
    const [text, lines] = splitNote(note);
    const signers = lines.map(readSignatureLine).map(({ name, keyId }) => [name, keyId]);
    return signers.some(([name]) => name === text.split("\n")[0]) ? signers : [];
  } catch {
    return [];
  }
}

/** Return `{size, root}` of a checkpoint that a key of the site signed; every line that claims to be so must hold. */
export async function openCheckpoint(note, site) {
  const [text, lines] = splitNote(note);
  const known = new Map(site.keys.map((one) => [one.keyId, one]));
  const claimed = lines
    .map(readSignatureLine)
    .filter(({ name, keyId }) => name === site.name && known.has(keyId))
    .map(({ keyId, signature }) => [known.get(keyId), signature]);
  if (claimed.length === 0) {
    refuseOtherSigner(note, site);
    throw new Refusal("problem_checkpoint_unsigned");
  }
  for (const [key, signature] of claimed) {
    const holds = await verifySignature(ED25519, ED25519, key.publicKey, signature, toUtf8(text));
    need(holds, "problem_checkpoint_signature");
  }
  const [origin, size, root, ...more] = text.slice(0, -1).split("\n");
  need(origin === site.name && more.length === 0 && SIZE.test(size ?? ""), "problem_checkpoint_form");
  const checkpoint = { note, size: Number(size), root: fromBase64(root) };
  need(Number.isSafeInteger(checkpoint.size) && checkpoint.root.length === 32, "problem_checkpoint_form");
  if (checkpoint.size === 0) {
    need(toHex(checkpoint.root) === toHex(await sha256("")), "problem_checkpoint_form");
  }
  need(claimed.every(([key]) => checkpoint.size <= key.lastSize), "problem_replaced_key");
  return checkpoint;
}

/** Refuse with the state `wrong-key` if a note names only signers that the site's public key file does not have. */
export function refuseOtherSigner(note, site) {
  const signers = namedSigners(note);
  const known = site.keys.map((one) => one.keyId);
  if (signers.length > 0 && !signers.some(([name, keyId]) => name === site.name && known.includes(keyId))) {
    const [name, keyId] = signers[0];
    const text = name === site.name ? "problem_newer_key" : "problem_other_site";
    throw new Refusal(text, { signer: name, key: keyId, site: site.name, known: known[0] }, "wrong-key");
  }
}

/** Refuse with the state `wrong-key` if a document names the log of another site. */
export function refuseOtherOrigin(origin, site) {
  if (origin !== site.name) {
    const values = { signer: origin, key: "", site: site.name, known: site.keys[0].keyId };
    throw new Refusal("problem_other_site", values, "wrong-key");
  }
}

function splitNote(note) {
  need(typeof note === "string" && toUtf8(note).length <= MAX_NOTE_BYTES, "problem_checkpoint_form");
  const at = note.lastIndexOf("\n\n");
  need(at > 0 && note.endsWith("\n") && !CONTROL.test(note), "problem_checkpoint_form");
  const lines = note.slice(at + 2, -1);
  need(note.length > at + 2, "problem_checkpoint_form");
  return [note.slice(0, at + 1), lines.split("\n")];
}

function readSignatureLine(line) {
  const match = SIGNATURE_LINE.exec(line);
  need(match !== null, "problem_checkpoint_form");
  const data = fromBase64(match[2]);
  need(data.length > 4, "problem_checkpoint_form");
  return { name: match[1], keyId: toHex(data.subarray(0, 4)), signature: data.subarray(4) };
}
