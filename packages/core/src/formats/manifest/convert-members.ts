/** Reading an object for a conversion, where nothing may get lost, and writing it in the order and spelling of containers/image. */
import { writeJsonString } from "../../bytes/json-text.ts";
import type { JsonNode } from "../../bytes/strict-json.ts";
import { FormatError } from "../../errors.ts";
import { type Members, readAnnotations, readArray, readMembers, readText, readWhole } from "./members.ts";

/** More than any genuine list of texts has. */
const MAX_TEXTS = 1_000;

/**
 * The members of an object that is to be written in another format.
 * @param known those that the other format can say; any other one is refused, unless it says nothing
 * @throws FormatError `conversion-refused` naming the member
 */
export function takeMembers(node: JsonNode, path: string, known: readonly string[]): Members {
  const members = readMembers(node, path, known);
  for (const [name, value] of members) {
    if (known.includes(name) || saysNothing(value)) continue;
    throw inexpressible(path === "" ? name : `${path}.${name}`);
  }
  return members;
}

function saysNothing(node: JsonNode): boolean {
  switch (node.kind) {
    case "null":
      return true;
    case "string":
      return node.value === "";
    case "array":
      return node.items.length === 0;
    case "object":
      return node.members.length === 0;
    default:
      return false;
  }
}

/** @param what the path of the member, such as `layers[0].annotations`, or what it says */
export function inexpressible(what: string, why = "the other format has no place for it"): FormatError {
  return new FormatError("conversion-refused", `the manifest cannot be converted: ${what.slice(0, 300)}: ${why}`, {
    path: what.slice(0, 300),
    hint: "copy the image as it is, to a place that keeps every type of manifest: dir: or docker://",
  });
}

/** Members of an object in their order, as JSON; undefined ones are left out. */
export function writeMembers(members: readonly (readonly [name: string, json: string | undefined])[]): string {
  const written = members.flatMap(([name, json]) => (json === undefined ? [] : [`${writeJsonString(name)}:${json}`]));
  return `{${written.join(",")}}`;
}

export function writeText(node: JsonNode | undefined, path: string): string | undefined {
  const text = readText(node, path);
  return text === undefined ? undefined : writeJsonString(text);
}

export function writeWhole(node: JsonNode | undefined, path: string): string | undefined {
  return node === undefined ? undefined : String(readWhole(node, path));
}

/** A list of texts; undefined for an empty one. */
export function writeTexts(node: JsonNode | undefined, path: string): string | undefined {
  const texts = node === undefined ? [] : readArray(node, path, MAX_TEXTS);
  return texts.length === 0
    ? undefined
    : `[${texts.map((text) => writeText(text, path) ?? writeJsonString("")).join(",")}]`;
}

/** A map of texts, its names sorted as Go writes maps; undefined for an empty one. */
export function writeAnnotations(node: JsonNode | undefined, path: string): string | undefined {
  const annotations = [...readAnnotations(node, path)];
  if (annotations.length === 0) return undefined;
  annotations.sort(([a], [b]) => (a < b ? -1 : 1));
  return writeMembers(annotations.map(([name, text]) => [name, writeJsonString(text)]));
}
