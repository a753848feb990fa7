/** How a layer is compressed: by its first octets, whatever its media type says. */
import { concatBytes } from "@signet/core";

/** First octets of the compressions that layers have. */
const magics: Readonly<Record<string, readonly number[]>> = { gzip: [0x1f, 0x8b], zstd: [0x28, 0xb5, 0x2f, 0xfd] };

/** The longest of them. */
const HEAD_BYTES = 4;

/** A layer's stream, nothing of it lost, with its compression in place of the media type: `gzip`, `zstd`, or `tar` for none. */
export interface ToldLayer {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly mediaType: string;
}

/**
 * Looks at the beginning of a layer. The media type does not count: container runtimes go by the octets as well, and the manifest of a docker archive calls its plain layers
 * compressed.
 * @throws what the source throws
 */
export async function tellCompression(source: AsyncIterable<Uint8Array>): Promise<ToldLayer> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let count = 0;
  while (count < HEAD_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(next.value);
    count += next.value.length;
  }
  const head = concatBytes(first);
  async function* all(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      if (head.length > 0) yield head;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  const [mediaType = "tar"] =
    Object.entries(magics).find(([, magic]) => magic.every((octet, index) => head[index] === octet)) ?? [];
  return { chunks: all(), mediaType };
}
