/**
 * Blobs in a folder of this machine, or of one that several machines share:
 *
 *     blobs/<2 hex>/<32 hex>            a blob; the 32 digits are its place
 *     uploads/<32 hex>.<32 hex>         bytes of an upload (first part of the name), one file a writer; the second part becomes the blob's place
 *     uploads/ping.<32 hex>             a file of `ping`, at once removed
 */
import {
  type ReadStream,
  type Stats,
  close as closeDescriptor,
  constants,
  createReadStream,
  fsync,
  open as openDescriptor,
} from "node:fs";
import { type FileHandle, copyFile, lstat, mkdir, open, opendir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { SignetError, StoreError } from "@signet/core";
import { fileError } from "@signet/images";
import type { BlobStore, ByteRange, LentBytes, StoredObject, UploadState } from "./blob-store.ts";
import {
  type FilesystemUpload,
  MAX_SEGMENTS,
  type Segment,
  locationOf,
  parseUpload,
  printUpload,
} from "./filesystem-upload.ts";
import { BufferPool, LentFile } from "./lent-bytes.ts";
import { checkLocation, isName, makeName, missingBlob, missingUpload } from "./place-grammar.ts";
import { UploadTurns } from "./upload-turns.ts";

/** Bytes gathered before they are written: a system call for each packet would cost more than the writing. */
const WRITE_BYTES = 1024 * 1024;
/** Bytes that a stream reads at a time: each large buffer would be new memory that the system has to clear. Large blobs go out by `lend`. */
const READ_BYTES = 64 * 1024;
/** Uploads whose last file this process remembers as its own. For one that is forgotten a copy is made. */
const MAX_OWNED = 10_000;
/** Octal permission bits: blobs are for the server alone. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Opens a store, and makes its folders where they are missing.
 *
 * Every file has one writer, the process that made it; another one that goes on with an upload adds a file of its own. So whoever holds an older state, is slow, or was
 * believed dead can never change bytes that were acknowledged. Who goes on in another process, or after a restart, pays with one copy when the upload is finished.
 * Two requests on one upload at once: in one process the second is refused with `store-busy`; of two processes each keeps its own bytes, and the state that the caller
 * saves is the one that counts, so save it only where the one that you started from is still there.
 *
 * @param root folder of blobs and uploads; all processes that use it see the same one. On network file systems durability is what that system promises
 * @throws StoreError `blob-store-unusable` when it cannot be made or read
 */
export async function openFilesystemStore(root: string): Promise<BlobStore> {
  const store = new FilesystemStore(root);
  await store.prepare();
  return store;
}

class FilesystemStore implements BlobStore {
  readonly kind = "filesystem";
  readonly #root: string;
  readonly #uploads: string;
  /** Files that this process made and nobody else writes to, with the bytes that were acknowledged. */
  readonly #owned = new Map<string, number>();
  readonly #turns = new UploadTurns();
  readonly #buffers = new BufferPool();

  constructor(root: string) {
    this.#root = root;
    this.#uploads = join(root, "uploads");
  }

  async prepare(): Promise<void> {
    try {
      const blobs = join(this.#root, "blobs");
      await mkdir(this.#uploads, { recursive: true, mode: FOLDER_MODE });
      await mkdir(blobs, { recursive: true, mode: FOLDER_MODE });
      const present = new Set(await readdir(blobs));
      const missing = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, "0")).filter(
        (folder) => !present.has(folder),
      );
      await Promise.all(missing.map((folder) => mkdir(join(blobs, folder), { recursive: true, mode: FOLDER_MODE })));
      if (missing.length > 0) for (const folder of [blobs, this.#root]) await syncFolder(folder);
    } catch (error) {
      throw unusable(error, this.#root, "write");
    }
  }

  begin(): Promise<UploadState> {
    return Promise.resolve(printUpload({ id: makeName(), segments: [] }));
  }

  async append(state: UploadState, chunks: AsyncIterable<Uint8Array>): Promise<UploadState> {
    const upload = parseUpload(state);
    return this.#turns.take(upload.id, async () => {
      const { kept, name, size } = await this.#writable(upload);
      const added = await this.#write(name, size, chunks);
      return printUpload({ id: upload.id, segments: [...kept, { name, size: size + added }] });
    });
  }

  async *readUpload(state: UploadState): AsyncIterable<Uint8Array> {
    const { segments } = parseUpload(state);
    for (const { name, size } of segments) {
      if (size === 0) continue;
      let seen = 0;
      const stream = await this.#read(this.#uploadPath(name), { first: 0, last: size - 1 }, (error) =>
        missingUpload(name, error),
      );
      try {
        for await (const chunk of stream as AsyncIterable<Buffer>) {
          seen += chunk.length;
          yield chunk;
        }
      } catch (error) {
        throw unusable(error, this.#uploadPath(name), "read");
      }
      if (seen < size) throw missingUpload(name);
    }
  }

  async finish(state: UploadState): Promise<string> {
    const upload = parseUpload(state);
    return this.#turns.take(upload.id, async () => {
      const { segments } = upload;
      const [only] = segments;
      if (segments.length === 1 && only !== undefined) {
        if (this.#owned.get(only.name) === only.size) return this.#publish(only);
        // Asked again, since the answer was lost: it was this very file.
        const location = locationOf(only.name);
        if ((await this.size(location)) === only.size) {
          await this.#syncFolder(this.#blobFolder(location));
          return location;
        }
      }
      const whole = await this.#gather(upload);
      const location = await this.#publish(whole);
      await this.#removeSegments(segments);
      return location;
    });
  }

  async abort(state: UploadState): Promise<void> {
    const upload = parseUpload(state);
    await this.#turns.take(upload.id, () => this.#removeSegments(upload.segments));
  }

  async open(location: string, range?: ByteRange): Promise<Readable> {
    return this.#read(this.#blobPath(location), range, (error) => missingBlob(location, error));
  }

  async lend(location: string, range: ByteRange): Promise<LentBytes> {
    const path = this.#blobPath(location);
    const missing = (error?: unknown): StoreError => missingBlob(location, error);
    const descriptor = await this.#openFile(path, missing);
    return new LentFile(descriptor, this.#buffers, range, (error) =>
      error === undefined ? missing() : unusable(error, path, "read"),
    );
  }

  async size(location: string): Promise<number | undefined> {
    return (await fileIfThere(this.#blobPath(location)))?.size;
  }

  async remove(location: string): Promise<void> {
    const path = this.#blobPath(location);
    try {
      await rm(path, { force: true });
    } catch (error) {
      throw unusable(error, path, "write");
    }
  }

  async *list(): AsyncIterable<StoredObject> {
    const blobs = join(this.#root, "blobs");
    for (const folder of (await this.#names(blobs)).filter((name) => /^[0-9a-f]{2}$/.test(name))) {
      const path = join(blobs, folder);
      for await (const location of this.#entries(path)) {
        if (!isName(location) || !location.startsWith(folder)) continue;
        const stats = await fileIfThere(join(path, location));
        // The time of the renaming: a blob is as old as its `finish`, however long its upload took.
        if (stats !== undefined) yield { location, size: stats.size, modifiedAt: stats.ctime };
      }
    }
  }

  async removeStaleUploads(before: Date, isKnown: (mark: string) => Promise<boolean>): Promise<number> {
    let removed = 0;
    for await (const name of this.#entries(this.#uploads)) {
      const [id = "", random] = name.split(".");
      if (!isName(random) || !(isName(id) || id === "ping")) continue;
      const path = join(this.#uploads, name);
      const stats = await fileIfThere(path);
      if (stats === undefined || stats.mtime >= before || this.#turns.isBusy(id) || (await isKnown(id))) continue;
      await this.#removeUploadFile(name);
      removed += 1;
    }
    return removed;
  }

  async presign(location: string): Promise<undefined> {
    checkLocation(location);
  }

  async ping(): Promise<void> {
    const path = join(this.#uploads, `ping.${makeName()}`);
    try {
      await (await open(path, "wx", FILE_MODE)).close();
      await rm(path, { force: true });
    } catch (error) {
      throw unusable(error, path, "write");
    }
  }

  close(): Promise<void> {
    this.#owned.clear();
    return Promise.resolve();
  }

  /** The file that goes on behind the state: its last one, if that is ours and nothing was acknowledged behind; else a new one. */
  async #writable({ id, segments }: FilesystemUpload): Promise<Segment & { readonly kept: readonly Segment[] }> {
    const last = segments.at(-1);
    if (last !== undefined && this.#owned.get(last.name) === last.size) return { ...last, kept: segments.slice(0, -1) };
    if (segments.length >= MAX_SEGMENTS) return { ...(await this.#gather({ id, segments })), kept: [] };
    return { name: `${id}.${makeName()}`, size: 0, kept: segments };
  }

  /** Adds to a file of ours, or makes it. Afterwards its bytes are on disk, and so is its name. */
  async #write(name: string, offset: number, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const path = this.#uploadPath(name);
    const isNew = !this.#owned.has(name);
    let handle: FileHandle;
    try {
      const flags = isNew ? constants.O_CREAT | constants.O_EXCL : 0;
      handle = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | flags, FILE_MODE);
    } catch (error) {
      throw !isNew && isMissing(error) ? missingUpload(name, error) : unusable(error, path, "write");
    }
    try {
      const added = await this.#fill(handle, path, offset, chunks);
      await Promise.all([handle.sync(), ...(isNew ? [syncFolder(this.#uploads)] : [])]);
      this.#own(name, offset + added);
      return added;
    } catch (error) {
      // The source failed, or the disk: what was not acknowledged takes no space.
      if (isNew) await rm(path, { force: true }).catch(() => undefined);
      else await handle.truncate(offset).catch(() => undefined);
      throw error instanceof SourceFailure ? error.cause : unusable(error, path, "write");
    } finally {
      await handle.close();
    }
  }

  async #fill(handle: FileHandle, path: string, offset: number, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const { size } = await handle.stat();
    if (size < offset) throw missingUpload(path);
    if (size > offset) await handle.truncate(offset);
    let position = offset;
    let waiting: Uint8Array[] = [];
    let length = 0;
    // One write is under way while the next bytes are gathered.
    let writing: Promise<void> = Promise.resolve();
    const flush = async (): Promise<void> => {
      await writing;
      writing = writeAll(handle, waiting, length, position);
      // Heard at the next one or at the end.
      writing.catch(() => undefined);
      position += length;
      waiting = [];
      length = 0;
    };
    try {
      for await (const chunk of fromSource(chunks)) {
        if (chunk.length === 0) continue;
        waiting.push(chunk);
        length += chunk.length;
        if (length >= WRITE_BYTES) await flush();
      }
      if (length > 0) await flush();
    } finally {
      // Also after a failure: nothing is written any more when the file is cut back.
      await writing.catch(() => undefined);
    }
    await writing;
    return position - offset;
  }

  /** Copies what counts of all files of an upload into one that is ours. */
  async #gather(upload: FilesystemUpload): Promise<Segment> {
    const name = `${upload.id}.${makeName()}`;
    const [first, ...rest] = upload.segments;
    if (first !== undefined) await this.#copy(first, name);
    const size = first?.size ?? 0;
    const added = await this.#write(name, size, this.readUpload(printUpload({ id: upload.id, segments: rest })));
    return { name, size: size + added };
  }

  /** Inside the kernel, or without a copy where the file system shares blocks. */
  async #copy({ name, size }: Segment, to: string): Promise<void> {
    const path = this.#uploadPath(to);
    try {
      await copyFile(this.#uploadPath(name), path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      if ((await stat(path)).size < size) throw missingUpload(name);
      await syncFolder(this.#uploads);
      this.#own(to, size);
    } catch (error) {
      await rm(path, { force: true }).catch(() => undefined);
      throw isMissing(error) ? missingUpload(name, error) : unusable(error, path, "write");
    }
  }

  /** Makes a file of ours a blob. */
  async #publish({ name, size }: Segment): Promise<string> {
    const path = this.#uploadPath(name);
    const location = locationOf(name);
    try {
      const stats = await stat(path);
      if (stats.size < size) throw missingUpload(name);
      if (stats.size > size) await truncateFile(path, size);
      await rename(path, this.#blobPath(location));
      this.#owned.delete(name);
    } catch (error) {
      throw isMissing(error) ? missingUpload(name, error) : unusable(error, path, "write");
    }
    await this.#syncFolder(this.#blobFolder(location));
    return location;
  }

  async #read(
    path: string,
    range: ByteRange | undefined,
    missing: (error: unknown) => StoreError,
  ): Promise<ReadStream> {
    const descriptor = await this.#openFile(path, missing);
    return createReadStream(path, {
      fd: descriptor,
      // No larger than what there is to read: a small blob must not cost a large buffer.
      highWaterMark: range === undefined ? READ_BYTES : Math.min(READ_BYTES, range.last - range.first + 1),
      ...(range !== undefined && { start: range.first, end: range.last }),
    });
  }

  async #openFile(path: string, missing: (error: unknown) => StoreError): Promise<number> {
    try {
      return await openFile(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      throw isMissing(error) ? missing(error) : unusable(error, path, "read");
    }
  }

  async #syncFolder(path: string): Promise<void> {
    try {
      await syncFolder(path);
    } catch (error) {
      throw unusable(error, path, "write");
    }
  }

  async #removeSegments(segments: readonly Segment[]): Promise<void> {
    for (const { name } of segments) await this.#removeUploadFile(name);
  }

  async #removeUploadFile(name: string): Promise<void> {
    const path = join(this.#uploads, name);
    this.#owned.delete(name);
    try {
      await rm(path, { force: true });
    } catch (error) {
      throw unusable(error, path, "write");
    }
  }

  #own(name: string, size: number): void {
    this.#owned.delete(name);
    this.#owned.set(name, size);
    const [oldest] = this.#owned.keys();
    if (this.#owned.size > MAX_OWNED && oldest !== undefined) this.#owned.delete(oldest);
  }

  /** @param name a segment's, as {@link parseUpload} has checked it or we have made it */
  #uploadPath(name: string): string {
    return join(this.#uploads, name);
  }

  #blobFolder(location: string): string {
    return join(this.#root, "blobs", checkLocation(location).slice(0, 2));
  }

  #blobPath(location: string): string {
    return join(this.#blobFolder(location), location);
  }

  async #names(folder: string): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const name of this.#entries(folder)) names.push(name);
    return names;
  }

  async *#entries(folder: string): AsyncIterable<string> {
    try {
      for await (const { name } of await opendir(folder)) yield name;
    } catch (error) {
      throw unusable(error, folder, "read");
    }
  }
}

/** Tells what the caller's source throws from what the disk throws. */
class SourceFailure extends Error {}

async function* fromSource(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* chunks;
  } catch (cause) {
    throw new SourceFailure("the source failed", { cause });
  }
}

/** A write may take less than it was given, as when the disk is nearly full; the rest is written again, or says why not. */
async function writeAll(
  handle: FileHandle,
  chunks: readonly Uint8Array[],
  length: number,
  position: number,
): Promise<void> {
  const { bytesWritten } = await handle.writev([...chunks], position);
  if (bytesWritten === length) return;
  const rest = Buffer.concat(chunks).subarray(bytesWritten);
  for (let done = 0; done < rest.length;) {
    const step = await handle.write(rest, done, rest.length - done, position + bytesWritten + done);
    done += step.bytesWritten;
  }
}

async function truncateFile(path: string, size: number): Promise<void> {
  const handle = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    await handle.truncate(size);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const openFile = promisify(openDescriptor);
const closeFile = promisify(closeDescriptor);
const syncFile = promisify(fsync);

/** Unlike for other files of ours, a folder that cannot be flushed is an error: durability was promised. */
async function syncFolder(path: string): Promise<void> {
  const descriptor = await openFile(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await syncFile(descriptor);
  } finally {
    await closeFile(descriptor);
  }
}

/** What is no regular file, such as a link, was not made by a store. */
async function fileIfThere(path: string): Promise<Stats | undefined> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? stats : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw unusable(error, path, "read");
  }
}

function isMissing(error: unknown): boolean {
  return (error as { code?: unknown }).code === "ENOENT";
}

/** @returns StoreError `disk-full` or `blob-store-unusable`; what is Signet's own already stays as it is */
function unusable(error: unknown, path: string, operation: "read" | "write"): SignetError {
  if (error instanceof SignetError) return error;
  const explained = fileError(error, path, operation);
  if (explained.code === "disk-full") return explained;
  return new StoreError("blob-store-unusable", explained.message, {
    cause: error,
    side: "local",
    hint: "check that the folder of the blobs is there and that the server's user may read and write it",
  });
}
