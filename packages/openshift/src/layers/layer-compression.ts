/** Whether a layer that is called compressed is. */
import { concatBytes } from "@signet/core";

/** Bytes of a tar header. */
const BLOCK_BYTES = 512;

/** `ustar`, and where POSIX and GNU headers have it. */
const TAR_MAGIC = [0x75, 0x73, 0x74, 0x61, 0x72] as const;
const TAR_MAGIC_AT = 257;

const GZIP_MAGIC = [0x1f, 0x8b] as const;
const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd] as const;

/** A layer's stream, nothing of it lost, and what it is to be taken for. */
export interface ToldLayer {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** As it was given, or `tar` for an archive that only claims to be compressed. */
  readonly mediaType: string;
}

/**
 * Looks at the beginning of a layer whose media type says gzip or zstd, and takes a bare tar archive for what it is. Every writer of docker archives stores layers plain, while
 * the manifest that is made of them calls them gzip; container runtimes go by the octets as well. Anything else keeps its media type, and fails by it.
 * @throws what the source throws
 */
export async function tellCompression(source: AsyncIterable<Uint8Array>, mediaType: string): Promise<ToldLayer> {
  if (!/(?:gzip|zstd)$/.test(mediaType)) return { chunks: source, mediaType };
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let count = 0;
  while (count < BLOCK_BYTES) {
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
  return { chunks: all(), mediaType: isTar(head) ? "tar" : mediaType };
}

/** A header, or the zeros that an archive without files begins with. */
function isTar(head: Uint8Array): boolean {
  const has = (magic: readonly number[], at: number): boolean =>
    magic.every((octet, index) => head[at + index] === octet);
  if (head.length < BLOCK_BYTES || has(GZIP_MAGIC, 0) || has(ZSTD_MAGIC, 0)) return false;
  return has(TAR_MAGIC, TAR_MAGIC_AT) || head.subarray(0, BLOCK_BYTES).every((octet) => octet === 0);
}
