/** Where the values of a JSON document stand, in lines and columns: a look-up beside the parsed policy, which keeps no places so that parsing stays cheap. */
import { MAX_POLICY_BYTES, MAX_POLICY_VALUES } from "../../bytes/limits.ts";
import { type JsonMember, type JsonNode, type JsonObject, parseJson } from "../../bytes/strict-json.ts";
import { childPath } from "../policy-members.ts";

/** The way to a value from the top of a document: member names and positions. */
export type JsonPath = readonly (string | number)[];

/** A part of a document. Lines and columns count from 1; a column is a character, not an octet; the end is exclusive. */
export interface DocumentRange {
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** Octets between two noted places: a look-up reads at most so many, however long the lines are. */
const STEP_BYTES = 4096;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Finds places in one document. */
export class DocumentPlaces {
  readonly #bytes: Uint8Array;
  readonly #root: JsonNode;
  readonly #members = new WeakMap<JsonObject, ReadonlyMap<string, JsonMember>>();
  readonly #noted: readonly { readonly line: number; readonly column: number }[];

  /** @param bytes of a policy that `parsePolicy` has read */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#root = parseJson(bytes, "policy", { maxBytes: MAX_POLICY_BYTES, maxValues: MAX_POLICY_VALUES });
    this.#noted = notePlaces(bytes);
  }

  /** The value at `path`, or undefined. */
  node(path: JsonPath): JsonNode | undefined {
    let node: JsonNode | undefined = this.#root;
    for (const step of path) {
      if (node === undefined) return undefined;
      if (typeof step === "number") node = node.kind === "array" ? node.items[step] : undefined;
      else node = node.kind === "object" ? this.#member(node, step)?.value : undefined;
    }
    return node;
  }

  /** True when the object at `path` has this member. */
  has(path: JsonPath, key: string): boolean {
    const node = this.node(path);
    return node?.kind === "object" && this.#member(node, key) !== undefined;
  }

  /** The octets of the name that leads to `path`, quotes included; undefined when there is none. */
  keyOctets(path: JsonPath): { readonly start: number; readonly end: number } | undefined {
    const last = path.at(-1);
    const parent = this.node(path.slice(0, -1));
    if (typeof last !== "string" || parent?.kind !== "object") return undefined;
    const start = this.#member(parent, last)?.keyStart;
    return start === undefined ? undefined : { start, end: this.#endOfString(start) };
  }

  /**
   * The place of the value at `path`, or of the name that leads to it. Of a path that is not there, the nearest thing above it that is.
   */
  range(path: JsonPath, part: "key" | "value"): DocumentRange {
    const name = part === "key" ? this.keyOctets(path) : undefined;
    if (name !== undefined) return this.#span(name.start, name.end);
    const node = this.node(path);
    if (node !== undefined) return this.#span(node.start, node.end);
    return path.length === 0 ? this.#span(0, 0) : this.range(path.slice(0, -1), part);
  }

  #member(node: JsonObject, key: string): JsonMember | undefined {
    let members = this.#members.get(node);
    if (members === undefined) {
      members = new Map(node.members.map((member) => [member.key, member]));
      this.#members.set(node, members);
    }
    return members.get(key);
  }

  #endOfString(start: number): number {
    let at = start + 1;
    while (at < this.#bytes.length && this.#bytes[at] !== QUOTE) at += this.#bytes[at] === BACKSLASH ? 2 : 1;
    return at + 1;
  }

  #span(start: number, end: number): DocumentRange {
    const from = this.#place(start);
    const to = this.#place(end);
    return { line: from.line, column: from.column, endLine: to.line, endColumn: to.column };
  }

  #place(offset: number): { line: number; column: number } {
    const step = Math.min(Math.floor(offset / STEP_BYTES), this.#noted.length - 1);
    return advance(this.#bytes, step * STEP_BYTES, offset, this.#noted[step]!);
  }
}

/** `transports.docker["example.com"][0].keyPath`, as messages of the parser write it. */
export function formatJsonPath(path: JsonPath): string {
  return path.reduce<string>((text, step) => {
    return typeof step === "number" ? `${text}[${step}]` : childPath(text, step);
  }, "");
}

function notePlaces(bytes: Uint8Array): readonly { readonly line: number; readonly column: number }[] {
  const noted = [{ line: 1, column: 1 }];
  for (let at = STEP_BYTES; at <= bytes.length; at += STEP_BYTES) {
    noted.push(advance(bytes, at - STEP_BYTES, at, noted.at(-1)!));
  }
  return noted;
}

function advance(
  bytes: Uint8Array,
  from: number,
  to: number,
  start: { readonly line: number; readonly column: number },
): { line: number; column: number } {
  let { line, column } = start;
  for (let at = from; at < to && at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === 0x0a) {
      line++;
      column = 1;
    } else if ((byte & 0xc0) !== 0x80) column++;
  }
  return { line, column };
}
