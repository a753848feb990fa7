/** Corrections of a policy document that leave every other octet as it was: white space, order, line ends, a file's own way of writing. */
import { concatBytes } from "../../bytes/concat.ts";
import type { JsonNode } from "../../bytes/strict-json.ts";
import { DocumentPlaces, type JsonPath } from "./document-places.ts";
import type { PolicyEdit } from "./lint.ts";

/** Octets to be replaced. */
interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The document after correction, and which of the edits it holds. */
export interface CorrectedPolicy {
  readonly bytes: Uint8Array;
  readonly applied: readonly PolicyEdit[];
}

/**
 * Makes the edits in a document. Those inside something that another one removes are left out, and so are those that would leave a list empty: an empty list of
 * requirements does not parse.
 *
 * Not checked: whether the outcome parses; the caller does that before anything is written.
 * @param bytes a policy that `parsePolicy` has read
 */
export function editPolicy(bytes: Uint8Array, edits: readonly PolicyEdit[]): CorrectedPolicy {
  const places = new DocumentPlaces(bytes);
  const removed = keptRemovals(edits, places);
  const splices = new Map<number, Splice>();
  const applied: PolicyEdit[] = [];
  for (const edit of edits) {
    if (isInside(edit, removed)) continue;
    const splice = edit.kind === "remove" ? removalOf(edit.path, removed, places) : replacementOf(edit, places);
    if (splice === undefined || splices.has(splice.start)) continue;
    splices.set(splice.start, splice);
    applied.push(edit);
  }
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { start, end, text } of [...splices.values()].toSorted((a, b) => a.start - b.start)) {
    parts.push(bytes.subarray(at, start), new TextEncoder().encode(text));
    at = end;
  }
  return { bytes: concatBytes([...parts, bytes.subarray(at)]), applied };
}

/** Positions that are removed, by the list they stand in. A list from which all would go keeps all. */
function keptRemovals(edits: readonly PolicyEdit[], places: DocumentPlaces): ReadonlyMap<string, ReadonlySet<number>> {
  const byList = new Map<string, Set<number>>();
  for (const { kind, path } of edits) {
    const position = path.at(-1);
    if (kind !== "remove" || typeof position !== "number") continue;
    const list = JSON.stringify(path.slice(0, -1));
    byList.set(list, (byList.get(list) ?? new Set()).add(position));
  }
  for (const [list, positions] of byList) {
    const node = places.node(JSON.parse(list) as JsonPath);
    if (node?.kind !== "array" || positions.size >= node.items.length) byList.delete(list);
  }
  return byList;
}

/** True when something above `edit` goes away, or what it would replace. */
function isInside({ kind, path }: PolicyEdit, removed: ReadonlyMap<string, ReadonlySet<number>>): boolean {
  const steps = kind === "remove" ? path.slice(0, -1) : path;
  return steps.some((step, index) => {
    return typeof step === "number" && removed.get(JSON.stringify(path.slice(0, index)))?.has(step) === true;
  });
}

function replacementOf(edit: Exclude<PolicyEdit, { kind: "remove" }>, places: DocumentPlaces): Splice | undefined {
  if (edit.kind === "replace") {
    const node = places.node(edit.path);
    return node === undefined ? undefined : { start: node.start, end: node.end, text: JSON.stringify(edit.value) };
  }
  const octets = places.keyOctets(edit.path);
  return octets === undefined ? undefined : { ...octets, text: JSON.stringify(edit.key) };
}

/** One item with the comma that belongs to it: the one before, or for those at the head of the list the one behind. */
function removalOf(
  path: JsonPath,
  removed: ReadonlyMap<string, ReadonlySet<number>>,
  places: DocumentPlaces,
): Splice | undefined {
  const list = path.slice(0, -1);
  const position = path.at(-1);
  const positions = removed.get(JSON.stringify(list));
  const node = places.node(list);
  if (positions === undefined || node?.kind !== "array" || typeof position !== "number") return undefined;
  const items: readonly JsonNode[] = node.items;
  const item = items[position];
  if (item === undefined) return undefined;
  const isAtHead = items.slice(0, position).every((_, index) => positions.has(index));
  if (isAtHead) return { start: item.start, end: items[position + 1]!.start, text: "" };
  return { start: items[position - 1]!.end, end: item.end, text: "" };
}
