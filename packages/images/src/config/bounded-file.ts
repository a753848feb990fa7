/** Reading whole files with a limit. A module of its own, on the plain `node:fs`: a command that only reads a few files starts without all the rest. */
import { type Stats, closeSync, constants, fstatSync, open, read, readSync, statfs } from "node:fs";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { FormatError, StoreError, concatBytes } from "@signet/core";
import { fileError } from "./file-error.ts";

/** Bytes asked for first when the size is not known in advance (devices and files of /proc). */
const FIRST_READ_BYTES = 64 * 1024;

/**
 * Bytes: a regular file of a local file system up to this size is read on the spot once it is open. Its pages are at hand or one read away, and each trip through
 * the thread pool, of which there would be four, takes many times as long as the read; opening, which may have to look up a path on a slow disk, stays asynchronous.
 */
const SMALL_FILE_BYTES: number = 64 * 1024;

/**
 * File systems whose reads end by themselves (statfs(2), `f_type`): ext2 to ext4, XFS, Btrfs, ZFS, F2FS, tmpfs, ramfs, overlayfs, squashfs. Of every other, such as
 * NFS, CIFS, 9p and FUSE, a read may wait for a server that does not answer, which must not keep the process from hearing Ctrl-C.
 */
const localFileSystems: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x2fc12fc1, 0xf2f52010, 0x01021994, 0x858458f6, 0x794c7630, 0x73717368,
]);

/** Devices whose kind is remembered; a machine has a few dozen mounts. */
const MAX_DEVICES = 256;

/** Whether a device's reads end by themselves. A fact about the machine, asked for once a device: asking for each file would cost what reading on the spot saves. */
const devices = new Map<number, boolean>();

const openFile = promisify(open);
const readInto = promisify(read);
const fileSystemOf = promisify(statfs);

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
  try {
    // Non-blocking: opening a pipe that nobody writes to must return. A thread that waits in open(2) would keep even process.exit from ending.
    const file = await openFile(path, constants.O_RDONLY | constants.O_NONBLOCK);
    let isOurs = true;
    try {
      const stats = fstatSync(file);
      if (stats.isDirectory()) throw unreadable(path, what, "it is a directory");
      if (stats.isFile()) return await readRegular(file, stats, path, maxBytes, what);
      if (options.regularOnly === true) throw unreadable(path, what, "it is not a regular file");
      if (!stats.isFIFO() && !stats.isCharacterDevice())
        throw unreadable(path, what, "it is neither a file nor a stream");
      const stream = await openStream(file, stats);
      if (stream === undefined) return await readToEnd(file, 0, maxBytes, path, what);
      isOurs = false;
      return await collectStream(stream, maxBytes, path, what);
    } finally {
      if (isOurs) closeSync(file);
    }
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw fileError(error, path, "read", what);
  }
}

async function readRegular(
  file: number,
  stats: Stats,
  path: string,
  maxBytes: number,
  what: string,
): Promise<Uint8Array> {
  if (stats.size > maxBytes) throw tooLarge(path, what, `${stats.size}`, maxBytes);
  // Files of /proc promise no size, and reading them may do work.
  const isSmall = stats.size > 0 && stats.size <= SMALL_FILE_BYTES && (await isLocal(stats.dev, path));
  return (isSmall ? readSmall(file, stats.size) : undefined) ?? readToEnd(file, stats.size, maxBytes, path, what);
}

async function isLocal(device: number, path: string): Promise<boolean> {
  const known = devices.get(device);
  if (known !== undefined) return known;
  const local = await fileSystemOf(path).then(
    ({ type }) => localFileSystems.has(type),
    () => false,
  );
  if (devices.size >= MAX_DEVICES) devices.clear();
  devices.set(device, local);
  return local;
}

/** Pipes and terminals are waited for by the event loop, not by a thread. The stream closes the descriptor. Undefined for a device that answers at once. */
async function openStream(file: number, stats: Stats): Promise<Readable | undefined> {
  if (stats.isFIFO()) {
    const { Socket } = await import("node:net");
    return new Socket({ fd: file, readable: true, writable: false });
  }
  const { ReadStream, isatty } = await import("node:tty");
  return isatty(file) ? new ReadStream(file) : undefined;
}

async function collectStream(stream: Readable, maxBytes: number, path: string, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop, also by an error, closes the stream.
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge(path, what, "more", maxBytes);
    chunks.push(chunk);
  }
  return concatBytes(chunks);
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
  let buffer = new Uint8Array(Math.min(expectedBytes === 0 ? FIRST_READ_BYTES : expectedBytes + 1, maxBytes + 1));
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
