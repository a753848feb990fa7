/**
 * Members of policy.json objects, taken with the rules of the reference's strict reader: keys compare exactly, none repeats, none is unknown. Go's
 * decoder turns `null` into an empty value; the readers here do the same, so that a document gets the same verdict from both.
 */
import { decodeBase64 } from "../bytes/base64.ts";
import { describeKind, type JsonNode } from "../bytes/strict-json.ts";
import { type ErrorOptionsWithHint, PolicyError } from "../errors.ts";

/** A value and where it stands, for messages. */
export interface Placed {
  readonly node: JsonNode;
  /** `transports.docker["example.com"][0].keyPath`; empty for the whole document. */
  readonly path: string;
}

/** The members of one object, in document order. */
export type Members = ReadonlyMap<string, Placed>;

/** A defect at one place. `parsePolicy` adds file, line and column to it. */
export function policyProblem(place: { start: number }, path: string, problem: string, hint?: string): PolicyError {
  const options: ErrorOptionsWithHint = hint === undefined ? {} : { hint };
  return new PolicyError("policy-malformed", problem, { ...options, offset: place.start, path });
}

/**
 * The members of an object whose keys are free, such as the scopes of a transport.
 * @throws PolicyError for anything but an object and for a repeated key
 */
export function openMembers({ node, path }: Placed): Members {
  if (node.kind !== "object") {
    throw policyProblem(node, path, `JSON object expected, got ${describeKind(node)}`);
  }
  const members = new Map<string, Placed>();
  for (const { key, keyStart, value } of node.members) {
    if (members.has(key)) {
      throw policyProblem({ start: keyStart }, path, `Duplicate key ${quote(key)}`, "keep one of the two");
    }
    members.set(key, { node: value, path: childPath(path, key) });
  }
  return members;
}

/**
 * The members of an object that may hold only `known` keys.
 * @throws PolicyError for anything but an object, for a repeated and for an unknown key
 */
export function knownMembers(place: Placed, known: readonly string[]): Members {
  const { node, path } = place;
  if (node.kind === "object") {
    const seen = new Set<string>();
    for (const { key, keyStart } of node.members) {
      // The first problem in document order wins, so a repetition is looked for here as well.
      if (!known.includes(key)) throw policyProblem({ start: keyStart }, path, unknownKey(key), keyHint(key, known));
      if (seen.has(key)) break;
      seen.add(key);
    }
  }
  return openMembers(place);
}

/** The member called `key`. @throws PolicyError when there is none */
export function requiredMember(members: Members, key: string, object: Placed): Placed {
  const member = members.get(key);
  if (member !== undefined) return member;
  throw policyProblem(object.node, object.path, `Key ${quote(key)} missing in a JSON object`, `add ${quote(key)} here`);
}

/** A string; `null` and an absent member are the empty string. */
export function textMember(member: Placed | undefined): string {
  if (member === undefined || member.node.kind === "null") return "";
  if (member.node.kind === "string") return member.node.value;
  throw policyProblem(member.node, member.path, `string expected, got ${describeKind(member.node)}`);
}

/** An array of strings; undefined for `null` and an absent member. */
export function textsMember(member: Placed | undefined): readonly string[] | undefined {
  const items = listItems(member);
  return items === undefined ? undefined : Object.freeze(items.map((item) => textMember(item)));
}

/**
 * Octets: standard padded base64, or an array of byte numbers, which Go's decoder takes as well. Undefined for `null` and an absent member.
 */
export function bytesMember(member: Placed | undefined): Uint8Array | undefined {
  if (member === undefined || member.node.kind === "null") return undefined;
  const { node, path } = member;
  if (node.kind === "array") return Uint8Array.from(listItems(member) ?? [], byteValue);
  if (node.kind !== "string") throw policyProblem(node, path, `base64 text expected, got ${describeKind(node)}`);
  try {
    return decodeBase64(node.value);
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw policyProblem(node, path, problem, "encode the key with `base64`; URL-safe and unpadded forms are refused");
  }
}

/** An array of octet strings; undefined for `null` and an absent member. */
export function bytesListMember(member: Placed | undefined): readonly Uint8Array[] | undefined {
  const items = listItems(member);
  return items === undefined ? undefined : Object.freeze(items.map((item) => bytesMember(item) ?? new Uint8Array()));
}

/** The items of an array with their places; undefined for `null` and an absent member. */
export function listItems(member: Placed | undefined): readonly Placed[] | undefined {
  if (member === undefined || member.node.kind === "null") return undefined;
  const { node, path } = member;
  if (node.kind !== "array") throw policyProblem(node, path, `array expected, got ${describeKind(node)}`);
  return node.items.map((item, index) => ({ node: item, path: `${path}[${index}]` }));
}

/**
 * The text of an object's `type`, by which requirements and identities are told apart; `""` when there is none or the whole value is `null`, as the
 * reference's dispatcher has it. Other members are not looked at, but a case variant such as `Type` is named as the unknown key that it is.
 */
export function readType({ node, path }: Placed): string {
  if (node.kind === "null") return "";
  if (node.kind !== "object") throw policyProblem(node, path, `JSON object expected, got ${describeKind(node)}`);
  let type: Placed | undefined;
  for (const { key, keyStart, value } of node.members) {
    if (key === "type") type = { node: value, path: childPath(path, key) };
    else if (key.toLowerCase() === "type") {
      throw policyProblem({ start: keyStart }, path, unknownKey(key), keyHint(key, ["type"]));
    }
  }
  return textMember(type);
}

function byteValue({ node, path }: Placed): number {
  if (node.kind === "null") return 0;
  // The digits as written: Go refuses 1e2 and 1.0 here.
  const value = node.kind === "number" && /^(?:0|[1-9][0-9]{0,2})$/.test(node.text) ? node.value : 256;
  if (value > 255) throw policyProblem(node, path, "byte expected: an integer from 0 to 255");
  return value;
}

/** `Unknown key "x"`, the reference's words. */
export function unknownKey(key: string): string {
  return `Unknown key ${quote(key)}`;
}

/** Untrusted text in double quotes, with its length bounded and everything that steers a terminal or the direction of writing escaped. */
export function quote(text: string): string {
  const quoted = JSON.stringify(text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}…` : text);
  return escapeSteering(quoted);
}

/** The text with every character escaped that steers a terminal or the direction of writing. */
export function escapeSteering(text: string): string {
  return text.replaceAll(steeringCharacters, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Controls, line separators, and marks that reorder text. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const steeringCharacters = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Characters of a document's own text repeated in a message: enough for any genuine key, path or reference. */
const MAX_QUOTED_LENGTH = 300;

/** What to do about a word that is none of `known`: the one it was meant to be, or all of them. */
export function keyHint(word: string, known: readonly string[]): string {
  const meant = nearestWord(word, known);
  return meant === undefined ? `valid here: ${known.map(quote).join(", ")}` : `did you mean ${quote(meant)}?`;
}

function nearestWord(word: string, known: readonly string[]): string | undefined {
  const folded = fold(word);
  if (folded.length > MAX_GUESSED_LENGTH) return undefined;
  let best: string | undefined;
  let bestDistance = MAX_GUESSED_EDITS + 1;
  for (const candidate of known) {
    const distance = editDistance(folded, fold(candidate));
    if (distance < bestDistance && distance < candidate.length / 2) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Edits between a word and the key it was meant to be. */
const MAX_GUESSED_EDITS = 2;
/** Characters: a longer word is not a misspelt key, and comparing costs its length squared. */
const MAX_GUESSED_LENGTH = 40;

/** Case and separators are what people get wrong first. */
function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[-_ ]/g, "");
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, replaced));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Made for every member of a policy, so it costs little; `parsePolicy` escapes a path when it puts one into an error. */
export function childPath(path: string, key: string): string {
  if (!plainKey.test(key)) return `${path}["${key}"]`;
  return path === "" ? key : `${path}.${key}`;
}

const plainKey = /^[A-Za-z][A-Za-z0-9]*$/;
