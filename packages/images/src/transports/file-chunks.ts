/** Files as streams of chunks: opened without waiting on pipes, read by position, written whole or not at all. */
import { constants } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { StoreError } from "@signet/core";
import { fileError } from "../config/file-error.ts";

/** Bytes read at a time: large enough to keep the hash busy, small enough for many streams at once. */
const CHUNK_BYTES: number = 256 * 1024;

/** An open regular file and its size when it was opened. */
export interface OpenFile {
  readonly handle: FileHandle;
  readonly size: number;
}

/**
 * Opens a regular file for reading. Directories, pipes and devices are refused, and opening never waits.
 * @throws StoreError `file-missing`, `file-unreadable`
 */
export async function openRegularFile(path: string, what: string): Promise<OpenFile> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw fileError(error, path, "read", what);
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new StoreError("file-unreadable", `cannot read ${what} ${path}: it is not a regular file`, {
        side: "local",
      });
    }
    return { handle, size: stats.size };
  } catch (error) {
    await handle.close();
    throw fileError(error, path, "read", what);
  }
}

/** Yields `length` bytes from `start`, or fewer where the file ends. Each chunk has memory of its own. */
export async function* readRange(
  handle: FileHandle,
  start: number,
  length: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let position = start;
  const end = start + length;
  while (position < end) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - position));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** Yields a whole regular file and closes it, also when the consumer stops early. One byte beyond the size at opening is asked for, so that growth shows. */
export async function* readWholeFile(file: OpenFile, path: string): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* readRange(file.handle, 0, file.size + 1);
  } catch (error) {
    throw fileError(error, path, "read");
  } finally {
    await file.handle.close();
  }
}

/** Writes all of `bytes` at `position`. */
export async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/**
 * Writes a new file from a stream and flushes it to disk. Fails if `path` exists; whatever fails, the stream included, removes the file.
 * @throws StoreError `file-unwritable`, `disk-full`, and what `chunks` throws
 */
export async function writeNewFile(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(path, "wx", 0o644);
  } catch (error) {
    throw fileError(error, path, "write");
  }
  try {
    try {
      let position = 0;
      for await (const chunk of chunks) {
        await writeAt(handle, chunk, position);
        position += chunk.length;
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(path, { force: true });
    throw fileError(error, path, "write");
  }
}
