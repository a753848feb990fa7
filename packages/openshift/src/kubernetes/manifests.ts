/** Kubernetes manifests as text: one JSON document, or YAML documents one after the other. Nothing in them is trusted. */
import { FormatError } from "@signet/core";
import { parseJsonObject } from "./json-object.ts";
import { type Document, LineCounter, type Node, isNode, isScalar, parseAllDocuments, visit } from "yaml";

/** Bytes of one file of manifests: the largest genuine one, an operator's with all its definitions, has about 3 MB. */
export const MAX_MANIFEST_FILE_BYTES: number = 16 * 1024 * 1024;

/** Values of one file of JSON: each costs about a hundred bytes of memory. Lists of the nodes of large clusters have some hundred thousand. */
const MAX_JSON_VALUES = 2_000_000;

/** Marks that can begin a value in YAML, whose parser takes about a thousand bytes for each. Genuine files have some ten thousand, lists of five hundred nodes a million. */
const MAX_YAML_MARKS = 1_000_000;

/** Documents in one file. */
const MAX_DOCUMENTS = 10_000;

/** Nodes that aliases may stand for in one document; manifests have none, and a bomb is made of them. */
const MAX_ALIASES = 100;

/** One manifest. */
export interface UntrustedManifestObject {
  readonly kind: string;
  readonly apiVersion: string;
  readonly name: string;
  /** Empty where none is given. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** The whole object, as JSON values. */
  readonly value: Readonly<Record<string, unknown>>;
}

/**
 * Reads every object in a file, in its order; the items of a `List`, or of a list of one kind, stand for themselves. Empty documents are passed over.
 *
 * @param bytes UTF-8, JSON or YAML 1.2, at most {@link MAX_MANIFEST_FILE_BYTES}
 * @param source the file's name, for messages
 * @throws FormatError `manifest-file-malformed` with the line, `input-too-large`
 */
export function parseManifestObjects(bytes: Uint8Array, source: string): readonly UntrustedManifestObject[] {
  if (bytes.length > MAX_MANIFEST_FILE_BYTES) {
    throw new FormatError(
      "input-too-large",
      `${source}: ${bytes.length} bytes, the limit is ${MAX_MANIFEST_FILE_BYTES}`,
    );
  }
  const objects: UntrustedManifestObject[] = [];
  for (const { value, line } of parseValues(bytes, source)) {
    if (!isRecord(value)) throw malformedAt(source, "a Kubernetes object is expected here, in YAML or JSON", line);
    const items = value["items"];
    const kind = typeof value["kind"] === "string" ? value["kind"] : "";
    const isList = kind.endsWith("List") && Array.isArray(items);
    // Items of a list that the API itself hands out do not say what they are.
    const ofItems = kind === "List" ? {} : { kind: kind.slice(0, -"List".length), apiVersion: value["apiVersion"] };
    for (const item of isList ? items : [value]) {
      if (!isRecord(item)) throw malformedAt(source, "a list holds something else than objects", line);
      objects.push(describeObject(isList ? { ...ofItems, ...item } : item));
    }
  }
  return objects;
}

function parseValues(bytes: Uint8Array, source: string): ReturnType<typeof parseYamlValues> {
  const first = bytes.find((byte) => byte > 0x20);
  if (first === 0x7b) {
    try {
      return [{ value: parseJsonObject(bytes, source, MAX_JSON_VALUES), line: 1 }];
    } catch (error) {
      // What is no strict JSON may be YAML, whose reader also says where it is wrong.
      if (!(error instanceof FormatError) || error.code === "input-too-large") throw error;
    }
  }
  if (countMarks(bytes) > MAX_YAML_MARKS)
    throw new FormatError("input-too-large", `${source}: YAML of more than ${MAX_YAML_MARKS} values`, {
      hint: "as JSON (-o json) twice as many are read, and faster",
    });
  return parseYamlValues(bytes, source);
}

const marks: ReadonlySet<number> = new Set(Array.from("\n,:[{-", (mark) => mark.charCodeAt(0)));

/** How many values the YAML may have, at most; comes before its parser, which needs memory for each. */
export function countMarks(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (marks.has(byte)) count++;
  return count;
}

function malformedAt(source: string, problem: string, line?: number, cause?: unknown): FormatError {
  return new FormatError("manifest-file-malformed", `${source}${line === undefined ? "" : `:${line}`}: ${problem}`, {
    cause,
  });
}

/**
 * The values of YAML documents, JSON among them, with the line at which each begins. Empty documents are passed over; keys that contradict each other are refused, as are
 * aliases that stand for very much.
 *
 * @param bytes bounded by the caller
 * @param firstLine the line of `source` at which they begin
 * @throws FormatError `manifest-file-malformed` with the line
 */
export function parseYamlValues(
  bytes: Uint8Array,
  source: string,
  firstLine = 1,
): readonly { readonly value: unknown; readonly line: number }[] {
  const lines = new LineCounter();
  const lineOf = (offset: number): number => lines.linePos(offset).line + firstLine - 1;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw malformedAt(source, "it is not UTF-8 text", undefined, cause);
  }
  const values: { readonly value: unknown; readonly line: number }[] = [];
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    // Found below: the parser's own check takes quadratic time.
    uniqueKeys: false,
  });
  if (!Array.isArray(documents)) return values;
  if (documents.length > MAX_DOCUMENTS) throw malformedAt(source, `more than ${MAX_DOCUMENTS} documents`);
  for (const document of documents) {
    const [problem] = document.errors;
    if (problem !== undefined) throw malformedAt(source, problem.message, lineOf(problem.pos[0]));
    const repeated = findContradiction(document);
    if (repeated !== undefined)
      throw malformedAt(source, "a key stands twice with different values", lineOf(repeated.range?.[0] ?? 0));
    const endless = findEndless(document);
    if (endless !== undefined)
      throw malformedAt(source, "an alias stands inside what it stands for", lineOf(endless.range?.[0] ?? 0));
    const line = document.contents === null ? firstLine : lineOf(document.contents.range[0]);
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (cause) {
      throw malformedAt(source, "its aliases cannot be followed", line, cause);
    }
    if (value !== null) values.push({ value, line });
  }
  return values;
}

/** A key that stands twice in one mapping and says two things. Genuine release manifests repeat a key with the same value, which misleads nobody. */
function findContradiction(document: Document): Node | undefined {
  let found: Node | undefined;
  visit(document, {
    Map(_, map) {
      const values = new Map<unknown, unknown>();
      for (const { key, value } of map.items) {
        const name = isScalar(key) ? key.value : undefined;
        if (!values.has(name)) values.set(name, value);
        else if (!isSameScalar(values.get(name), value)) {
          found = isNode(key) ? key : map;
          return visit.BREAK;
        }
      }
      return undefined;
    },
  });
  return found;
}

/** An alias that stands for something that it is in: the value would have no end. */
function findEndless(document: Document): Node | undefined {
  let found: Node | undefined;
  // Gathered on the way: the parser's own search takes quadratic time.
  const anchored = new Map<string, Node>();
  visit(document, {
    Value(_, value) {
      if (value.anchor !== undefined) anchored.set(value.anchor, value);
    },
    Alias(_, alias, path) {
      const target = anchored.get(alias.source);
      if (target === undefined || !path.includes(target)) return undefined;
      found = alias;
      return visit.BREAK;
    },
  });
  return found;
}

function isSameScalar(a: unknown, b: unknown): boolean {
  return isScalar(a) && isScalar(b) && a.value === b.value;
}

/** An object, whatever it says of itself. */
export function describeObject(value: Readonly<Record<string, unknown>>): UntrustedManifestObject {
  const metadata = isRecord(value["metadata"]) ? value["metadata"] : {};
  return {
    kind: textOf(value["kind"]),
    apiVersion: textOf(value["apiVersion"]),
    name: textOf(metadata["name"]),
    namespace: textOf(metadata["namespace"]),
    labels: textsOf(metadata["labels"]),
    annotations: textsOf(metadata["annotations"]),
    value,
  };
}

/** True for a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Members that are texts; others are no labels. */
function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (!isRecord(value)) return {};
  const texts = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return Object.fromEntries(texts);
}
