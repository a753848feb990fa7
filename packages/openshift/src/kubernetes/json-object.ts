/** JSON documents that Go programs read as well: no two readers may disagree on what they say. */
import { FormatError, type JsonNode, describeKind, foldMemberName, parseJson } from "@signet/core";

/** Levels of nesting: what is read here has less than ten. */
const MAX_DEPTH = 100;

/** A JSON object as plain values. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/**
 * Parses an object. A member that stands twice in any object is refused.
 * @param bytes bounded by the caller
 * @param maxValues default: as many as fit
 * @throws FormatError `json-malformed`, `input-too-large`
 */
export function parseJsonObject(bytes: Uint8Array, what: string, maxValues?: number): JsonRecord {
  const limits = { maxBytes: bytes.length, maxDepth: MAX_DEPTH, ...(maxValues === undefined ? {} : { maxValues }) };
  const node = parseJson(bytes, what, limits);
  if (node.kind !== "object") throw malformed(what, `an object is expected, not ${describeKind(node)}`);
  return valueOf(node, what) as JsonRecord;
}

/**
 * A member that matters; undefined where it is missing or null. Go programs match names without regard to case, so that another spelling beside it is refused.
 * @throws FormatError `json-malformed`
 */
export function fieldOf(object: JsonRecord, name: string, what: string): unknown {
  for (const key of Object.keys(object))
    if (key !== name && foldMemberName(key) === foldMemberName(name))
      throw malformed(what, `${JSON.stringify(key)} stands where some readers see ${JSON.stringify(name)}`);
  return (Object.hasOwn(object, name) ? object[name] : undefined) ?? undefined;
}

function valueOf(node: JsonNode, what: string): unknown {
  switch (node.kind) {
    case "null":
      return null;
    case "number":
      return Number(node.text);
    case "array":
      return node.items.map((item) => valueOf(item, what));
    case "object": {
      const entries = node.members.map(({ key, value }): [string, unknown] => [key, valueOf(value, what)]);
      const names = new Set(entries.map(([key]) => key));
      if (names.size < entries.length) throw malformed(what, "a member stands twice in one object");
      return Object.fromEntries(entries);
    }
    default:
      return node.value;
  }
}

function malformed(what: string, problem: string): FormatError {
  return new FormatError("json-malformed", `${what}: ${problem}`);
}
