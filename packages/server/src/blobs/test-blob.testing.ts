/** Blobs that say by themselves whether they are whole. */
import { makeSeededRandom } from "@signet/testkit";

/** Bytes: seed and size in front. */
const HEAD_BYTES = 8;

/** A blob of 1 KB to 3 MB, the same for the same seed. */
export function makeTestBlob(seed: number): Uint8Array {
  const size = 1_000 + makeSeededRandom(seed).integer(3_000_000);
  const head = new Uint8Array(new Uint32Array([seed, size]).buffer);
  return Buffer.concat([head, makeBytes(size, seed)]);
}

/** True when `bytes` is a blob of {@link makeTestBlob}, all of it, or its beginning up to what there is. */
export function isTestBlob(bytes: Uint8Array, extent: "beginning" | "whole"): boolean {
  if (bytes.length < HEAD_BYTES) return false;
  const seed = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const expected = makeTestBlob(seed);
  return Buffer.compare(bytes, extent === "whole" ? expected : expected.subarray(0, bytes.length)) === 0;
}

/** Bytes without a short period, quickly made, the same for the same seed. */
export function makeBytes(size: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = makeSeededRandom(seed).integer(2 ** 31) | 1;
  for (let index = 0; index < words.length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, size);
}
