import { createHash } from "node:crypto";
import { readdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Digest,
  InternalError,
  MAX_MANIFEST_BYTES,
  MAX_SIGNATURES_PER_MANIFEST,
  MAX_SIGNATURE_BYTES,
  StoreError,
  computeManifestDigest,
  digestAlgorithm,
  digestHex,
  readUntrustedClaims,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { syncDirectory, temporaryName } from "../config/atomic-file.ts";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { checkBlob } from "./blob-check.ts";
import {
  MANIFEST_FILE,
  NEWEST_DIR_VERSION,
  VERSION_FILE,
  blobFile,
  dirVersionText,
  isDirImageFile,
  isNewerThanKnown,
  manifestFile,
  parseDirVersion,
  signatureFile,
  signaturePosition,
} from "./dir-layout.ts";
import { readDirSignatures } from "./dir-signatures.ts";
import { openRegularFile, readWholeFile, writeNewFile } from "./file-chunks.ts";
import { type DestinationFolder, lookAtFolder, makeStage } from "./stage.ts";
import type { BlobDescriptor, ImageDestination, ImageName, RawManifest } from "./transport.ts";

/** Bytes: a version file is one short line. */
const MAX_VERSION_BYTES = 1024;

/**
 * Opens a `dir:` image for writing. The folder may be missing, empty, or hold an image, which `commit` replaces; files in it that do not belong to the form
 * are left alone.
 * @throws StoreError `destination-unsuitable` when the folder holds something else or a newer version; `file-unwritable`, `disk-full`
 */
export async function openDirDestination(name: ImageName): Promise<ImageDestination> {
  const folder = await lookAtFolder(name.path!);
  if (folder.entries !== undefined && folder.entries.size > 0) await checkVersion(folder.path, folder.entries);
  return new DirDestination(name, folder, await makeStage(folder));
}

async function checkVersion(path: string, entries: ReadonlySet<string>): Promise<void> {
  if (!entries.has(VERSION_FILE)) {
    throw unsuitable(`${path} is not empty and holds no dir: image`, "name an empty or a new folder");
  }
  const location = join(path, VERSION_FILE);
  const content = await readFileBounded(location, MAX_VERSION_BYTES, "version file", { regularOnly: true });
  const version = parseDirVersion(new TextDecoder().decode(content));
  if (version === undefined) throw unsuitable(`${location} is not the version file of a dir: image`);
  if (isNewerThanKnown(version)) {
    throw unsuitable(
      `${path} holds a dir: image of version ${version.major}.${version.minor}; the newest known is ${NEWEST_DIR_VERSION.major}.${NEWEST_DIR_VERSION.minor}`,
      "name another folder",
    );
  }
}

class DirDestination implements ImageDestination {
  readonly name: ImageName;
  readonly #folder: DestinationFolder;
  readonly #stage: string;
  /** Every digest of the new image, for the version file. */
  readonly #digests = new Set<Digest>();
  /** Blobs of the old image that the new one has as well, checked. */
  readonly #kept = new Set<string>();
  #done = false;

  constructor(name: ImageName, folder: DestinationFolder, stage: string) {
    this.name = name;
    this.#folder = folder;
    this.#stage = stage;
  }

  async signaturesUnsupported(): Promise<undefined> {
    return undefined;
  }

  async hasBlob(descriptor: BlobDescriptor): Promise<boolean> {
    const file = blobFile(descriptor.digest);
    if (this.#folder.entries?.has(file) !== true) return false;
    const location = join(this.#folder.path, file);
    try {
      for await (const _ of checkBlob(
        descriptor,
        readWholeFile(await openRegularFile(location, "blob"), location),
        location,
      ));
    } catch {
      // Damaged or unreadable: it will be written anew.
      return false;
    }
    this.#kept.add(file);
    this.#digests.add(descriptor.digest);
    return true;
  }

  async putBlob(descriptor: BlobDescriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#put(blobFile(descriptor.digest), checkBlob(descriptor, chunks, `blob ${descriptor.digest}`));
    this.#digests.add(descriptor.digest);
  }

  async putManifest(manifest: RawManifest, options: { readonly instance?: boolean } = {}): Promise<void> {
    const digest = manifest.namedDigest ?? manifest.digest;
    const instance = options.instance === true;
    await this.#put(manifestFile(instance ? digest : undefined), [manifest.bytes]);
    if (instance) this.#digests.add(digest);
  }

  /** Of the image that is replaced, as long as it is the same one; each once, since a writer that was killed may have left some in two places. */
  async heldSignatures(digest: Digest, options: { readonly top: boolean }): Promise<readonly Uint8Array[]> {
    const { path, entries } = this.#folder;
    if (entries === undefined) return [];
    if (options.top && !(await this.#isOld(digest))) return [];
    const { signatures } = await readDirSignatures(path, options.top ? undefined : digest);
    const own = signatures.map(({ bytes }) => bytes).filter((bytes) => !isAboutAnother(bytes, digest));
    return own.filter((bytes, index) => own.findIndex((one) => Buffer.compare(one, bytes) === 0) === index);
  }

  async #isOld(digest: Digest): Promise<boolean> {
    const { path, entries } = this.#folder;
    if (entries?.has(MANIFEST_FILE) !== true) return false;
    const bytes = await readFileBounded(join(path, MANIFEST_FILE), MAX_MANIFEST_BYTES, "manifest", {
      regularOnly: true,
    });
    const algorithm = digestAlgorithm(digest);
    if (algorithm === "sha256") return computeManifestDigest(bytes, nodeEngine) === digest;
    return createHash(algorithm).update(bytes).digest("hex") === digestHex(digest);
  }

  async putSignatures(blobs: readonly Uint8Array[], digest: Digest, options: { readonly top: boolean }): Promise<void> {
    if (blobs.length > MAX_SIGNATURES_PER_MANIFEST) {
      throw unsuitable(`${blobs.length} signatures for ${digest}; the limit is ${MAX_SIGNATURES_PER_MANIFEST}`);
    }
    for (const [index, blob] of blobs.entries()) {
      if (blob.length > MAX_SIGNATURE_BYTES) {
        throw unsuitable(`a signature of ${blob.length} bytes; the limit is ${MAX_SIGNATURE_BYTES}`);
      }
      await this.#put(signatureFile(index + 1, options.top ? undefined : digest), [blob]);
    }
  }

  /** Within the stage as well, a file has its final name only when it is whole: the same blob may arrive twice. */
  async #put(file: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const temporary = join(this.#stage, temporaryName(file));
    await writeNewFile(temporary, chunks);
    try {
      await rename(temporary, join(this.#stage, file));
    } catch (error) {
      throw fileError(error, this.#folder.path, "write");
    }
  }

  async commit(): Promise<void> {
    const staged = new Set(await readdir(this.#stage));
    if (!staged.has(MANIFEST_FILE)) throw new InternalError("commit of a dir: image without a manifest");
    await this.#put(VERSION_FILE, [new TextEncoder().encode(dirVersionText(this.#digests))]);
    staged.add(VERSION_FILE);
    await syncDirectory(this.#stage);
    try {
      if (this.#folder.entries === undefined) await this.#appear();
      else await this.#replace(staged);
    } catch (error) {
      throw fileError(error, this.#folder.path, "write");
    }
    this.#done = true;
  }

  /** The folder did not exist: it appears whole. */
  async #appear(): Promise<void> {
    try {
      await rename(this.#stage, this.#folder.path);
    } catch (error) {
      if (!["EEXIST", "ENOTEMPTY", "ENOTDIR"].includes(errnoOf(error) ?? "")) throw error;
      throw unsuitable(`${this.#folder.path} has been created by somebody else in the meantime`, "try again");
    }
    await syncDirectory(dirname(this.#folder.path));
  }

  /**
   * Moves the new image in over the old one. A process killed anywhere in here leaves a folder from which either the old or the new image reads whole, with
   * at least its signatures: files named after their digest disturb nobody, so they come first; new signatures are added after the old ones before the one
   * rename that switches, and take their places only then; what nobody needs any more goes last.
   */
  async #replace(staged: ReadonlySet<string>): Promise<void> {
    const { path } = this.#folder;
    const moved = (file: string): Promise<void> => rename(join(this.#stage, file), join(path, file));
    const signatures = sortedSignatures(staged);
    const early: string[] = [];
    try {
      const content = [...staged].filter((file) => ![VERSION_FILE, MANIFEST_FILE, ...signatures].includes(file));
      // The version first: without it the folder could not be written to again.
      for (const file of [VERSION_FILE, ...content]) {
        await moved(file);
        if (!this.#folder.entries!.has(file)) early.push(file);
      }
      await this.#appendSignatures(signatures, early);
      await syncDirectory(path);
      await moved(MANIFEST_FILE);
    } catch (error) {
      await Promise.allSettled(early.map((file) => rm(join(path, file), { force: true })));
      throw error;
    }
    await syncDirectory(path);
    for (const file of signatures) await moved(file);
    await this.#sweep(staged);
    await syncDirectory(path);
    await rmdir(this.#stage);
  }

  /** Copies the staged signatures behind those of the old image, noting what appears in `added`. */
  async #appendSignatures(staged: readonly string[], added: string[]): Promise<void> {
    const { path } = this.#folder;
    const old = new Set(await readdir(path));
    for (const [of, files] of Map.groupBy(staged, (file) => signaturePosition(file)!.of)) {
      let count = 0;
      while (old.has(`${of}signature-${count + 1}`)) count++;
      // Beyond the limit readers would refuse the whole image, the old one included.
      if (count + files.length > MAX_SIGNATURES_PER_MANIFEST) continue;
      for (const [index, file] of files.entries()) {
        const target = `${of}signature-${count + index + 1}`;
        const bytes = await readFileBounded(join(this.#stage, file), MAX_SIGNATURE_BYTES, "signature");
        // Made whole in the stage, which the next writer removes if this one dies.
        const temporary = join(this.#stage, temporaryName(target));
        await writeNewFile(temporary, [bytes]);
        await rename(temporary, join(path, target));
        added.push(target);
      }
    }
  }

  /** Removes the files of the form that the new image does not have; signatures from the highest number down, so that no gap hides one. */
  async #sweep(staged: ReadonlySet<string>): Promise<void> {
    const { path } = this.#folder;
    const stale = (await readdir(path, { withFileTypes: true }))
      .filter((entry) => !entry.isDirectory() && isDirImageFile(entry.name))
      .map((entry) => entry.name)
      .filter((file) => !staged.has(file) && !this.#kept.has(file));
    for (const file of sortedSignatures(stale).toReversed()) await rm(join(path, file), { force: true });
    for (const file of stale) await rm(join(path, file), { force: true });
  }

  async close(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    await rm(this.#stage, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A signature that says it is about another digest can never count for this one: a writer that was killed left it, together with an image that is gone. */
function isAboutAnother(signature: Uint8Array, digest: Digest): boolean {
  const { manifestDigest } = readUntrustedClaims(signature, nodeEngine);
  return (
    manifestDigest !== undefined &&
    manifestDigest.startsWith(`${digestAlgorithm(digest)}:`) &&
    manifestDigest !== digest
  );
}

function sortedSignatures(files: Iterable<string>): string[] {
  return [...files]
    .filter((file) => signaturePosition(file) !== undefined)
    .sort((a, b) => signaturePosition(a)!.position - signaturePosition(b)!.position);
}

function unsuitable(problem: string, hint?: string): StoreError {
  return new StoreError("destination-unsuitable", problem, {
    side: "destination",
    ...(hint === undefined ? {} : { hint }),
  });
}
