/** One value of a JSON or YAML document, whichever it came from: what the readers of Kubernetes objects and compose files look at. */
import { FormatError, type JsonNode, parseJson } from "@signet/core";

export type DocumentValue = string | number | boolean | null | readonly DocumentValue[] | DocumentMap;

/** Members by name. A name that stands twice was refused when the document was read. */
export type DocumentMap = ReadonlyMap<string, DocumentValue>;

/** Levels: genuine objects have some thirty, schemas of custom resources about a hundred. Bounds the recursion of every reader. */
export const MAX_DOCUMENT_DEPTH = 500;

/** Values of one object, those reached through aliases counted each time. The largest genuine objects have some ten thousand. */
export const MAX_DOCUMENT_VALUES: number = 250_000;

/**
 * Reads one JSON value strictly: members that stand twice are refused, since readers differ in which of the two counts.
 * @param what the document's name in messages
 * @throws FormatError `json-malformed`, `input-too-large`
 */
export function parseJsonValue(bytes: Uint8Array, what: string): DocumentValue {
  const limits = { maxBytes: bytes.length, maxDepth: MAX_DOCUMENT_DEPTH, maxValues: MAX_DOCUMENT_VALUES };
  return valueOf(parseJson(bytes, what, limits), what);
}

function valueOf(node: JsonNode, what: string): DocumentValue {
  switch (node.kind) {
    case "null":
      return null;
    case "array":
      return node.items.map((item) => valueOf(item, what));
    case "object": {
      const members = new Map<string, DocumentValue>();
      for (const { key, keyStart, value } of node.members) {
        if (members.has(key)) {
          throw new FormatError("json-malformed", `${what}: member ${JSON.stringify(key.slice(0, 100))} stands twice`, {
            offset: keyStart,
          });
        }
        members.set(key, valueOf(value, what));
      }
      return members;
    }
    default:
      return node.value;
  }
}

export function isDocumentMap(value: DocumentValue | undefined): value is DocumentMap {
  return value instanceof Map;
}

export function isDocumentList(value: DocumentValue | undefined): value is readonly DocumentValue[] {
  return Array.isArray(value);
}

/** A member of a value that may be no mapping at all. */
export function memberOf(value: DocumentValue | undefined, ...path: readonly string[]): DocumentValue | undefined {
  let at = value;
  for (const key of path) at = isDocumentMap(at) ? at.get(key) : undefined;
  return at;
}
