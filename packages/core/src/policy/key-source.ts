/** Frozen key sources, for the readers and for policies made by code. */
import type { KeySource } from "./policy.ts";

/** A frozen source of files. */
export function keyFiles(paths: readonly string[]): KeySource {
  return Object.freeze({ kind: "files", paths: Object.freeze([...paths]) });
}

/** A frozen source of octets. */
export function keyBlobs(blobs: readonly Uint8Array[]): KeySource {
  return Object.freeze({ kind: "data", blobs: Object.freeze([...blobs]) });
}
