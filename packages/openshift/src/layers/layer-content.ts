/** What stands in a layer, without its compression. */
import { Readable, pipeline } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { FormatError, SignetError, type UntrustedDescriptor } from "@signet/core";
import { tellCompression } from "./layer-compression.ts";

/** Bytes that one layer may inflate to: an operating system's base layer has less than one thousand million. */
const MAX_INFLATED_LAYER_BYTES = 8 * 1024 ** 3;

/**
 * The tar stream of a layer. What comes out must not be used before the stream ends without an error: only then its digest is known to be right.
 * @param chunks the blob as the source gives it out
 * @throws what the source throws; FormatError `compression-malformed`, `input-too-large`
 */
export async function* readLayerContent(
  chunks: AsyncIterable<Uint8Array>,
  { digest, mediaType }: UntrustedDescriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  ({ chunks, mediaType } = await tellCompression(chunks, mediaType));
  const isGzip = mediaType.endsWith("gzip");
  if (!isGzip && !mediaType.endsWith("zstd")) {
    for await (const chunk of chunks) yield chunk;
    return;
  }
  const inflater = isGzip ? createGunzip() : createZstdDecompress();
  // Failures of either side end the other one, and come out of the loop below.
  pipeline(Readable.from(chunks, { objectMode: false }), inflater, () => {});
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
