/** Layers that come compressed, unpacked within bounds. */
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { FormatError } from "@signet/core";

/** Ways of compressing a layer that the field uses. Only gzip and zstd are unpacked. */
export type LayerCompression = "none" | "gzip" | "zstd" | "bzip2" | "xz";

const magics: readonly (readonly [LayerCompression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** Bytes from the start of a layer that tell how it is compressed. */
export const COMPRESSION_MAGIC_BYTES = 6;

/** Tells by its first bytes how a layer is compressed; media types are not to be relied on for it. */
export function detectCompression(start: Uint8Array): LayerCompression {
  for (const [compression, magic] of magics) if (magic.every((byte, at) => start[at] === byte)) return compression;
  return "none";
}

/** Bytes: the largest unpacked layer; above any genuine one. */
export const MAX_EXPANDED_BYTES: number = 256 * 1024 ** 3;

/** Unpacked bytes for each compressed one. Genuine layers reach 20; gzip can 1,032, zstd far more. */
export const MAX_EXPANSION_RATIO = 200;

/** Bytes that a layer may unpack to whatever its ratio: a small layer of zeros is harmless. */
export const FREE_EXPANSION_BYTES: number = 256 * 1024 * 1024;

/**
 * Unpacks a compressed layer while it passes. Output stops at the limits above, so that a bomb costs no more than {@link FREE_EXPANSION_BYTES} of work; memory
 * stays at a few chunks.
 *
 * Not checked: any digest, neither of what goes in nor of what comes out.
 * @param location for messages
 * @throws FormatError `input-too-large` beyond the limits, `compression-malformed`, `image-malformed` for bzip2 and xz
 */
export async function* expandLayer(
  compression: LayerCompression,
  chunks: AsyncIterable<Uint8Array>,
  location: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (compression === "none") {
    yield* chunks;
    return;
  }
  if (compression !== "gzip" && compression !== "zstd") {
    throw new FormatError("image-malformed", `${location} is compressed with ${compression}, which is not unpacked`, {
      hint: "convert it first: `skopeo copy` reads such layers and writes plain ones",
    });
  }
  let taken = 0;
  let failure: Error | undefined;
  const counted = (async function* () {
    try {
      for await (const chunk of chunks) {
        taken += chunk.length;
        yield chunk;
      }
    } catch (error) {
      // The stream below would report it as its own.
      failure = error as Error;
      throw error;
    }
  })();
  const input = Readable.from(counted, { objectMode: false, highWaterMark: 1 });
  const expander = compression === "gzip" ? createGunzip() : createZstdDecompress();
  input.on("error", (error) => expander.destroy(error));
  let given = 0;
  try {
    for await (const chunk of input.pipe(expander) as AsyncIterable<Uint8Array>) {
      given += chunk.length;
      if (given > MAX_EXPANDED_BYTES || given > FREE_EXPANSION_BYTES + taken * MAX_EXPANSION_RATIO) {
        throw new FormatError(
          "input-too-large",
          `${location}: ${taken} compressed bytes unpack to more than ${given}: a decompression bomb`,
          { hint: `a layer may unpack to ${MAX_EXPANSION_RATIO} times its size` },
        );
      }
      yield chunk;
    }
  } catch (error) {
    if (failure !== undefined) throw failure;
    if (error instanceof FormatError) throw error;
    throw new FormatError("compression-malformed", `${location}: the compressed layer is damaged`, { cause: error });
  } finally {
    input.destroy();
    expander.destroy();
  }
}
