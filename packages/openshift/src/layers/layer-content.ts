/** What stands in a layer, without its compression. */
import { Readable, pipeline } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { FormatError, SignetError, type UntrustedDescriptor, concatBytes } from "@signet/core";

/** Bytes that one layer may inflate to: an operating system's base layer has less than one thousand million. */
const MAX_INFLATED_LAYER_BYTES = 8 * 1024 ** 3;

/**
 * First octets of the compressions that layers have. They count, and not the media type: runtimes go by them as well, and a docker archive's manifest calls its plain layers
 * compressed.
 */
const magics = { gzip: [0x1f, 0x8b], zstd: [0x28, 0xb5, 0x2f, 0xfd] } as const;

/**
 * The tar stream of a layer. What comes out must not be used before the stream ends without an error: only then its digest is known to be right.
 * @param chunks the blob as the source gives it out
 * @throws what the source throws; FormatError `compression-malformed`, `input-too-large`
 */
export async function* readLayerContent(
  chunks: AsyncIterable<Uint8Array>,
  { digest }: UntrustedDescriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { head, all } = await peek(chunks, magics.zstd.length);
  const startsWith = (magic: readonly number[]): boolean => magic.every((octet, index) => head[index] === octet);
  const isGzip = startsWith(magics.gzip);
  if (!isGzip && !startsWith(magics.zstd)) {
    yield* all;
    return;
  }
  const inflater = isGzip ? createGunzip() : createZstdDecompress();
  // Failures of either side end the other one, and come out of the loop below.
  pipeline(Readable.from(all, { objectMode: false }), inflater, () => {});
  let total = 0;
  try {
    for await (const chunk of inflater as AsyncIterable<Uint8Array>) {
      total += chunk.length;
      if (total > MAX_INFLATED_LAYER_BYTES) {
        const limit = `${MAX_INFLATED_LAYER_BYTES} bytes`;
        throw new FormatError("input-too-large", `layer ${digest} inflates to more than ${limit}`);
      }
      yield chunk;
    }
  } catch (error) {
    // What the source has to say, a wrong digest above all, counts more than what became of the stream.
    if (error instanceof SignetError) throw error;
    throw new FormatError("compression-malformed", `layer ${digest}: its compressed data is damaged`, { cause: error });
  }
}

/** The first octets, or fewer where there are no more, and everything with them. */
async function peek(
  chunks: AsyncIterable<Uint8Array>,
  length: number,
): Promise<{ readonly head: Uint8Array; readonly all: AsyncGenerator<Uint8Array, void, undefined> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let count = 0;
  while (count < length) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(next.value);
    count += next.value.length;
  }
  const head = concatBytes(first);
  async function* all(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield head;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { head, all: all() };
}
