import type { Digest, Reference } from "@signet/core";
import { addDirSignature, readDirSignatures } from "../transports/dir-signatures.ts";
import type { SignatureReading, SignatureStore } from "./signature-store.ts";

/** What signing needs of a store. */
export type AddableStore = Pick<SignatureStore, "label" | "unwritable" | "read" | "readWritten" | "add">;

/**
 * The signatures beside a `dir:` image. References do not matter there: a folder holds one image.
 * @param topDigest digest of the image's own manifest; all others are instances of it
 */
export function dirStore(path: string, topDigest: Digest): AddableStore {
  return new DirStore(path, topDigest);
}

class DirStore implements AddableStore {
  readonly label: string;
  readonly unwritable = undefined;
  readonly #path: string;
  readonly #topDigest: Digest;

  constructor(path: string, topDigest: Digest) {
    this.#path = path;
    this.#topDigest = topDigest;
    this.label = `dir:${path}`;
  }

  async read(_reference: Reference | undefined, digest: Digest): Promise<SignatureReading> {
    return readDirSignatures(this.#path, this.#instance(digest));
  }

  async add(_reference: Reference | undefined, digest: Digest, blob: Uint8Array): Promise<string> {
    return addDirSignature(this.#path, blob, this.#instance(digest));
  }

  #instance(digest: Digest): Digest | undefined {
    return digest === this.#topDigest ? undefined : digest;
  }
}
