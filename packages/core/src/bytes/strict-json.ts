/**
 * A strict JSON reader for documents at a security boundary (RFC 8259; simple signing, section 2.1). It keeps what `JSON.parse` throws away: duplicate
 * members, member order, number text and byte offsets. Nothing is coerced; the caller takes the members it knows through {@link strictObject}.
 */
import { FormatError } from "../errors.ts";
import { MAX_JSON_DEPTH, MAX_JSON_VALUES, MAX_MANIFEST_BYTES } from "./limits.ts";

interface JsonSpan {
  /** Byte offset of the value's first octet. */
  readonly start: number;
  /** Byte offset after its last octet. */
  readonly end: number;
}

export interface JsonNull extends JsonSpan {
  readonly kind: "null";
}
export interface JsonBoolean extends JsonSpan {
  readonly kind: "boolean";
  readonly value: boolean;
}
export interface JsonNumber extends JsonSpan {
  readonly kind: "number";
  /** The digits as written. */
  readonly text: string;
  /** The nearest double; always finite. */
  readonly value: number;
}
export interface JsonString extends JsonSpan {
  readonly kind: "string";
  /** Well-formed: invalid UTF-8 octets and lone surrogates have become U+FFFD. */
  readonly value: string;
}
export interface JsonArray extends JsonSpan {
  readonly kind: "array";
  readonly items: readonly JsonNode[];
}
export interface JsonObject extends JsonSpan {
  readonly kind: "object";
  /** In document order, duplicates kept. */
  readonly members: readonly JsonMember[];
}
export type JsonNode = JsonNull | JsonBoolean | JsonNumber | JsonString | JsonArray | JsonObject;

export interface JsonMember {
  readonly key: string;
  readonly keyStart: number;
  readonly value: JsonNode;
}

export interface JsonLimits {
  /** Bytes; default 4 MiB. */
  readonly maxBytes?: number;
  /** Levels of nesting; default 10,000. */
  readonly maxDepth?: number;
  /** Values in all; default 250,000. */
  readonly maxValues?: number;
}

interface OpenContainer {
  readonly node: { kind: "array" | "object"; start: number; end: number; items?: JsonNode[]; members?: JsonMember[] };
  key: string;
  keyStart: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * Parses exactly one JSON value, with nothing but JSON white space around it.
 *
 * Refused: more values or deeper nesting than the limits, a byte order mark, comments, trailing commas, raw control characters in strings, numbers outside the grammar
 * or the range of a double. Invalid UTF-8 and lone surrogates inside strings become U+FFFD, one for each invalid octet, as the reference implementation has it.
 * Duplicate members are kept, not refused: that is {@link strictObject}'s work.
 *
 * @param bytes the whole document
 * @param what the document's name in error messages, such as `signature payload`
 * @throws FormatError `json-malformed` with the byte offset, or `input-too-large`
 */
export function parseJson(bytes: Uint8Array, what: string, limits: JsonLimits = {}): JsonNode {
  const maxBytes = limits.maxBytes ?? MAX_MANIFEST_BYTES;
  if (bytes.length > maxBytes) {
    throw new FormatError("input-too-large", `${what}: ${bytes.length} bytes, the limit is ${maxBytes}`);
  }
  return new JsonReader(
    bytes,
    what,
    limits.maxDepth ?? MAX_JSON_DEPTH,
    limits.maxValues ?? MAX_JSON_VALUES,
  ).readDocument();
}

class JsonReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  readonly #maxDepth: number;
  #valuesLeft: number;
  /** The whole document as text when it is plain ASCII, so that names and values are cut out of it; offsets are the same then. */
  readonly #ascii: string | undefined;
  #at = 0;

  constructor(bytes: Uint8Array, what: string, maxDepth: number, maxValues: number) {
    this.#bytes = bytes;
    this.#what = what;
    this.#maxDepth = maxDepth;
    this.#valuesLeft = maxValues;
    this.#ascii = isAscii(bytes) ? strictUtf8.decode(bytes) : undefined;
  }

  /** One loop with a stack of its own: deep nesting must not exhaust the call stack. */
  readDocument(): JsonNode {
    const stack: OpenContainer[] = [];
    for (;;) {
      this.#skipSpace();
      if (this.#valuesLeft-- === 0) {
        throw new FormatError("input-too-large", `${this.#what}: too many values at offset ${this.#at}`, {
          offset: this.#at,
        });
      }
      let node: JsonNode;
      const first = this.#bytes[this.#at];
      if (first === OPEN_BRACE || first === OPEN_BRACKET) {
        const opened = this.#open(first, stack);
        if (opened !== undefined) {
          stack.push(opened);
          continue;
        }
        node = this.#emptyContainer(first);
      } else {
        node = this.#readScalar(first);
      }
      // Hand the finished value to its container, closing as many containers as end here.
      for (;;) {
        const container = stack.at(-1);
        if (container === undefined) {
          this.#skipSpace();
          if (this.#at < this.#bytes.length) throw this.#malformed("unexpected data after the end of the document");
          return node;
        }
        if (!this.#append(container, node)) break;
        stack.pop();
        container.node.end = this.#at;
        node = container.node as JsonNode;
      }
    }
  }

  /** Opens a container that is not empty and stands before its first value; undefined when it is empty, with the reader behind it. */
  #open(first: number, stack: readonly OpenContainer[]): OpenContainer | undefined {
    if (stack.length >= this.#maxDepth) throw this.#malformed(`nested deeper than ${this.#maxDepth} levels`);
    const start = this.#at++;
    this.#skipSpace();
    if (first === OPEN_BRACE) {
      if (this.#bytes[this.#at] === CLOSE_BRACE) {
        this.#emptyStart = start;
        this.#at++;
        return undefined;
      }
      const container: OpenContainer = { node: { kind: "object", start, end: 0, members: [] }, key: "", keyStart: 0 };
      this.#readKey(container);
      return container;
    }
    if (this.#bytes[this.#at] === CLOSE_BRACKET) {
      this.#emptyStart = start;
      this.#at++;
      return undefined;
    }
    return { node: { kind: "array", start, end: 0, items: [] }, key: "", keyStart: 0 };
  }

  #emptyStart = 0;

  #emptyContainer(first: number): JsonNode {
    return first === OPEN_BRACE
      ? { kind: "object", start: this.#emptyStart, end: this.#at, members: [] }
      : { kind: "array", start: this.#emptyStart, end: this.#at, items: [] };
  }

  /** Adds a value; true when the container ended, false when the reader stands before its next value. */
  #append(container: OpenContainer, value: JsonNode): boolean {
    this.#skipSpace();
    const next = this.#bytes[this.#at];
    if (container.node.kind === "array") {
      container.node.items!.push(value);
      if (next === COMMA) {
        this.#at++;
        return false;
      }
      if (next !== CLOSE_BRACKET) throw this.#malformed("expected , or ] after an array element");
    } else {
      container.node.members!.push({ key: container.key, keyStart: container.keyStart, value });
      if (next === COMMA) {
        this.#at++;
        this.#skipSpace();
        this.#readKey(container);
        return false;
      }
      if (next !== CLOSE_BRACE) throw this.#malformed("expected , or } after an object member");
    }
    this.#at++;
    return true;
  }

  #readKey(container: OpenContainer): void {
    if (this.#bytes[this.#at] !== QUOTE) throw this.#malformed("expected a member name in double quotes");
    container.keyStart = this.#at;
    container.key = this.#readString();
    this.#skipSpace();
    if (this.#bytes[this.#at] !== COLON) throw this.#malformed("expected : after a member name");
    this.#at++;
  }

  #readScalar(first: number | undefined): JsonNode {
    const start = this.#at;
    if (first === QUOTE) {
      const value = this.#readString();
      return { kind: "string", start, end: this.#at, value };
    }
    if (first === 0x2d || (first !== undefined && first >= 0x30 && first <= 0x39)) return this.#readNumber();
    if (first === 0x74 && this.#take("true")) return { kind: "boolean", start, end: this.#at, value: true };
    if (first === 0x66 && this.#take("false")) return { kind: "boolean", start, end: this.#at, value: false };
    if (first === 0x6e && this.#take("null")) return { kind: "null", start, end: this.#at };
    throw this.#malformed(first === undefined ? "unexpected end of the document" : "expected a JSON value");
  }

  #take(word: string): boolean {
    for (let i = 0; i < word.length; i++) if (this.#bytes[this.#at + i] !== word.charCodeAt(i)) return false;
    this.#at += word.length;
    return true;
  }

  #readNumber(): JsonNumber {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    if (bytes[at] === 0x2d) at++;
    if (bytes[at] === 0x30) at++;
    else at = this.#digits(at);
    if (bytes[at] === 0x2e) at = this.#digits(at + 1);
    if (bytes[at] === 0x65 || bytes[at] === 0x45) {
      at++;
      if (bytes[at] === 0x2b || bytes[at] === 0x2d) at++;
      at = this.#digits(at);
    }
    const text = this.#asciiText(start, at);
    const value = Number(text);
    if (!Number.isFinite(value)) throw this.#malformed(`number ${text.slice(0, 40)} is out of range`);
    this.#at = at;
    return { kind: "number", start, end: at, text, value };
  }

  #digits(at: number): number {
    const from = at;
    while (this.#bytes[at]! >= 0x30 && this.#bytes[at]! <= 0x39) at++;
    if (at === from) {
      this.#at = at;
      throw this.#malformed("expected a digit");
    }
    return at;
  }

  /** Reads a string whose opening quote is at the reader's place. */
  #readString(): string {
    const bytes = this.#bytes;
    const start = this.#at + 1;
    let at = start;
    let plain = true;
    for (;;) {
      const byte = bytes[at];
      if (byte === undefined) {
        this.#at = at;
        throw this.#malformed("unexpected end of the document inside a string");
      }
      if (byte === QUOTE) break;
      if (byte < 0x20) {
        this.#at = at;
        throw this.#malformed("raw control character inside a string");
      }
      if (byte === BACKSLASH) return this.#readEscapedString(start);
      if (byte >= 0x80) plain = false;
      at++;
    }
    this.#at = at + 1;
    return plain ? this.#asciiText(start, at) : decodeLenientUtf8(bytes.subarray(start, at));
  }

  #readEscapedString(start: number): string {
    const bytes = this.#bytes;
    let text = "";
    let at = start;
    let runStart = start;
    for (;;) {
      const byte = bytes[at];
      this.#at = at;
      if (byte === undefined) throw this.#malformed("unexpected end of the document inside a string");
      if (byte < 0x20) throw this.#malformed("raw control character inside a string");
      if (byte !== QUOTE && byte !== BACKSLASH) {
        at++;
        continue;
      }
      text += decodeLenientUtf8(bytes.subarray(runStart, at));
      if (byte === QUOTE) {
        this.#at = at + 1;
        return text.toWellFormed();
      }
      const escape = bytes[at + 1];
      if (escape === 0x75) {
        text += String.fromCharCode(this.#hex4(at + 2));
        at += 6;
      } else {
        const plain = escape === undefined ? undefined : simpleEscapes.get(escape);
        if (plain === undefined) throw this.#malformed("unknown escape inside a string");
        text += plain;
        at += 2;
      }
      runStart = at;
    }
  }

  #hex4(at: number): number {
    let value = 0;
    for (let i = at; i < at + 4; i++) {
      const byte = this.#bytes[i] ?? 0;
      const lower = byte | 0x20;
      if (byte >= 0x30 && byte <= 0x39) value = value * 16 + byte - 0x30;
      else if (lower >= 0x61 && lower <= 0x66) value = value * 16 + lower - 0x57;
      else throw this.#malformed("\\u needs four hex digits");
    }
    return value;
  }

  #skipSpace(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    for (let byte = bytes[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = bytes[++at]);
    this.#at = at;
  }

  #asciiText(start: number, end: number): string {
    return this.#ascii === undefined
      ? strictUtf8.decode(this.#bytes.subarray(start, end))
      : this.#ascii.slice(start, end);
  }

  #malformed(problem: string): FormatError {
    return new FormatError("json-malformed", `${this.#what}: ${problem} at offset ${this.#at}`, { offset: this.#at });
  }
}

const simpleEscapes: ReadonlyMap<number, string> = new Map(
  Object.entries({ '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }).map(
    ([letter, text]) => [letter.charCodeAt(0), text],
  ),
);

function isAscii(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 with U+FFFD for every octet that is not part of a valid sequence. (`TextDecoder` would put one for a whole truncated sequence.) */
function decodeLenientUtf8(bytes: Uint8Array): string {
  if (bytes.length === 0) return "";
  try {
    return strictUtf8.decode(bytes);
  } catch {
    let text = "";
    for (let at = 0; at < bytes.length;) {
      const length = validSequenceLength(bytes, at);
      text += length === 0 ? "\uFFFD" : strictUtf8.decode(bytes.subarray(at, at + length));
      at += length === 0 ? 1 : length;
    }
    return text;
  }
}

/** Octets of the valid UTF-8 sequence at `at` (Unicode 16, table 3-7), or 0. */
function validSequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  const length =
    lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const second = bytes[at + 1]!;
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = at + 2; i < at + length; i++) if ((bytes[i]! & 0xc0) !== 0x80) return 0;
  return length;
}

/** Which members an object may and must have. */
export interface ObjectShape {
  readonly required: readonly string[];
  readonly optional?: readonly string[];
  /** True: other members are passed over (but may not repeat). Default false: they are refused. */
  readonly allowUnknown?: boolean;
}

/**
 * Takes the members of an object by the "paranoid object" rules (simple signing, section 2.1): the value is an object, no key repeats (unknown ones
 * included), no unknown key, none of the required ones missing. Keys compare exactly; a case variant is an unknown key. The first problem in document order wins.
 *
 * @param path of the object inside the document, such as `critical.image`; empty for the top level
 * @throws FormatError `json-malformed` with offset and path
 */
export function strictObject(node: JsonNode, path: string, shape: ObjectShape): ReadonlyMap<string, JsonNode> {
  const at = path === "" ? "the top level" : path;
  if (node.kind !== "object") throw jsonProblem(node, path, `${at}: JSON object expected, got ${describeKind(node)}`);
  const members = new Map<string, JsonNode>();
  for (const { key, keyStart, value } of node.members) {
    if (members.has(key)) throw jsonProblem({ start: keyStart }, path, `${at}: duplicate key ${JSON.stringify(key)}`);
    if (shape.allowUnknown !== true && !shape.required.includes(key) && shape.optional?.includes(key) !== true) {
      throw jsonProblem({ start: keyStart }, path, `${at}: unknown key ${JSON.stringify(key)}`);
    }
    members.set(key, value);
  }
  for (const key of shape.required) {
    if (!members.has(key)) throw jsonProblem(node, path, `${at}: key ${JSON.stringify(key)} missing`);
  }
  return members;
}

/** The text of a string node. @throws FormatError `json-malformed` for any other kind, null included */
export function jsonString(node: JsonNode, path: string): string {
  if (node.kind === "string") return node.value;
  throw jsonProblem(node, path, `${path}: string expected, got ${describeKind(node)}`);
}

/** The items of an array node. @throws FormatError `json-malformed` for any other kind, null included */
export function jsonArray(node: JsonNode, path: string): readonly JsonNode[] {
  if (node.kind === "array") return node.items;
  throw jsonProblem(node, path, `${path}: array expected, got ${describeKind(node)}`);
}

/** An error about one place of a document. */
export function jsonProblem(node: { readonly start: number }, path: string, problem: string): FormatError {
  return new FormatError("json-malformed", `${problem} (offset ${node.start})`, { offset: node.start, path });
}

/** What kind of value a node is, for messages: `an array`, `null`, … */
export function describeKind(node: JsonNode): string {
  if (node.kind === "null") return "null";
  return node.kind === "array" || node.kind === "object" ? `an ${node.kind}` : `a ${node.kind}`;
}
