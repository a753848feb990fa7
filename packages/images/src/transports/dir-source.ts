import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, MAX_MANIFEST_BYTES, StoreError, computeManifestDigest, digestAlgorithm } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import type { SignatureReading } from "../stores/signature-store.ts";
import { checkBlob, checkBytes } from "./blob-check.ts";
import { blobFile, manifestFile } from "./dir-layout.ts";
import { readDirSignatures } from "./dir-signatures.ts";
import { openRegularFile, readWholeFile } from "./file-chunks.ts";
import type { BlobDescriptor, ImageName, ImageSource, RawManifest } from "./transport.ts";

/**
 * Opens a `dir:` image for reading. The version file is not needed for that.
 * @throws StoreError `file-missing`, `file-unreadable`
 */
export async function openDirSource(name: ImageName): Promise<ImageSource> {
  const path = name.path!;
  try {
    if (!(await stat(path)).isDirectory()) {
      throw new StoreError("file-unreadable", `cannot read ${path}: it is not a directory`, {
        side: "source",
        hint: "a dir: image is a folder; for an archive use oci-archive:",
      });
    }
  } catch (error) {
    throw fileError(error, path, "read", "the image");
  }
  return new DirSource(name, path);
}

class DirSource implements ImageSource {
  readonly name: ImageName;
  readonly #path: string;
  #top: RawManifest | undefined;

  constructor(name: ImageName, path: string) {
    this.name = name;
    this.#path = path;
  }

  async manifest(instance?: Digest): Promise<RawManifest> {
    if (instance !== undefined) return this.#readManifest(instance);
    return (this.#top ??= await this.#readManifest(undefined));
  }

  async #readManifest(instance: Digest | undefined): Promise<RawManifest> {
    const location = join(this.#path, manifestFile(instance));
    let bytes: Uint8Array;
    try {
      bytes = await readFileBounded(location, MAX_MANIFEST_BYTES, "manifest", { regularOnly: true });
    } catch (error) {
      throw missingImage(
        error,
        location,
        "manifest",
        "the folder does not hold a dir: image, or not all instances of its list",
      );
    }
    if (instance !== undefined) checkBytes(instance, bytes, location);
    return {
      bytes,
      digest: computeManifestDigest(bytes, nodeEngine),
      declaredMediaType: undefined,
      ...(instance !== undefined && digestAlgorithm(instance) !== "sha256" ? { namedDigest: instance } : {}),
    };
  }

  async *blob(descriptor: BlobDescriptor): AsyncIterable<Uint8Array> {
    const location = join(this.#path, blobFile(descriptor.digest));
    let file: Awaited<ReturnType<typeof openRegularFile>>;
    try {
      file = await openRegularFile(location, "blob");
    } catch (error) {
      throw missingImage(error, location, "blob", "the image is not complete");
    }
    yield* checkBlob(descriptor, readWholeFile(file, location), location);
  }

  async signatures(digest: Digest): Promise<SignatureReading> {
    const top = await this.manifest();
    return readDirSignatures(this.#path, digest === top.digest ? undefined : digest);
  }

  async close(): Promise<void> {
    // Nothing is held between calls.
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function missingImage(error: unknown, location: string, what: string, hint: string): unknown {
  if (!(error instanceof StoreError) || errnoOf(error.cause) !== "ENOENT") return error;
  return new StoreError("image-missing", `no ${what} ${location}`, { cause: error, side: "source", hint });
}
