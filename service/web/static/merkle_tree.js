/**
 * The Merkle tree of the audit log (RFC 6962, RFC 9162 section 2.1), and its leaves.
 *
 * Hashes are 32 bytes. Sizes are integers up to 2^53 - 1: no bit operations, which have 32 bits.
 */
import { fromBase64url } from "./base64url.js";
import { canonicalBytes, isObject, readCanonical } from "./canonical_json.js";
import { fromBase64, isMoment, joined, need, sameBytes, sha256, toUtf8 } from "./strict_encoding.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
const DOMAIN = toUtf8("volens leaf v1\0");
const KIND = /^(?=.{1,64}$)[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/;
const MAX_LEAF_BYTES = 256;
const MAX_PROOF = 64;
const MAX_WAITING = 1024;

export function leafHash(leaf) {
  return sha256(joined(LEAF, leaf));
}

export function nodeHash(left, right) {
  return sha256(joined(NODE, left, right));
}

/** Return the root that an inclusion proof gives for the hash of leaf `index` (from 0) among `size` leaves. */
export async function rootFromInclusion(hash, index, size, proof) {
  need(Number.isSafeInteger(index) && index >= 0 && index < size && proof.length <= MAX_PROOF, "problem_inclusion");
  if (size === 1) {
    need(proof.length === 0, "problem_inclusion");
    return hash;
  }
  need(proof.length > 0, "problem_inclusion");
  const left = leftSize(size);
  const rest = proof.slice(0, -1);
  return index < left
    ? nodeHash(await rootFromInclusion(hash, index, left, rest), proof.at(-1))
    : nodeHash(proof.at(-1), await rootFromInclusion(hash, index - left, size - left, rest));
}

/** Refuse unless a consistency proof shows that the log of `size` leaves continues the log of `oldSize` leaves. */
export async function requireConsistency(oldSize, size, proof, oldRoot, root) {
  need(oldSize >= 1 && oldSize <= size && proof.length <= MAX_PROOF, "problem_consistency");
  const [first, both] = await rootsFromConsistency(oldSize, size, proof, oldRoot, true);
  need(sameBytes(first, oldRoot) && sameBytes(both, root), "problem_consistency");
}

async function rootsFromConsistency(oldSize, size, proof, oldRoot, isWhole) {
  if (oldSize === size) {
    need(proof.length === (isWhole ? 0 : 1), "problem_consistency");
    return isWhole ? [oldRoot, oldRoot] : [proof[0], proof[0]];
  }
  need(proof.length > 0, "problem_consistency");
  const left = leftSize(size);
  const rest = proof.slice(0, -1);
  const last = proof.at(-1);
  if (oldSize <= left) {
    const [first, both] = await rootsFromConsistency(oldSize, left, rest, oldRoot, isWhole);
    return [first, await nodeHash(both, last)];
  }
  const [first, both] = await rootsFromConsistency(oldSize - left, size - left, rest, oldRoot, false);
  return [await nodeHash(last, first), await nodeHash(last, both)];
}

/** The largest power of two below `size`: the leaves of the left subtree. */
function leftSize(size) {
  let left = 1;
  while (left * 2 < size) {
    left *= 2;
  }
  return left;
}

/**
 * The complete subtrees of the leaves so far: all that the root of a growing log needs.
 *
 * Leaves wait until the root is asked for or many have come: many hashes at once take less time than one by one.
 */
export class Frontier {
  constructor() {
    this.size = 0;
    this.subtrees = []; // the root of the complete subtree of 2^level leaves, or null
    this.waiting = [];
  }

  async append(leaf) {
    this.waiting.push(leaf);
    this.size += 1;
    if (this.waiting.length >= MAX_WAITING) {
      await this.takeWaiting();
    }
  }

  async root() {
    await this.takeWaiting();
    let node = null;
    for (const one of this.subtrees.filter((subtree) => subtree !== null)) {
      node = node === null ? one : await nodeHash(one, node);
    }
    return node ?? sha256("");
  }

  /** Hash the leaves that wait, then pair what stands beside each other, level by level. */
  async takeWaiting() {
    let nodes = await Promise.all(this.waiting.splice(0).map(leafHash));
    for (let level = 0; nodes.length > 0; level += 1) {
      nodes = this.subtrees[level] ? [this.subtrees[level], ...nodes] : nodes;
      this.subtrees[level] = nodes.length % 2 === 1 ? nodes.pop() : null;
      const lefts = nodes.filter((_, at) => at % 2 === 0);
      nodes = await Promise.all(lefts.map((left, at) => nodeHash(left, nodes[2 * at + 1])));
    }
  }
}

/** Return the members of a leaf: `at`, `commitment`, `kind`, `v`, in canonical JSON of at most 256 bytes. */
export function readLeaf(leaf) {
  need(leaf.length <= MAX_LEAF_BYTES, "problem_leaf");
  const members = readCanonical(leaf);
  need(isObject(members, "at", "commitment", "kind", "v") && members.v === 1, "problem_leaf");
  need(typeof members.kind === "string" && KIND.test(members.kind) && isMoment(members.at), "problem_leaf");
  need(fromBase64url(members.commitment).length === 32, "problem_leaf");
  return members;
}

/** Return the kind of a leaf that commits to these details and this salt (32 bytes); refuse another one. */
export async function openLeaf(leaf, details, salt) {
  const members = readLeaf(leaf);
  const values = isObject(details) ? Object.values(details) : [null];
  need(values.every((one) => typeof one === "string" || Number.isSafeInteger(one)) && salt.length === 32);
  const commitment = await sha256(joined(DOMAIN, salt, canonicalBytes(details)));
  need(sameBytes(commitment, fromBase64url(members.commitment)), "problem_opening");
  return members.kind;
}

/** Return the kind of a log entry (leaf, details, salt, index, proof) that is in the log of a checked checkpoint. */
export async function checkEntry(entry, checkpoint) {
  const leaf = fromBase64(entry.leaf);
  const kind = await openLeaf(leaf, entry.details, fromBase64(entry.salt));
  await checkInclusion(leaf, entry.index, entry.proof, checkpoint);
  return kind;
}

/** Refuse unless a proof (a list of base64) shows that `leaf` is leaf `index` of the log of a checked checkpoint. */
export async function checkInclusion(leaf, index, proof, checkpoint) {
  need(Array.isArray(proof));
  const root = await rootFromInclusion(await leafHash(leaf), index, checkpoint.size, proof.map(fromBase64));
  need(sameBytes(root, checkpoint.root), "problem_inclusion");
}
