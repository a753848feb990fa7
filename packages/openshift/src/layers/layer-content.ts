/** What stands in a layer, without its compression. */
import { Readable, pipeline } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { FormatError, SignetError, type UntrustedDescriptor } from "@signet/core";
import { tellCompression } from "./layer-compression.ts";

/** Bytes that the layers of one image may have together, without their compression: catalogs and their operating systems have less than four thousand million. */
const MAX_CONTENT_BYTES = 8 * 1024 ** 3;

/** How much the layers of one image have had so far. */
export class ContentBudget {
  #bytes = 0;

  /** @throws FormatError `input-too-large` */
  take(bytes: number, layer: string): void {
    this.#bytes += bytes;
    if (this.#bytes <= MAX_CONTENT_BYTES) return;
    throw new FormatError("input-too-large", `layer ${layer}: the layers have more than ${MAX_CONTENT_BYTES} bytes`, {
      hint: "no genuine release, catalog or bundle is that large",
    });
  }
}

/**
 * The tar stream of a layer. What comes out must not be used before the stream ends without an error: only then its digest is known to be right.
 * @param chunks the blob as the source gives it out
 * @param budget one for all layers of an image
 * @throws what the source throws; FormatError `compression-malformed`, `input-too-large`
 */
export async function* readLayerContent(
  chunks: AsyncIterable<Uint8Array>,
  { digest, mediaType }: UntrustedDescriptor,
  budget: ContentBudget,
): AsyncGenerator<Uint8Array, void, undefined> {
  ({ chunks, mediaType } = await tellCompression(chunks, mediaType));
  const isGzip = mediaType.endsWith("gzip");
  if (!isGzip && !mediaType.endsWith("zstd")) {
    for await (const chunk of chunks) {
      budget.take(chunk.length, digest);
      yield chunk;
    }
    return;
  }
  const inflater = isGzip ? createGunzip() : createZstdDecompress();
  // Failures of either side end the other one, and come out of the loop below.
  pipeline(Readable.from(chunks, { objectMode: false }), inflater, () => {});
  try {
    for await (const chunk of inflater as AsyncIterable<Uint8Array>) {
      budget.take(chunk.length, digest);
      yield chunk;
    }
  } catch (error) {
    // What the source has to say, a wrong digest above all, counts more than what became of the stream.
    if (error instanceof SignetError) throw error;
    throw new FormatError("compression-malformed", `layer ${digest}: its compressed data is damaged`, {
      cause: error,
      hint: "the layer is damaged, or was made to mislead; fetch the image again",
    });
  }
}
