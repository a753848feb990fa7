/** One document of a catalog as a tree of values, and how its members are taken. */
import { FormatError, type JsonNode, type JsonObject, describeKind, foldMemberName, parseJson } from "@signet/core";
import { countMarks, parseYamlValues } from "../kubernetes/manifests.ts";
import { type DocumentText, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, catalogMalformed } from "./document-stream.ts";

/** Values of one JSON document: each costs about a hundred bytes of memory. Genuine bundles have some ten thousand. */
const MAX_JSON_VALUES = 500_000;

/** Marks that can begin a value in YAML, whose parser takes about a thousand bytes for each. Genuine bundles have some fifty thousand. */
const MAX_YAML_MARKS = 200_000;

/** Characters of a name or an image: more than any reference has, and what is kept of a catalog stays bounded. */
const MAX_TEXT_LENGTH = 1_024;

/** Where a document stands, for messages. */
export interface DocumentPlace {
  readonly file: string;
  readonly line: number;
}

/** An object of a document, with its place. */
export interface PlacedObject {
  readonly node: JsonObject;
  readonly place: DocumentPlace;
}

/**
 * Parses a document. One of YAML becomes what its JSON would be; it may hold several, where the stream could not tell.
 * @throws FormatError `catalog-malformed`, `input-too-large`
 */
export function parseDocument({ form, bytes, line }: DocumentText, file: string): readonly PlacedObject[] {
  if (form === "json") return [{ node: parseObject(bytes, file, line), place: { file, line } }];
  if (countMarks(bytes) > MAX_YAML_MARKS)
    throw new FormatError("input-too-large", `${file}:${line}: a YAML document of more than ${MAX_YAML_MARKS} values`);
  let values: ReturnType<typeof parseYamlValues>;
  try {
    values = parseYamlValues(bytes, file, line);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError("catalog-malformed", error.message, { cause: error, details: { location: file, line } });
  }
  return values.map((value) => {
    const text = new TextEncoder().encode(JSON.stringify(value.value) ?? "null");
    return { node: parseObject(text, file, value.line), place: { file, line: value.line } };
  });
}

function parseObject(bytes: Uint8Array, file: string, line: number): JsonObject {
  let node: JsonNode;
  try {
    const limits = { maxBytes: 2 * MAX_DOCUMENT_BYTES, maxDepth: MAX_DOCUMENT_DEPTH, maxValues: MAX_JSON_VALUES };
    node = parseJson(bytes, `${file}:${line}`, limits);
  } catch (error) {
    if (!(error instanceof FormatError) || error.code === "input-too-large") throw error;
    throw new FormatError("catalog-malformed", error.message, { cause: error, details: { location: file, line } });
  }
  if (node.kind !== "object")
    throw catalogMalformed(file, line, `an object is expected here, not ${describeKind(node)}`);
  return node;
}

/**
 * The member that a Go program reads under `name`: names compare without regard to case. Undefined when it is absent or null.
 * @throws FormatError `catalog-malformed` when two members have the name: readers disagree on which one counts
 */
export function memberOf({ node, place }: PlacedObject, name: string): JsonNode | undefined {
  let found: JsonNode | undefined;
  const folded = foldMemberName(name);
  for (const { key, value } of node.members) {
    if (key !== name && foldMemberName(key) !== folded) continue;
    if (found !== undefined) throw catalogMalformed(place.file, place.line, `${JSON.stringify(name)} stands twice`);
    found = value;
  }
  return found?.kind === "null" ? undefined : found;
}

/** An object member; undefined when it is absent. @throws FormatError `catalog-malformed` for another kind */
export function objectOf(object: PlacedObject, name: string): PlacedObject | undefined {
  const node = memberOf(object, name);
  return node === undefined ? undefined : asObject(node, object.place, name);
}

/** The objects of a list member; none when it is absent. @throws FormatError `catalog-malformed` for anything else */
export function objectsOf(object: PlacedObject, name: string): readonly PlacedObject[] {
  return itemsOf(object, name).map((item) => asObject(item, object.place, name));
}

/** The texts of a list member; none when it is absent. @throws FormatError `catalog-malformed` for anything else */
export function textsOf(object: PlacedObject, name: string): readonly string[] {
  return itemsOf(object, name).map((item) => asText(item, object.place, name));
}

/**
 * A text member; empty when it is absent. The text has memory of its own: it does not keep its document.
 * @throws FormatError `catalog-malformed` for another kind, or more than 1024 characters
 */
export function textOf(object: PlacedObject, name: string): string {
  const node = memberOf(object, name);
  return node === undefined ? "" : asText(node, object.place, name);
}

function itemsOf({ node, place }: PlacedObject, name: string): readonly JsonNode[] {
  const member = memberOf({ node, place }, name);
  if (member === undefined) return [];
  if (member.kind !== "array") throw kindProblem(member, place, name, "a list");
  return member.items;
}

function asObject(node: JsonNode, place: DocumentPlace, name: string): PlacedObject {
  if (node.kind !== "object") throw kindProblem(node, place, name, "an object");
  return { node, place };
}

/** As {@link textOf}, of a value. */
function asText(node: JsonNode, place: DocumentPlace, name: string): string {
  if (node.kind !== "string") throw kindProblem(node, place, name, "a text");
  if (node.value.length > MAX_TEXT_LENGTH)
    throw catalogMalformed(place.file, place.line, `${name} is longer than ${MAX_TEXT_LENGTH} characters`);
  return Buffer.from(node.value, "utf8").toString("utf8");
}

function kindProblem(node: JsonNode, { file, line }: DocumentPlace, name: string, expected: string): FormatError {
  return catalogMalformed(file, line, `${name} is ${describeKind(node)} where ${expected} is expected`);
}
