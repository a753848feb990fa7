/** Sets of keys and certificates, and which of them holds all of another. */
import { equalBytes } from "../../bytes/concat.ts";
import type { KeySource } from "../policy.ts";

/** A key or certificate as far as two sets are compared. */
export interface ComparedKey {
  /** What names it: the fingerprint of an OpenPGP certificate, the SHA-256 of a PEM block. */
  readonly id: string;
  /** Equal exactly when two keys of one id are the same in everything that verifying looks at: expiry, subkeys, revocations. */
  readonly content: string;
}

/** What a key source holds; `unreadable` when that cannot be told here. */
export type KeyReading =
  | { readonly kind: "keys"; readonly keys: readonly ComparedKey[] }
  | { readonly kind: "unreadable"; readonly why: string };

/** Reads a key source. `openpgp`: of signedBy; `pem`: keys and certificates of sigstoreSigned. Must not throw for files that cannot be read. */
export type ReadComparedKeys = (source: KeySource, form: "openpgp" | "pem") => KeyReading;

/** How sure an answer has to be. `proven`: holds whatever files that could not be read contain. `likely`: files of one path are taken to be one file. */
export type Certainty = "proven" | "likely";

/** Compares key sources; each is read once. */
export class KeyComparison {
  readonly #read: ReadComparedKeys;
  readonly #readings = new Map<KeySource, KeyReading>();

  constructor(read: ReadComparedKeys) {
    this.#read = read;
  }

  reading(source: KeySource, form: "openpgp" | "pem"): KeyReading {
    let reading = this.#readings.get(source);
    if (reading === undefined) {
      reading = isEmptySource(source) ? { kind: "keys", keys: [] } : this.#read(source, form);
      this.#readings.set(source, reading);
    }
    return reading;
  }

  /** Whether every key of `a` is one of `b`, the same in everything. */
  isWithin(a: KeySource, b: KeySource, form: "openpgp" | "pem", certainty: Certainty): boolean {
    if (isSameSource(a, b)) return true;
    const [inner, outer] = [this.reading(a, form), this.reading(b, form)];
    if (inner.kind === "keys" && outer.kind === "keys") {
      const contents = new Set(outer.keys.map(({ content }) => content));
      return inner.keys.every(({ content }) => contents.has(content));
    }
    // A listed file that is missing where the policy is used makes the reference reject everything: the longer list is not sure to accept more.
    if (certainty === "proven" || a.kind !== "files" || b.kind !== "files") return false;
    const { paths } = b;
    return a.paths.every((path) => paths.includes(path));
  }

  /** What `b` has that `a` has not and the other way round, in words; empty when they are the same. */
  differences(a: KeySource, b: KeySource, form: "openpgp" | "pem"): readonly string[] {
    if (isSameSource(a, b)) return [];
    const [before, after] = [this.reading(a, form), this.reading(b, form)];
    if (before.kind === "keys" && after.kind === "keys") return differentKeys(before.keys, after.keys);
    const why = before.kind === "unreadable" ? before.why : after.kind === "unreadable" ? after.why : "";
    return [
      ...differentTexts(placesOf(a), placesOf(b), "key file"),
      `compared by path, since not all keys could be read: ${why}`,
    ];
  }
}

/** Without a key nothing can be signed. */
export function isEmptySource(source: KeySource): boolean {
  return source.kind === "files" ? source.paths.length === 0 : source.blobs.length === 0;
}

/** The same list, in whatever order. */
function isSameSource(a: KeySource, b: KeySource): boolean {
  if (a.kind === "files" && b.kind === "files") {
    const [left, right] = [new Set(a.paths), new Set(b.paths)];
    return left.size === right.size && [...left].every((path) => right.has(path));
  }
  if (a.kind === "data" && b.kind === "data")
    return a.blobs.length === b.blobs.length && a.blobs.every((blob, index) => equalBytes(blob, b.blobs[index]!));
  return false;
}

function differentKeys(before: readonly ComparedKey[], after: readonly ComparedKey[]): readonly string[] {
  const old = new Map(before.map(({ id, content }) => [id, content]));
  const changed = after.filter(({ id, content }) => old.has(id) && old.get(id) !== content).map(({ id }) => id);
  return [
    ...differentTexts(
      before.map(({ id }) => id),
      after.map(({ id }) => id),
      "key",
    ),
    ...(changed.length === 0 ? [] : [`another copy of key ${listed(changed)}: expiry, subkeys or revocations differ`]),
  ];
}

function differentTexts(before: readonly string[], after: readonly string[], what: string): readonly string[] {
  const added = after.filter((text) => !before.includes(text));
  const removed = before.filter((text) => !after.includes(text));
  return [
    ...(added.length === 0 ? [] : [`${what} added: ${listed(added)}`]),
    ...(removed.length === 0 ? [] : [`${what} removed: ${listed(removed)}`]),
  ];
}

function placesOf(source: KeySource): readonly string[] {
  return source.kind === "files" ? source.paths : source.blobs.map((_, index) => `key data ${index + 1}`);
}

/** Keys named in one sentence. */
const MAX_LISTED = 5;

function listed(texts: readonly string[]): string {
  const more = texts.length - MAX_LISTED;
  return `${texts.slice(0, MAX_LISTED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
