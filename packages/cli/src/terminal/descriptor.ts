import { writeSync } from "node:fs";
import { StoreError } from "@signet/core";

/** Whoever read our output has gone (`signet … | head`). Ends the process without a message. */
export class ClosedPipeError extends Error {}

/** Milliseconds between two tries when the reader of a pipe is slow and the pipe does not block. */
const RETRY_MS = 2;

/**
 * Writes all of `bytes` before it returns. Synchronous on purpose: nothing is lost when the process ends, lines of both streams keep their order, and no stream object
 * has to be loaded for one line of output.
 *
 * @param descriptor 1 or 2
 * @throws ClosedPipeError; StoreError `disk-full`, `file-unwritable`
 */
export function writeDescriptor(descriptor: 1 | 2, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      else if (code === "EPIPE") throw new ClosedPipeError();
      else throw unwritable(descriptor, code, error);
    }
  }
}

function unwritable(descriptor: 1 | 2, code: string | undefined, cause: unknown): StoreError {
  const name = descriptor === 1 ? "standard output" : "standard error";
  if (code === "ENOSPC" || code === "EDQUOT")
    return new StoreError("disk-full", `cannot write ${name}: no space left on the device`, { cause, side: "local" });
  return new StoreError("file-unwritable", `cannot write ${name}: ${code ?? "unknown reason"}`, {
    cause,
    side: "local",
  });
}
