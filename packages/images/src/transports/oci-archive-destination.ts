import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type Digest, InternalError, StoreError, digestAlgorithm } from "@signet/core";
import { syncDirectory } from "../config/atomic-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { checkBlob, chunksOf } from "./blob-check.ts";
import { openRegularFile, readWholeFile, writeAt, writeNewFile } from "./file-chunks.ts";
import { INDEX_FILE, LAYOUT_FILE, LAYOUT_TEXT, addCompanions, addEntry } from "./oci-index.ts";
import { StagedCompanions } from "./oci-companions.ts";
import { makeIndexEntry, manifestUnsupportedInLayout } from "./oci-manifest.ts";
import { OCI_SIGNATURES_UNSUPPORTED, blobName } from "./oci-source.ts";
import { newStagePath } from "./stage.ts";
import { TAR_BLOCK, paddedSize, writeTarHeader } from "./tar-header.ts";
import type { BlobDescriptor, ImageDestination, ImageName, RawManifest } from "./transport.ts";

/**
 * Opens an archive for writing. It replaces the file of that name only on `commit`; other images that were in it are not kept.
 * @throws StoreError `destination-unsuitable` when there is something else than a file, `file-unwritable`, `disk-full`
 */
export async function openOciArchiveDestination(name: ImageName): Promise<ImageDestination> {
  const path = name.path!;
  const temporary = await newStagePath(dirname(path));
  try {
    await refuseNonFile(path);
    return new OciArchiveDestination(name, path, temporary, await open(temporary, "wx", 0o644));
  } catch (error) {
    throw fileError(error, path, "write");
  }
}

async function refuseNonFile(path: string): Promise<void> {
  try {
    if ((await stat(path)).isFile()) return;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  throw new StoreError("destination-unsuitable", `${path} exists and is not a file`, {
    side: "destination",
    hint: "for a folder use oci:",
  });
}

/** The part of the archive that belongs to one blob. Its size is fixed before its bytes arrive, so that blobs can arrive side by side. */
interface Region {
  readonly offset: number;
  readonly size: number;
  whole: boolean;
}

class OciArchiveDestination implements ImageDestination {
  readonly name: ImageName;
  readonly companions: StagedCompanions;
  readonly #path: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  readonly #regions = new Map<Digest, Region>();
  readonly #folders = new Set<string>();
  #end = 0;
  #top: RawManifest | undefined;
  #done = false;

  constructor(name: ImageName, path: string, temporary: string, handle: FileHandle) {
    this.name = name;
    this.#path = path;
    this.#temporary = temporary;
    this.#handle = handle;
    this.companions = new StagedCompanions({
      location: path,
      putManifest: (manifest) => this.putManifest(manifest, { instance: true }),
      putBlob: (digest, bytes) => this.putBlob({ digest, size: bytes.length }, chunksOf(bytes)),
      // The archive is written anew.
      named: async () => undefined,
    });
  }

  async signaturesUnsupported(): Promise<string> {
    return OCI_SIGNATURES_UNSUPPORTED;
  }

  manifestUnsupported(mediaType: string): string | undefined {
    return manifestUnsupportedInLayout(mediaType);
  }

  async hasBlob(descriptor: BlobDescriptor): Promise<boolean> {
    return this.#regions.get(descriptor.digest)?.whole === true;
  }

  async putBlob(descriptor: BlobDescriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const checked = checkBlob(descriptor, chunks, `blob ${descriptor.digest}`);
    if (descriptor.size === undefined) await this.#spool(descriptor.digest, checked);
    else await this.#put(descriptor.digest, descriptor.size, checked);
  }

  /** A tar header comes before the content and says its size: a stream of unknown length is written to a file first. */
  async #spool(digest: Digest, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const spool = await newStagePath(dirname(this.#path));
    await writeNewFile(spool, chunks);
    try {
      const file = await openRegularFile(spool, "temporary file");
      await this.#put(digest, file.size, readWholeFile(file, spool));
    } finally {
      await rm(spool, { force: true });
    }
  }

  async #put(digest: Digest, size: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      const region = this.#regions.get(digest) ?? (await this.#reserveBlob(digest, size));
      if (region.size !== size) throw new InternalError(`blob ${digest} was announced with two sizes`);
      let position = region.offset;
      for await (const chunk of chunks) {
        await writeAt(this.#handle, chunk, position);
        position += chunk.length;
      }
      region.whole = true;
    } catch (error) {
      throw fileError(error, this.#path, "write");
    }
  }

  async #reserveBlob(digest: Digest, size: number): Promise<Region> {
    const parent = `blobs/${digestAlgorithm(digest)}/`;
    const headers: Promise<unknown>[] = [];
    for (const folder of ["blobs/", parent]) {
      if (this.#folders.has(folder)) continue;
      this.#folders.add(folder);
      headers.push(this.#reserve(folder, 0).written);
    }
    const { region, written } = this.#reserve(blobName(digest), size);
    this.#regions.set(digest, region);
    await Promise.all([...headers, written]);
    return region;
  }

  /** Takes the next part of the archive; synchronous up to the write, so that two callers never get the same part. */
  #reserve(name: string, size: number): { readonly region: Region; readonly written: Promise<void> } {
    const header = writeTarHeader(name, size);
    const start = this.#end;
    const region = { offset: start + header.length, size, whole: false };
    this.#end = region.offset + paddedSize(size);
    return { region, written: writeAt(this.#handle, header, start) };
  }

  async putManifest(manifest: RawManifest, options: { readonly instance?: boolean } = {}): Promise<void> {
    const digest = manifest.namedDigest ?? manifest.digest;
    await this.#put(
      digest,
      manifest.bytes.length,
      checkBlob({ digest }, chunksOf(manifest.bytes), `manifest ${digest}`),
    );
    if (options.instance !== true) this.#top = manifest;
  }

  async putSignatures(): Promise<never> {
    throw new StoreError("destination-unsuitable", `${this.name.text}: ${OCI_SIGNATURES_UNSUPPORTED}`, {
      side: "destination",
      hint: "copy with --remove-signatures, or to dir: or docker://",
    });
  }

  async commit(): Promise<void> {
    if (this.#top === undefined) throw new InternalError("commit of an oci-archive: image without a manifest");
    for (const [digest, region] of this.#regions) {
      if (!region.whole) throw new InternalError(`commit of an oci-archive: image of which blob ${digest} is missing`);
    }
    try {
      const image = addEntry(undefined, makeIndexEntry(this.#top, this.name.imageName), INDEX_FILE);
      const index = addCompanions(image, this.companions.entries, INDEX_FILE);
      await this.#append(INDEX_FILE, index);
      await this.#append(LAYOUT_FILE, new TextEncoder().encode(LAYOUT_TEXT));
      // Two blocks of zeros are the end mark; growing a file fills it with zeros.
      await this.#handle.truncate(this.#end + 2 * TAR_BLOCK);
      await this.#handle.sync();
      await rename(this.#temporary, this.#path);
    } catch (error) {
      throw fileError(error, this.#path, "write");
    }
    this.#done = true;
    await this.#handle.close();
    await syncDirectory(dirname(this.#path));
  }

  async #append(name: string, bytes: Uint8Array): Promise<void> {
    const { region, written } = this.#reserve(name, bytes.length);
    await written;
    await writeAt(this.#handle, bytes, region.offset);
  }

  async close(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    await this.#handle.close();
    await rm(this.#temporary, { force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
