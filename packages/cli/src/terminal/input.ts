import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { FormatError, type SignetError, StoreError, concatBytes } from "@signet/core";

/** Bytes: a secret is one line; nothing longer is one. */
const MAX_SECRET_BYTES = 64 * 1024;

/** Bytes asked for at a time. */
const CHUNK_BYTES = 16 * 1024;

/** Milliseconds between two looks at a descriptor that does not block and has nothing yet. */
const RETRY_MS = 5;

/**
 * A whole file, or all of standard input for `-`. Read synchronously: Node's asynchronous files take longer to load than one file takes to read.
 * @param what the file's name in messages
 * @throws StoreError `file-missing`, `file-unreadable`; FormatError `input-too-large`
 */
export async function readInput(path: string, maxBytes: number, what: string): Promise<Uint8Array> {
  if (path === "-") return readDescriptor(0, maxBytes, `${what} on standard input`);
  try {
    const descriptor = openSync(path, "r");
    try {
      return readDescriptor(descriptor, maxBytes, `${what} ${path}`);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw await explain(error, path, what);
  }
}

/**
 * The first line of a file that holds a secret, without its line end. Further lines are passed over, as skopeo has it.
 * @throws as {@link readInput}; StoreError `file-unreadable` when it is not UTF-8
 */
export async function readSecretFile(path: string, what: string): Promise<string> {
  return firstLine(await readInput(path, MAX_SECRET_BYTES, what), what);
}

/**
 * Like {@link readSecretFile}, from a descriptor that was open when the process started. By its number: a socket, which is what a parent process may hand over,
 * cannot be opened again as /dev/fd/N.
 */
export async function readSecretDescriptor(descriptor: number, what: string): Promise<string> {
  try {
    return firstLine(readDescriptor(descriptor, MAX_SECRET_BYTES, what), what);
  } catch (error) {
    throw await explain(error, `from descriptor ${descriptor}`, what);
  }
}

async function explain(error: unknown, place: string, what: string): Promise<SignetError> {
  // Loaded for a failure only.
  const { fileError } = await import("@signet/images");
  return fileError(error, place, "read", what);
}

function readDescriptor(descriptor: number, maxBytes: number, what: string): Uint8Array {
  const full: Uint8Array[] = [];
  let chunk = new Uint8Array(expectedBytes(descriptor, maxBytes) + 1);
  let filled = 0;
  for (let length = 0; ;) {
    const count = readChunk(descriptor, chunk.subarray(filled));
    if (count === 0)
      return full.length === 0 ? chunk.subarray(0, filled) : concatBytes([...full, chunk.subarray(0, filled)]);
    filled += count;
    length += count;
    if (length > maxBytes) {
      throw new FormatError("input-too-large", `${what}: more than ${maxBytes} bytes`, {
        hint: "check that the right file was given",
      });
    }
    if (filled < chunk.length) continue;
    full.push(chunk);
    chunk = new Uint8Array(CHUNK_BYTES);
    filled = 0;
  }
}

/** What the first read should ask for. The size is a hint only: files grow, pipes and files of /proc promise none. */
function expectedBytes(descriptor: number, maxBytes: number): number {
  const { size } = fstatSync(descriptor);
  return size > 0 && size <= maxBytes ? size : CHUNK_BYTES;
}

function readChunk(descriptor: number, chunk: Uint8Array): number {
  for (;;) {
    try {
      return readSync(descriptor, chunk);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EOF") return 0;
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

function firstLine(bytes: Uint8Array, what: string): string {
  const newline = bytes.indexOf(0x0a);
  const line = newline < 0 ? bytes : bytes.subarray(0, newline);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line).replace(/\r$/, "");
  } catch {
    // The cause stays out: it could speak of the secret.
    throw new StoreError("file-unreadable", `the ${what} does not begin with a line of UTF-8 text`, { side: "local" });
  }
}
