/** Reading the members of a manifest's objects so that no two readers can disagree on what they say. */
import { foldMemberName } from "../../bytes/member-name.ts";
import { type JsonNode, describeKind } from "../../bytes/strict-json.ts";
import { FormatError } from "../../errors.ts";

/** Layers of one image: docker stops at 127, other builders a little above. */
export const MAX_LAYERS = 1_000;

/** The members of one object that matter; all others were passed over. */
export type Members = ReadonlyMap<string, JsonNode>;

/**
 * Takes the members `names` of an object. Members that are not among them are passed over, for specifications allow to add some; but a name that
 * differs from one that matters in case only is refused, and so is any name that occurs twice.
 * @param path of the object; empty for the top level
 */
export function readMembers(node: JsonNode, path: string, names: readonly string[]): Members {
  const at = path === "" ? "the top level" : path;
  if (node.kind !== "object") throw manifestProblem(node, path, `${at} is ${describeKind(node)}, not an object`);
  const members = new Map<string, JsonNode>();
  for (const { key, keyStart, value } of node.members) {
    if (members.has(key)) throw manifestProblem({ start: keyStart }, path, `${at}: ${quote(key)} occurs twice`);
    const variant = names.includes(key) ? undefined : findVariant(key, names);
    if (variant !== undefined) {
      throw manifestProblem({ start: keyStart }, path, `${at}: ${quote(key)} is ${quote(variant)} to some readers`);
    }
    members.set(key, value);
  }
  return members;
}

const foldedNames = new Map<string, string>();

function findVariant(key: string, names: readonly string[]): string | undefined {
  const folded = foldMemberName(key);
  return names.find((name) => {
    let known = foldedNames.get(name);
    if (known === undefined) foldedNames.set(name, (known = foldMemberName(name)));
    return known === folded;
  });
}

/** A text; undefined where the member is missing or null. An empty text counts as missing, as in the reference implementation. */
export function readText(node: JsonNode | undefined, path: string): string | undefined {
  if (node === undefined || node.kind === "null") return undefined;
  if (node.kind !== "string") throw manifestProblem(node, path, `${path} is ${describeKind(node)}, not a string`);
  return node.value === "" ? undefined : node.value;
}

/** A number without fraction or exponent that is not negative and exact. */
export function readWhole(node: JsonNode, path: string): number {
  if (node.kind !== "number") throw manifestProblem(node, path, `${path} is ${describeKind(node)}, not a number`);
  if (!/^\d+$/.test(node.text) || !Number.isSafeInteger(node.value)) {
    throw manifestProblem(node, path, `${path}: ${node.text.slice(0, 40)} is not a whole number`);
  }
  return node.value;
}

/** An array of at most `max` items. Null is an empty one: that is how Go programs write a list that was never filled. */
export function readArray(node: JsonNode, path: string, max: number): readonly JsonNode[] {
  if (node.kind === "null") return [];
  if (node.kind !== "array") throw manifestProblem(node, path, `${path} is ${describeKind(node)}, not an array`);
  if (node.items.length > max) {
    throw new FormatError("input-too-large", `manifest: ${path} has ${node.items.length} items, the limit is ${max}`, {
      offset: node.start,
      path,
    });
  }
  return node.items;
}

/** A map of texts. */
export function readAnnotations(node: JsonNode | undefined, path: string): ReadonlyMap<string, string> {
  const annotations = new Map<string, string>();
  if (node === undefined || node.kind === "null") return annotations;
  for (const [key, value] of readMembers(node, path, [])) annotations.set(key, readText(value, `${path}.${key}`) ?? "");
  return annotations;
}

/** An error about one place of a manifest. */
export function manifestProblem(node: { readonly start: number }, path: string, problem: string): FormatError {
  return new FormatError("manifest-malformed", `manifest: ${problem} (offset ${node.start})`, {
    offset: node.start,
    path,
  });
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
