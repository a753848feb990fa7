/**
 * Changes to a JSON text that leave every byte alone which they are not about: order, spacing, line ends, number text and members nobody knows stay as they are.
 * For configuration that people and other tools write too.
 */
import { FormatError, InternalError } from "../errors.ts";
import {
  describeKind,
  type JsonArray,
  type JsonLimits,
  type JsonNode,
  type JsonObject,
  jsonProblem,
  parseJson,
} from "./strict-json.ts";

/** What can be written. Numbers must be finite; lone surrogates in texts become U+FFFD. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [member: string]: JsonValue };

export interface JsonEdit {
  /** Member names and array indexes from the top level down; empty for the whole document. */
  readonly path: readonly (string | number)[];
  /** What shall stand there; undefined removes the member or item. */
  readonly value: JsonValue | undefined;
}

export interface JsonEditOptions extends JsonLimits {
  /** The document's name in error messages. Default `document`. */
  readonly what?: string;
}

/**
 * Sets, inserts and removes members and array items, one edit after the other: each sees what the ones before it made.
 *
 * A missing member is added behind the others; the index that equals an array's length adds an item; objects and arrays that are missing on the way are made. A value
 * that already stands there (members in any order) is not written anew, and what is not there need not be removed: both leave the bytes as they are. New text takes
 * the indentation, line ends and spacing of its neighbours, or else of the document.
 *
 * Each edit reads the document once. The path is looked at, not the rest: duplicate keys elsewhere are passed over and stay.
 *
 * @param bytes the whole document; never changed
 * @returns the new document, or `bytes` itself when nothing changed
 * @throws FormatError `json-malformed` with offset (and path) for a text that is not JSON, for a key of the path that occurs twice in its object, and where the path
 * leads through something that is neither object nor array, or past the end of an array; `input-too-large`
 */
export function editJson(bytes: Uint8Array, edits: readonly JsonEdit[], options: JsonEditOptions = {}): Uint8Array {
  let document = bytes;
  for (const edit of edits) document = applyEdit(document, edit, options);
  return document;
}

function applyEdit(bytes: Uint8Array, { path, value }: JsonEdit, options: JsonEditOptions): Uint8Array {
  const root = parseJson(bytes, options.what ?? "document", options);
  const text = new JsonLayout(bytes, root);
  let node = root;
  for (const [depth, step] of path.entries()) {
    const container = requireContainer(node, step, path.slice(0, depth));
    const index = findChild(container, step, path.slice(0, depth));
    const isLast = depth === path.length - 1;
    if (index === undefined) {
      if (value === undefined) return bytes;
      return text.append(container, step, wrap(path.slice(depth + 1), value));
    }
    if (isLast && value === undefined) return text.remove(container, index);
    node = childrenOf(container)[index]!.value;
  }
  if (value === undefined) throw new InternalError("a whole JSON document cannot be removed from itself");
  return isSame(node, value) ? bytes : text.replace(node, value);
}

/** An item or member: where it starts (a member at its name) and its value. */
interface Child {
  readonly start: number;
  readonly value: JsonNode;
}

type Container = JsonObject | JsonArray;

function childrenOf(container: Container): readonly Child[] {
  return container.kind === "object"
    ? container.members.map(({ keyStart, value }) => ({ start: keyStart, value }))
    : container.items.map((value) => ({ start: value.start, value }));
}

function requireContainer(node: JsonNode, step: string | number, path: JsonEdit["path"]): Container {
  const wanted = typeof step === "string" ? "object" : "array";
  if (node.kind === wanted) return node;
  const at = describePath(path);
  throw jsonProblem(node, at, `${at === "" ? "the top level" : at}: ${wanted} expected, got ${describeKind(node)}`);
}

/** Where the step leads; undefined when nothing is there yet. */
function findChild(container: Container, step: string | number, path: JsonEdit["path"]): number | undefined {
  if (container.kind === "array") {
    const { length } = container.items;
    if (typeof step !== "number" || !Number.isInteger(step) || step < 0 || step > length) {
      throw jsonProblem(
        container,
        describePath(path),
        `${describePath([...path, step])}: the array has ${length} items`,
      );
    }
    return step === length ? undefined : step;
  }
  const index = container.members.findIndex(({ key }) => key === step);
  if (index === -1) return undefined;
  const again = container.members.find(({ key }, other) => other > index && key === step);
  if (again === undefined) return index;
  const offset = again.keyStart;
  const at = describePath([...path, step]);
  throw new FormatError("json-malformed", `${at}: duplicate key ${JSON.stringify(step)} (offset ${offset})`, {
    offset,
    path: at,
    hint: "keep one of the two",
  });
}

/** The value inside the objects and arrays that the rest of a path asks for. */
function wrap(path: JsonEdit["path"], value: JsonValue): JsonValue {
  return path.reduceRight<JsonValue>((inner, step) => {
    if (typeof step === "string") return { [step]: inner };
    if (step === 0) return [inner];
    throw new FormatError("json-malformed", `item ${step} of an array that is not there`);
  }, value);
}

function isSame(node: JsonNode, value: JsonValue): boolean {
  if (value === null) return node.kind === "null";
  if (isList(value)) {
    if (node.kind !== "array" || node.items.length !== value.length) return false;
    return node.items.every((item, index) => isSame(item, value[index]!));
  }
  if (typeof value === "object") {
    if (node.kind !== "object" || node.members.length !== Object.keys(value).length) return false;
    if (new Set(node.members.map(({ key }) => key)).size !== node.members.length) return false;
    return node.members.every(({ key, value: member }) => Object.hasOwn(value, key) && isSame(member, value[key]!));
  }
  return (node.kind === "boolean" || node.kind === "number" || node.kind === "string") && node.value === value;
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** `transports.docker["example.com"][0]` */
function describePath(path: JsonEdit["path"]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[A-Za-z][A-Za-z0-9]*$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** How new text is laid out. */
interface Style {
  /** What one more level adds; undefined: everything on one line. */
  readonly unit: string | undefined;
  /** White space before the members of the container that the text goes into, at its own level. */
  readonly indent: string;
}

/** What containers/image's tools write. */
const DEFAULT_UNIT = "    ";

/** A parsed document and how it is laid out. */
class JsonLayout {
  readonly #bytes: Uint8Array;
  readonly #root: JsonNode;

  constructor(bytes: Uint8Array, root: JsonNode) {
    this.#bytes = bytes;
    this.#root = root;
  }

  replace(node: JsonNode, value: JsonValue): Uint8Array {
    return this.#splice(node.start, node.end, this.#write(value, this.#styleLike(node, this.#indentAt(node.start))));
  }

  append(container: Container, step: string | number, value: JsonValue): Uint8Array {
    const children = childrenOf(container);
    const last = children.at(-1);
    const name = typeof step === "string" ? `${writeText(step)}${this.#colon()}` : "";
    if (last === undefined) {
      const outer = this.#indentAt(container.start);
      const style = this.#styleLike(container, outer);
      if (style.unit === undefined) {
        return this.#splice(container.start + 1, container.end - 1, `${name}${this.#write(value, style)}`);
      }
      const line = `${this.#lineEnd()}${outer}`;
      const text = this.#write(value, { ...style, indent: outer + style.unit });
      return this.#splice(container.start + 1, container.end - 1, `${line}${style.unit}${name}${text}${line}`);
    }
    const gap = this.#gapBefore(container, children);
    const model = children.findLast((child) => hasChildren(child.value))?.value;
    const style = this.#styleLike(
      model,
      gap.includes("\n") ? gap.slice(gap.lastIndexOf("\n") + 1).replace(",", "") : this.#indentAt(last.start),
    );
    return this.#splice(last.value.end, last.value.end, `${gap}${name}${this.#write(value, style)}`);
  }

  remove(container: Container, index: number): Uint8Array {
    const children = childrenOf(container);
    if (children.length === 1) return this.#splice(container.start + 1, container.end - 1, "");
    const next = children[index + 1];
    return next === undefined
      ? this.#splice(children[index - 1]!.value.end, children[index]!.value.end, "")
      : this.#splice(children[index]!.start, next.start, "");
  }

  /** What stands between two members of a container, the comma included; between the last two, when there are two. */
  #gapBefore(container: Container, children: readonly Child[]): string {
    const before = children.at(-2);
    const last = children.at(-1)!;
    if (before !== undefined) return this.#text(before.value.end, last.start);
    const opening = this.#text(container.start + 1, last.start);
    if (opening.includes("\n")) return `,${opening}`;
    return this.#colon().endsWith(" ") ? ", " : ",";
  }

  /** Over lines or on one line: as the model is; without a model (or with an empty one) as the document is. */
  #styleLike(model: JsonNode | undefined, indent: string): Style {
    const like = model !== undefined && hasChildren(model) ? model : this.#root;
    const isOnOneLine = hasChildren(like) && !this.#text(like.start, like.end).includes("\n");
    return { unit: isOnOneLine ? undefined : this.#unit(), indent };
  }

  #write(value: JsonValue, style: Style): string {
    if (typeof value === "number") {
      if (!Number.isFinite(value)) throw new InternalError(`${value} cannot be written as JSON`);
      return JSON.stringify(value);
    }
    if (typeof value === "string") return writeText(value);
    if (value === null || typeof value === "boolean") return String(value);
    const { unit, indent } = style;
    const inner = { unit, indent: indent + (unit ?? "") };
    const parts = isList(value)
      ? value.map((item) => this.#write(item, inner))
      : Object.entries(value).map(([key, item]) => `${writeText(key)}${this.#colon()}${this.#write(item, inner)}`);
    const [open, close] = isList(value) ? "[]" : "{}";
    if (parts.length === 0) return `${open}${close}`;
    if (unit === undefined) return `${open}${parts.join(this.#colon().endsWith(" ") ? ", " : ",")}${close}`;
    const line = this.#lineEnd();
    return `${open}${line}${inner.indent}${parts.join(`,${line}${inner.indent}`)}${line}${indent}${close}`;
  }

  /** `: ` or `:`, as after the document's first member name; with a space when there is none. */
  #colon(): string {
    let node: JsonNode | undefined = this.#root;
    while (node?.kind === "array") node = node.items[0];
    if (node?.kind !== "object" || node.members[0] === undefined) return ": ";
    return this.#bytes[node.members[0].value.start - 1] === COLON ? ":" : ": ";
  }

  #lineEnd(): string {
    const first = this.#bytes.indexOf(NEW_LINE);
    return first > 0 && this.#bytes[first - 1] === CARRIAGE_RETURN ? "\r\n" : "\n";
  }

  /** One level of indentation: that of the first member or item which stands on a line of its own, less that of the container's line. */
  #unit(): string {
    const open: JsonNode[] = [this.#root];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node.kind !== "object" && node.kind !== "array") continue;
      const children = childrenOf(node);
      const first = children[0];
      if (first === undefined) continue;
      const outer = this.#indentAt(node.start);
      const inner = this.#indentAt(first.start);
      if (
        this.#text(node.start, first.start).includes("\n") &&
        inner.length > outer.length &&
        inner.startsWith(outer)
      ) {
        return inner.slice(outer.length);
      }
      for (const child of children.toReversed()) open.push(child.value);
    }
    return DEFAULT_UNIT;
  }

  /** The white space that begins the line of a place. */
  #indentAt(offset: number): string {
    const start = offset === 0 ? 0 : this.#bytes.lastIndexOf(NEW_LINE, offset - 1) + 1;
    let end = start;
    while (this.#bytes[end] === SPACE || this.#bytes[end] === TAB) end++;
    return this.#text(start, end);
  }

  #text(start: number, end: number): string {
    return decoder.decode(this.#bytes.subarray(start, end));
  }

  #splice(start: number, end: number, text: string): Uint8Array {
    const middle = encoder.encode(text);
    const result = new Uint8Array(this.#bytes.length - (end - start) + middle.length);
    result.set(this.#bytes.subarray(0, start));
    result.set(middle, start);
    result.set(this.#bytes.subarray(end), start + middle.length);
    return result;
  }
}

function hasChildren(node: JsonNode): boolean {
  return (node.kind === "object" && node.members.length > 0) || (node.kind === "array" && node.items.length > 0);
}

function writeText(text: string): string {
  return JSON.stringify(text.toWellFormed());
}

const COLON = 0x3a;
const SPACE = 0x20;
const TAB = 0x09;
const NEW_LINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

const encoder = new TextEncoder();
/** Only gaps and line breaks are looked at, so what it makes of invalid octets in strings does not matter. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
