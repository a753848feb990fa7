import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { FormatError, MAX_KEYRING_BYTES, StoreError } from "@signet/core";
import { fileError } from "../config/file-error.ts";

/**
 * Reads a key file that a policy names. A relative path starts at the working directory, as with the reference implementation. Synchronous, since verdicts
 * are; only regular files are read, so that no pipe can hold the process up.
 * @throws StoreError `file-missing`, `file-unreadable`; FormatError `input-too-large` beyond 16 MiB
 */
export function readKeyFile(path: string): Uint8Array {
  const what = "public key file";
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(descriptor);
      if (!stats.isFile()) throw notRegular(path, stats.isDirectory());
      return readToEnd(descriptor, stats.size, path);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw fileError(error, path, "read", what);
  }
}

function readToEnd(descriptor: number, size: number, path: string): Uint8Array {
  const tooLarge = (): FormatError =>
    new FormatError("input-too-large", `public key file ${path}: more than ${MAX_KEYRING_BYTES} bytes`, {
      hint: "check that the policy names the right file",
    });
  if (size > MAX_KEYRING_BYTES) throw tooLarge();
  // Files of /proc promise no size; others may grow while they are read.
  let buffer = new Uint8Array(size === 0 ? 4096 : size + 1);
  let length = 0;
  for (;;) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (count === 0) return buffer.subarray(0, length);
    length += count;
    if (length > MAX_KEYRING_BYTES) throw tooLarge();
    if (length < buffer.length) continue;
    const larger = new Uint8Array(Math.min(buffer.length * 2, MAX_KEYRING_BYTES + 1));
    larger.set(buffer);
    buffer = larger;
  }
}

function notRegular(path: string, isDirectory: boolean): StoreError {
  const problem = isDirectory ? "it is a directory" : "it is not a regular file";
  return new StoreError("file-unreadable", `cannot read public key file ${path}: ${problem}`, { side: "local" });
}
