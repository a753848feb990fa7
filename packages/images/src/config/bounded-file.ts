/** Reading whole files with a limit. A module of its own, on the plain `node:fs`: a command that only reads a few files starts without all the rest. */
import { closeSync, constants, fstatSync, open, read, readSync } from "node:fs";
import { promisify } from "node:util";
import { FormatError, StoreError } from "@signet/core";
import { fileError } from "./file-error.ts";

/** Bytes asked for at a time when the size is not known in advance (pipes and devices). */
const PIPE_READ_BYTES = 64 * 1024;

/**
 * Bytes: a regular file up to this size is read on the spot once it is open. Its pages are at hand or one read away, and each trip through the thread pool, of
 * which there would be four, takes many times as long as the read; opening, which may have to look up a path on a slow disk, stays asynchronous.
 */
const SMALL_FILE_BYTES: number = 64 * 1024;

const openFile = promisify(open);
const readInto = promisify(read);

export interface BoundedReadOptions {
  /** True: only a regular file will do. For places that others can write to, where a pipe would make the reader wait for ever. Default false. */
  readonly regularOnly?: boolean;
}

/**
 * Reads a whole file of at most `maxBytes` bytes. Without `regularOnly`, pipes and character devices are read to their end as well (`/dev/stdin`,
 * the shell's `<(…)`), within the same limit.
 * @param what the file's name in messages, such as `public key file`
 * @throws StoreError `file-missing`, `file-unreadable`; FormatError `input-too-large`
 */
export async function readFileBounded(
  path: string,
  maxBytes: number,
  what: string,
  options: BoundedReadOptions = {},
): Promise<Uint8Array> {
  const regularOnly = options.regularOnly === true;
  try {
    // Non-blocking: opening a pipe nobody writes to must return, so that it can be refused.
    const file = await openFile(path, constants.O_RDONLY | (regularOnly ? constants.O_NONBLOCK : 0));
    try {
      const stats = fstatSync(file);
      if (stats.isDirectory()) throw unreadable(path, what, "it is a directory");
      if (regularOnly && !stats.isFile()) throw unreadable(path, what, "it is not a regular file");
      if (!stats.isFile() && !stats.isFIFO() && !stats.isCharacterDevice())
        throw unreadable(path, what, "it is neither a file nor a stream");
      if (stats.isFile() && stats.size > maxBytes) throw tooLarge(path, what, `${stats.size}`, maxBytes);
      const expectedBytes = stats.isFile() ? stats.size : 0;
      // Files of /proc promise no size, and those of devices may block.
      const small =
        stats.isFile() && stats.size > 0 && stats.size <= SMALL_FILE_BYTES ? readSmall(file, stats.size) : undefined;
      return small ?? (await readToEnd(file, expectedBytes, maxBytes, path, what));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw fileError(error, path, "read", what);
  }
}

/** The whole file, if it is as long as it was said to be; undefined, with the descriptor at its beginning all the same, when it grows while it is read. */
function readSmall(file: number, size: number): Uint8Array | undefined {
  const buffer = new Uint8Array(size + 1);
  let length = 0;
  for (;;) {
    // By position: what is read here may be read again.
    const count = readSync(file, buffer, length, buffer.length - length, length);
    if (count === 0) return buffer.subarray(0, length);
    length += count;
    if (length > size) return undefined;
  }
}

/** The size that was promised is a hint only: files grow, and those of /proc promise 0. */
async function readToEnd(
  file: number,
  expectedBytes: number,
  maxBytes: number,
  path: string,
  what: string,
): Promise<Uint8Array> {
  let buffer = new Uint8Array(Math.min(expectedBytes === 0 ? PIPE_READ_BYTES : expectedBytes + 1, maxBytes + 1));
  let length = 0;
  for (;;) {
    if (length === buffer.length) {
      if (length > maxBytes) throw tooLarge(path, what, "more", maxBytes);
      const larger = new Uint8Array(Math.min(buffer.length * 2 + 1, maxBytes + 1));
      larger.set(buffer);
      buffer = larger;
    }
    const { bytesRead } = await readInto(file, buffer, length, buffer.length - length, null);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
}

function unreadable(path: string, what: string, reason: string): StoreError {
  return new StoreError("file-unreadable", `cannot read ${what} ${path}: ${reason}`, { side: "local" });
}

function tooLarge(path: string, what: string, size: string, maxBytes: number): FormatError {
  return new FormatError("input-too-large", `${what} ${path}: ${size} bytes, the limit is ${maxBytes}`, {
    hint: "check that the right file was given",
  });
}
