/**
 * OCI image layouts in a folder (image-spec 1.1, image-layout):
 *
 *   oci-layout                     {"imageLayoutVersion":"1.0.0"}
 *   index.json                     the images, by name or position
 *   blobs/<algorithm>/<hex>        manifests, configs and layers of all of them
 */
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Digest, InternalError, MAX_MANIFEST_BYTES, StoreError, digestAlgorithm } from "@signet/core";
import { syncDirectory, temporaryName, writeFileAtomic } from "../config/atomic-file.ts";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import {
  MAX_ATTACHMENT_CONFIG_BYTES,
  type PresentAttachments,
  needsConfig,
  parseAttachmentManifest,
} from "../stores/attachment-manifest.ts";
import { checkBlob, checkBytes, chunksOf } from "./blob-check.ts";
import { openRegularFile, readWholeFile, writeNewFile } from "./file-chunks.ts";
import { removeAbandonedParts, withFileLock } from "../config/file-lock.ts";
import {
  INDEX_FILE,
  INDEX_LOCK_FILE,
  LAYOUT_FILE,
  LAYOUT_TEXT,
  MAX_INDEX_BYTES,
  MAX_LAYOUT_BYTES,
  addCompanions,
  addEntry,
  checkLayoutFile,
  parseOciIndex,
} from "./oci-index.ts";
import { StagedCompanions } from "./oci-companions.ts";
import { manifestUnsupportedInLayout, makeIndexEntry } from "./oci-manifest.ts";
import {
  type LayoutFile,
  type LayoutFiles,
  OCI_SIGNATURES_UNSUPPORTED,
  blobName,
  openLayoutSource,
} from "./oci-source.ts";
import { type DestinationFolder, lookAtFolder, makeStage } from "./stage.ts";
import type { BlobDescriptor, ImageDestination, ImageName, ImageSource, RawManifest } from "./transport.ts";

/**
 * Opens an image of an OCI layout for reading.
 * @throws StoreError `file-missing`, `file-unreadable`, `image-missing`; FormatError `image-malformed`, `json-malformed`, `digest-malformed`
 */
export async function openOciSource(name: ImageName): Promise<ImageSource> {
  const path = name.path!;
  try {
    if (!(await stat(path)).isDirectory()) {
      throw new StoreError("file-unreadable", `cannot read ${path}: it is not a directory`, {
        side: "source",
        hint: "for an archive use oci-archive:",
      });
    }
  } catch (error) {
    throw fileError(error, path, "read", "the image layout");
  }
  return openLayoutSource(name, new LayoutFolder(path));
}

class LayoutFolder implements LayoutFiles {
  readonly location: string;

  constructor(path: string) {
    this.location = path;
  }

  async open(name: string): Promise<LayoutFile | undefined> {
    const path = join(this.location, name);
    try {
      const file = await openRegularFile(path, "file");
      return { size: file.size, chunks: readWholeFile(file, path), discard: () => file.handle.close() };
    } catch (error) {
      if (error instanceof StoreError && errnoOf(error.cause) === "ENOENT") return undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    // Nothing is held between calls.
  }
}

/**
 * Opens an OCI layout for writing one image. The folder may be missing, empty, or a layout, whose other images are kept.
 * @throws StoreError `destination-unsuitable`, `file-unwritable`, `disk-full`; FormatError when the layout that is there is malformed
 */
export async function openOciDestination(name: ImageName): Promise<ImageDestination> {
  const folder = await lookAtFolder(name.path!);
  if (folder.entries !== undefined && folder.entries.size > 0) await checkLayout(folder.path, folder.entries);
  return new OciDestination(name, folder, await makeStage(folder));
}

async function checkLayout(path: string, entries: ReadonlySet<string>): Promise<void> {
  if (!entries.has(LAYOUT_FILE) && !entries.has(INDEX_FILE)) {
    throw new StoreError("destination-unsuitable", `${path} is not empty and no OCI image layout`, {
      side: "destination",
      hint: "name an empty or a new folder",
    });
  }
  // Found out before anything is copied, not after.
  if (entries.has(LAYOUT_FILE)) checkLayoutFile(await readLayoutFile(path), join(path, LAYOUT_FILE));
  if (entries.has(INDEX_FILE)) parseOciIndex(await readIndexFile(path), join(path, INDEX_FILE));
}

const readLayoutFile = (path: string): Promise<Uint8Array> =>
  readFileBounded(join(path, LAYOUT_FILE), MAX_LAYOUT_BYTES, "layout file", { regularOnly: true });
const readIndexFile = (path: string): Promise<Uint8Array> =>
  readFileBounded(join(path, INDEX_FILE), MAX_INDEX_BYTES, "image index", { regularOnly: true });

/** What `writeFileAtomic` calls the files of the layout while it writes them. */
const halfWrittenForm = /^\.(?:index\.json|oci-layout)\.signet-[0-9a-f]{16}$/;
/** What a layout has under one of cosign's names. */
async function readNamed(
  { path, entries }: DestinationFolder,
  tag: string,
): Promise<(PresentAttachments & { readonly digest: Digest }) | undefined> {
  if (entries?.has(INDEX_FILE) !== true) return undefined;
  const found = parseOciIndex(await readIndexFile(path), join(path, INDEX_FILE)).find(({ refName }) => refName === tag);
  if (found === undefined) return undefined;
  const read = async ({ digest }: BlobDescriptor, maxBytes: number): Promise<Uint8Array> => {
    const bytes = await readFileBounded(join(path, blobName(digest)), maxBytes, tag, { regularOnly: true });
    checkBytes(digest, bytes, join(path, blobName(digest)));
    return bytes;
  };
  const bytes = await read(found, MAX_MANIFEST_BYTES);
  const parsed = parseAttachmentManifest({ bytes, digest: found.digest, declaredMediaType: found.mediaType }, tag);
  const config = needsConfig(parsed) ? await read(parsed.config, MAX_ATTACHMENT_CONFIG_BYTES) : undefined;
  return { digest: found.digest, parsed, config };
}

class OciDestination implements ImageDestination {
  readonly name: ImageName;
  readonly companions: StagedCompanions;
  readonly #folder: DestinationFolder;
  readonly #stage: string;
  readonly #staged = new Set<Digest>();
  #top: RawManifest | undefined;
  #done = false;

  constructor(name: ImageName, folder: DestinationFolder, stage: string) {
    this.name = name;
    this.#folder = folder;
    this.#stage = stage;
    this.companions = new StagedCompanions({
      location: folder.path,
      putManifest: (manifest) => this.putManifest(manifest, { instance: true }),
      putBlob: (digest, bytes) => this.putBlob({ digest, size: bytes.length }, chunksOf(bytes)),
      named: (tag) => readNamed(folder, tag),
    });
  }

  async signaturesUnsupported(): Promise<string> {
    return OCI_SIGNATURES_UNSUPPORTED;
  }

  manifestUnsupported(mediaType: string): string | undefined {
    return manifestUnsupportedInLayout(mediaType);
  }

  /** A blob that is there counts only if it is whole: other tools and crashes may have left anything. */
  async hasBlob(descriptor: BlobDescriptor): Promise<boolean> {
    const location = join(this.#folder.path, blobName(descriptor.digest));
    try {
      const file = await openRegularFile(location, "blob");
      for await (const _ of checkBlob(descriptor, readWholeFile(file, location), location));
      return true;
    } catch {
      return false;
    }
  }

  putBlob(descriptor: BlobDescriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#put(descriptor.digest, checkBlob(descriptor, chunks, `blob ${descriptor.digest}`));
  }

  async putManifest(manifest: RawManifest, options: { readonly instance?: boolean } = {}): Promise<void> {
    const digest = manifest.namedDigest ?? manifest.digest;
    await this.#put(digest, checkBlob({ digest }, chunksOf(manifest.bytes), `manifest ${digest}`));
    if (options.instance !== true) this.#top = manifest;
  }

  async putSignatures(): Promise<never> {
    throw new StoreError("destination-unsuitable", `${this.name.text}: ${OCI_SIGNATURES_UNSUPPORTED}`, {
      side: "destination",
      hint: "copy with --remove-signatures, or to dir: or docker://",
    });
  }

  async #put(digest: Digest, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const folder = join(this.#stage, "blobs", digestAlgorithm(digest));
    const temporary = join(this.#stage, temporaryName("blob"));
    try {
      await mkdir(folder, { recursive: true });
      await writeNewFile(temporary, chunks);
      await rename(temporary, join(this.#stage, blobName(digest)));
    } catch (error) {
      throw fileError(error, this.#folder.path, "write");
    }
    this.#staged.add(digest);
  }

  async commit(): Promise<void> {
    if (this.#top === undefined) throw new InternalError("commit of an oci: image without a manifest");
    try {
      if (this.#folder.entries !== undefined || !(await this.#appear())) await this.#merge();
    } catch (error) {
      throw fileError(error, this.#folder.path, "write");
    }
    await this.#removeStage();
  }

  /** The folder did not exist: it appears whole. False when somebody else made it in the meantime. */
  async #appear(): Promise<boolean> {
    await this.#writeIndex(this.#stage);
    try {
      await rename(this.#stage, this.#folder.path);
    } catch (error) {
      if (!["EEXIST", "ENOTEMPTY"].includes(errnoOf(error) ?? "")) throw error;
      return false;
    }
    await syncDirectory(dirname(this.#folder.path));
    return true;
  }

  /**
   * Adds to a folder that others may be writing to as well. Blobs first: until the index names them nobody looks at them, and they cannot be taken back,
   * since another writer may have found them there and rely on them.
   */
  async #merge(): Promise<void> {
    const { path } = this.#folder;
    const folders = new Set<string>();
    for (const digest of this.#staged) {
      const target = join(path, blobName(digest));
      await mkdir(dirname(target), { recursive: true });
      await rename(join(this.#stage, blobName(digest)), target);
      folders.add(dirname(target));
    }
    for (const folder of folders) await syncDirectory(folder);
    await withFileLock(join(path, INDEX_LOCK_FILE), () => this.#writeIndex(path));
  }

  async #writeIndex(path: string): Promise<void> {
    const entries = new Set(await readdir(path));
    const entry = makeIndexEntry(this.#top!, this.name.imageName);
    const before = entries.has(INDEX_FILE) ? await readIndexFile(path) : undefined;
    const location = join(path, INDEX_FILE);
    const index = addCompanions(addEntry(before, entry, location), this.companions.entries, location);
    if (!entries.has(LAYOUT_FILE)) {
      await writeFileAtomic(join(path, LAYOUT_FILE), new TextEncoder().encode(LAYOUT_TEXT));
    }
    await writeFileAtomic(join(path, INDEX_FILE), index);
    // Whoever holds the lock is the only writer: half-written ones belong to processes that died.
    for (const name of entries) if (halfWrittenForm.test(name)) await rm(join(path, name), { force: true });
    await removeAbandonedParts(join(path, INDEX_LOCK_FILE));
  }

  async close(): Promise<void> {
    await this.#removeStage();
  }

  async #removeStage(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    await rm(this.#stage, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
