/** Some files out of a tar stream that is read once, from beginning to end: layers of images, which hold everything a file system has. */
import { FormatError, concatBytes } from "@signet/core";
import {
  TAR_BLOCK,
  decodeName,
  isZeroBlock,
  paddedSize,
  parseDecimalSize,
  parsePaxRecords,
  parseTarHeader,
} from "./tar-header.ts";

/** Entries of one layer. The largest genuine ones have some hundred thousand. */
const MAX_LAYER_ENTRIES = 2_000_000;

/** Bytes of an extended header, which holds a name and times. */
const MAX_EXTENSION_BYTES = 1024 * 1024;

/** A file that was found. */
export interface TarFile {
  /** Clean and relative: `release-manifests/image-references`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface TarFilesOptions {
  /** Bytes that a wanted file may have; undefined for files that are not wanted. Asked with the clean name. */
  readonly wanted: (name: string) => number | undefined;
  /** For messages. */
  readonly location: string;
}

/** One entry of a tar stream, as it passes. */
export interface TarEntry {
  /** Clean and relative; a name that climbs keeps its `..`. */
  readonly name: string;
  /** `file` for a regular file, `folder`, or `other`: links, devices and the rest. */
  readonly kind: "file" | "folder" | "other";
  /** Bytes. */
  readonly size: number;
  /** Its content, once and only until the visit ends; what is not read is passed over. */
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * Visits every entry of a tar stream, in its order, with no more than one chunk of it in memory. The stream is read to its end, so that whoever hashes it on the way knows
 * the whole. Links are never followed; a name may stand several times.
 *
 * @throws FormatError `image-malformed` for what is no tar, ends too early or repeats without end; and what the visit throws
 */
export async function visitTarEntries(
  chunks: AsyncIterable<Uint8Array>,
  location: string,
  visit: (entry: TarEntry) => Promise<void>,
): Promise<void> {
  const octets = new ChunkReader(chunks, location);
  let longName: string | undefined;
  let longSize: number | undefined;
  for (let count = 0; ; count++) {
    if (count > MAX_LAYER_ENTRIES) throw malformed(`${location}: more than ${MAX_LAYER_ENTRIES} entries`);
    const block = await octets.take(TAR_BLOCK);
    // Archivers end with two empty blocks and fill up with more; some write none at all.
    if (block === undefined || isZeroBlock(block)) break;
    const header = parseTarHeader(block, location);
    if (header.type === "x" || header.type === "g" || header.type === "L" || header.type === "K") {
      if (header.size > MAX_EXTENSION_BYTES) throw malformed(`${location}: an extended header of ${header.size} bytes`);
      const body = (await octets.takeAll(paddedSize(header.size))).subarray(0, header.size);
      if (header.type === "x") {
        const records = parsePaxRecords(body, location);
        longName = records.get("path") ?? longName;
        const size = records.get("size");
        longSize = size === undefined ? longSize : parseDecimalSize(size, location);
      } else if (header.type === "L") longName = decodeName(untilNul(body), location);
      continue;
    }
    const name = cleanName(longName ?? header.name);
    const size = longSize ?? header.size;
    longName = undefined;
    longSize = undefined;
    const left = { bytes: size };
    const kind = header.type === "0" ? "file" : header.type === "5" ? "folder" : "other";
    await visit({ name, kind, size, content: octets.pass(left) });
    await octets.skip(left.bytes + paddedSize(size) - size);
  }
  await octets.drain();
}

/**
 * Reads the wanted regular files of a tar stream, in its order; of a name that stands twice the last one counts, as when a layer is unpacked. The stream is read to its
 * end, so that whoever hashes it on the way knows the whole. Links are never followed.
 *
 * @throws FormatError `image-malformed` for what is no tar, ends too early or repeats without end; `input-too-large` for a wanted file that is larger than wanted
 */
export async function readTarFiles(
  chunks: AsyncIterable<Uint8Array>,
  options: TarFilesOptions,
): Promise<readonly TarFile[]> {
  const { wanted, location } = options;
  const files = new Map<string, TarFile>();
  await visitTarEntries(chunks, location, async ({ name, kind, size, content }) => {
    const limit = kind === "file" ? wanted(name) : undefined;
    if (limit === undefined) {
      // Whatever else takes the name later, a folder or a link, the file is gone.
      files.delete(name);
      return;
    }
    if (size > limit)
      throw new FormatError("input-too-large", `${location}: ${name} has ${size} bytes, the limit is ${limit}`);
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(part);
    files.set(name, { name, bytes: parts.length === 1 ? parts[0]! : concatBytes(parts) });
  });
  return [...files.values()];
}

/** Takes a stream of chunks apart by counts of bytes. */
class ChunkReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #location: string;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>, location: string) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#location = location;
  }

  /** Exactly `size` bytes; undefined at the end of the stream. */
  async take(size: number): Promise<Uint8Array | undefined> {
    if (this.#rest.length === 0 && !(await this.#more())) return undefined;
    return this.takeAll(size);
  }

  async takeAll(size: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let missing = size;
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#more())) throw this.#truncated();
      const part = this.#rest.subarray(0, missing);
      parts.push(part);
      missing -= part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return parts.length === 1 ? parts[0]! : concatBytes(parts);
  }

  /** The next bytes as they come; `left` counts down. */
  async *pass(left: { bytes: number }): AsyncGenerator<Uint8Array, void, undefined> {
    while (left.bytes > 0) {
      if (this.#rest.length === 0 && !(await this.#more())) throw this.#truncated();
      const part = this.#rest.subarray(0, left.bytes);
      this.#rest = this.#rest.subarray(part.length);
      left.bytes -= part.length;
      yield part;
    }
  }

  async skip(size: number): Promise<void> {
    let missing = size;
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#more())) throw this.#truncated();
      const skipped = Math.min(missing, this.#rest.length);
      missing -= skipped;
      this.#rest = this.#rest.subarray(skipped);
    }
  }

  /** To the end of the stream, whatever stands there. */
  async drain(): Promise<void> {
    while (await this.#more());
    this.#rest = new Uint8Array(0);
  }

  async #more(): Promise<boolean> {
    for (;;) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#rest = next.value;
      if (next.value.length > 0) return true;
    }
  }

  #truncated(): FormatError {
    return malformed(`${this.#location}: the archive ends too early`);
  }
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const nul = bytes.indexOf(0);
  return nul < 0 ? bytes : bytes.subarray(0, nul);
}

/** `./a//b` and `/a/b` are `a/b`, as when a layer is unpacked. A name that climbs stays as it is, and nobody wants it. */
function cleanName(name: string): string {
  return name
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

function malformed(problem: string): FormatError {
  return new FormatError("image-malformed", problem, { hint: "the layer is damaged or was made to mislead" });
}
