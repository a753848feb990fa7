import {
  type Digest,
  FormatError,
  MAX_MANIFEST_BYTES,
  StoreError,
  computeManifestDigest,
  digestAlgorithm,
  digestHex,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { SignatureReading } from "../stores/signature-store.ts";
import { checkBlob, checkBytes, collectChunks } from "./blob-check.ts";
import type { CompanionListing } from "./companion.ts";
import { LayoutCompanions } from "./oci-companions.ts";
import {
  INDEX_FILE,
  type IndexEntry,
  LAYOUT_FILE,
  MAX_INDEX_BYTES,
  MAX_LAYOUT_BYTES,
  checkLayoutFile,
  parseOciIndex,
  selectEntry,
} from "./oci-index.ts";
import type { BlobDescriptor, ImageName, ImageSource, RawManifest } from "./transport.ts";

/** A file of a layout: its size in bytes, and its bytes once asked for. Closed by iterating to the end or by `discard`. */
export interface LayoutFile {
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  discard(): Promise<void>;
}

/** Where the files of a layout lie: a folder or an archive. Names are those of the image-spec, with `/`. */
export interface LayoutFiles {
  /** For messages. */
  readonly location: string;
  /** Undefined when there is no such file. @throws StoreError `file-unreadable` */
  open(name: string): Promise<LayoutFile | undefined>;
  close(): Promise<void>;
}

/** The name of a blob inside a layout. Digests are checked on construction, so the result never leaves `blobs/`. */
export function blobName(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

/** Why these transports keep no signatures. */
export const OCI_SIGNATURES_UNSUPPORTED: string = "the OCI image layout has no place for simple signing signatures";

/**
 * Finds the image that `name` means in a layout.
 * @throws StoreError `image-missing`; FormatError `image-malformed`, `json-malformed`, `digest-malformed`
 */
export async function openLayoutSource(name: ImageName, files: LayoutFiles): Promise<ImageSource> {
  const layout = await readDocument(files, LAYOUT_FILE, MAX_LAYOUT_BYTES);
  checkLayoutFile(layout, `${files.location}: ${LAYOUT_FILE}`);
  const index = await readDocument(files, INDEX_FILE, MAX_INDEX_BYTES);
  const entries = parseOciIndex(index, `${files.location}: ${INDEX_FILE}`);
  return new LayoutSource(name, files, selectEntry(entries, name), entries);
}

async function readDocument(files: LayoutFiles, name: string, maxBytes: number): Promise<Uint8Array> {
  const file = await files.open(name);
  if (file === undefined) {
    throw new FormatError("image-malformed", `${files.location} is not an OCI image layout: it has no ${name}`, {
      hint: "for a folder written with dir:, use dir:",
    });
  }
  return readLimited(file, maxBytes, `${files.location}: ${name}`);
}

async function readLimited(file: LayoutFile, maxBytes: number, what: string): Promise<Uint8Array> {
  if (file.size > maxBytes) {
    await file.discard();
    throw new FormatError("input-too-large", `${what}: ${file.size} bytes, the limit is ${maxBytes}`);
  }
  return collectChunks(file.chunks, maxBytes, what);
}

class LayoutSource implements ImageSource {
  readonly name: ImageName;
  readonly #files: LayoutFiles;
  readonly #entry: IndexEntry;
  readonly #companions: LayoutCompanions;
  #top: RawManifest | undefined;

  constructor(name: ImageName, files: LayoutFiles, entry: IndexEntry, entries: readonly IndexEntry[]) {
    this.name = name;
    this.#files = files;
    this.#entry = entry;
    this.#companions = new LayoutCompanions(entries, (one) => this.#readManifest(one.digest, one), files.location);
  }

  async manifest(instance?: Digest): Promise<RawManifest> {
    if (instance !== undefined) return this.#readManifest(instance, undefined);
    return (this.#top ??= await this.#readManifest(this.#entry.digest, this.#entry));
  }

  async #readManifest(digest: Digest, entry: IndexEntry | undefined): Promise<RawManifest> {
    const file = await this.#open(digest, "manifest");
    const location = this.#locate(digest);
    const bytes = await readLimited(file, MAX_MANIFEST_BYTES, location);
    if (entry !== undefined && bytes.length !== entry.size) {
      throw new StoreError(
        "digest-mismatch",
        `${location}: ${bytes.length} bytes instead of the ${entry.size} in ${INDEX_FILE}`,
        { side: "source" },
      );
    }
    checkBytes(digest, bytes, location);
    return {
      bytes,
      digest: computeManifestDigest(bytes, nodeEngine),
      declaredMediaType: entry?.mediaType,
      ...(digestAlgorithm(digest) === "sha256" ? {} : { namedDigest: digest }),
    };
  }

  async *blob(descriptor: BlobDescriptor): AsyncIterable<Uint8Array> {
    const file = await this.#open(descriptor.digest, "blob");
    yield* checkBlob(descriptor, file.chunks, this.#locate(descriptor.digest));
  }

  async #open(digest: Digest, what: string): Promise<LayoutFile> {
    const file = await this.#files.open(blobName(digest));
    if (file !== undefined) return file;
    throw new StoreError("image-missing", `no ${what} ${this.#locate(digest)}`, {
      side: "source",
      hint: "the image is not complete",
    });
  }

  #locate(digest: Digest): string {
    return `${this.#files.location}: ${blobName(digest)}`;
  }

  async signatures(): Promise<SignatureReading> {
    return {
      store: `none (${OCI_SIGNATURES_UNSUPPORTED})`,
      signatures: [],
      attempts: [],
      warnings: [],
    };
  }

  companions(digest: Digest): Promise<CompanionListing> {
    return this.#companions.find(digest);
  }

  close(): Promise<void> {
    return this.#files.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
