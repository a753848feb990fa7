import { type Hash, createHash } from "node:crypto";
import {
  type Digest,
  FormatError,
  StoreError,
  concatBytes,
  digestAlgorithm,
  digestHex,
  type DigestAlgorithm,
} from "@signet/core";
import type { BlobDescriptor } from "./transport.ts";

/** Which side a failed check is blamed on. */
export type Side = "source" | "destination" | "local";

/**
 * Passes `chunks` on while hashing and counting them. The stream ends without error only if exactly the bytes that `descriptor` names went through; it fails as
 * soon as they are too many, and at the end when they are too few or hash to something else. A consumer must not use what it got before the end.
 * @param location where the bytes come from, for messages
 * @throws StoreError `digest-mismatch`
 */
export async function* checkBlob(
  descriptor: BlobDescriptor,
  chunks: AsyncIterable<Uint8Array>,
  location: string,
  side: Side = "source",
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash(digestAlgorithm(descriptor.digest));
  let count = 0;
  for await (const chunk of chunks) {
    count += chunk.length;
    if (descriptor.size !== undefined && count > descriptor.size) {
      throw mismatch(descriptor.digest, location, side, `longer than the ${descriptor.size} bytes announced`);
    }
    hash.update(chunk);
    yield chunk;
  }
  if (descriptor.size !== undefined && count !== descriptor.size) {
    throw mismatch(descriptor.digest, location, side, `${count} bytes instead of the ${descriptor.size} announced`);
  }
  compareHash(hash, descriptor.digest, location, side);
}

/**
 * Holds a whole document against the digest it was asked for by.
 * @throws StoreError `digest-mismatch`
 */
export function checkBytes(digest: Digest, bytes: Uint8Array, location: string, side: Side = "source"): void {
  compareHash(createHash(digestAlgorithm(digest)).update(bytes), digest, location, side);
}

/**
 * Collects a small stream.
 * @throws FormatError `input-too-large` beyond `maxBytes`
 */
export async function collectChunks(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  what: string,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let count = 0;
  for await (const chunk of chunks) {
    count += chunk.length;
    if (count > maxBytes) throw new FormatError("input-too-large", `${what}: more than ${maxBytes} bytes`);
    // Producers may reuse their buffer for the next chunk.
    parts.push(chunk.slice());
  }
  return concatBytes(parts);
}

/** `bytes` as a stream of one chunk. */
export async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

function compareHash(hash: Hash, expected: Digest, location: string, side: Side): void {
  const found = hash.digest("hex");
  if (found !== digestHex(expected)) {
    const algorithm: DigestAlgorithm = digestAlgorithm(expected);
    throw mismatch(expected, location, side, `the bytes hash to ${algorithm}:${found}`);
  }
}

function mismatch(digest: Digest, location: string, side: Side, problem: string): StoreError {
  return new StoreError("digest-mismatch", `${location}: not what ${digest} names: ${problem}`, {
    side,
    hint: "the bytes were damaged or exchanged on their way; nothing of them was used",
    details: { digest },
  });
}
