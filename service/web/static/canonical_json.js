/**
 * Strict JSON (RFC 8259 without duplicate members) and canonical JSON (RFC 8785).
 *
 * Objects that are read have no prototype: a member is there only if the document has it.
 */
import { Refusal, fromUtf8, need, toUtf8 } from "./strict_encoding.js";

const MAX_DEPTH = 100;
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],]/g;

/** Return the value of a JSON text; refuse an object with two members of one name, and text that is not JSON. */
export function readJson(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal("problem_json");
  }
  refuseDuplicates(text);
  return bare(value, 0);
}

/** Return the value of bytes that must be canonical JSON: written again they are the same bytes. */
export function readCanonical(data) {
  const text = fromUtf8(data);
  const value = readJson(text);
  need(canonical(value) === text, "problem_canonical");
  return value;
}

/** Return the canonical text of a JSON value; refuse lone surrogates and integers that are not exact. */
export function canonical(value) {
  if (typeof value === "string") {
    need(value.isWellFormed ? value.isWellFormed() : !/\p{Surrogate}/u.test(value), "problem_canonical");
    return JSON.stringify(value);
  }
  if (typeof value === "number") {
    need(Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value)), "problem_canonical");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) {
    return `[${value.map(canonical).join(",")}]`;
  }
  if (value !== null && typeof value === "object") {
    // The default order compares UTF-16 code units, as RFC 8785 does.
    const members = Object.keys(value).sort();
    return `{${members.map((name) => `${canonical(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  need(value === null || typeof value === "boolean", "problem_canonical");
  return String(value);
}

export function canonicalBytes(value) {
  return toUtf8(canonical(value));
}

/** Return whether two JSON values are equal. */
export function sameJson(one, other) {
  return canonical(one) === canonical(other);
}

/** Return whether a value is a JSON object with exactly these members, if any are named. */
export function isObject(value, ...members) {
  const found = value !== null && typeof value === "object" && !Array.isArray(value);
  return found && (members.length === 0 || Object.keys(value).sort().join() === members.sort().join());
}

function refuseDuplicates(text) {
  const open = []; // a set of names for each object, null for each list
  let isName = false;
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : null);
      isName = token === "{";
    } else if (token === "}" || token === "]") {
      open.pop();
      isName = false;
    } else if (token === ",") {
      isName = Boolean(open.at(-1));
    } else if (isName) {
      const name = JSON.parse(token);
      need(!open.at(-1).has(name), "problem_json");
      open.at(-1).add(name);
      isName = false;
    }
  }
}

function bare(value, depth) {
  need(depth <= MAX_DEPTH, "problem_json");
  if (Array.isArray(value)) {
    value.forEach((one) => bare(one, depth + 1));
  } else if (value !== null && typeof value === "object") {
    Object.values(value).forEach((one) => bare(one, depth + 1));
    Object.setPrototypeOf(value, null);
  }
  return value;
}
