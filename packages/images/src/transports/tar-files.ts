/** Entries of a tar stream that is read once, from beginning to end: layers of images, which hold everything a file system has. */
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

/** Bytes of an extended header, which holds a name, times and attributes. */
const MAX_EXTENSION_BYTES = 1024 * 1024;

/** Characters of a name: what Linux allows a path to have (PATH_MAX). */
const MAX_NAME_LENGTH = 4096;

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
 * the whole. Links are never followed; a name may stand several times. A sparse file is `other`, under the name that it would be unpacked to.
 *
 * Readers of tar disagree about what archivers never write, and a container must not see another file than whoever looks here: content behind an entry that has none,
 * extended headers that contradict or follow each other, and files that are named as folders are refused.
 *
 * @throws FormatError `image-malformed` for what is no tar, ends too early or repeats without end; and what the visit throws
 */
export async function visitTarEntries(
  chunks: AsyncIterable<Uint8Array>,
  location: string,
  visit: (entry: TarEntry) => Promise<void>,
): Promise<void> {
  await using octets = new ChunkReader(chunks, location);
  let extensions = new Extensions(location);
  for (let count = 0; ; count++) {
    if (count > MAX_LAYER_ENTRIES) throw malformed(`${location}: more than ${MAX_LAYER_ENTRIES} entries`);
    const block = await octets.take(TAR_BLOCK);
    // Archivers end with two empty blocks and fill up with more; some write none at all.
    if (block === undefined || isZeroBlock(block)) break;
    const header = parseTarHeader(block, location);
    if (header.type === "x" || header.type === "g" || header.type === "L" || header.type === "K") {
      if (header.size > MAX_EXTENSION_BYTES) throw malformed(`${location}: an extended header of ${header.size} bytes`);
      extensions.add(header.type, (await octets.takeAll(paddedSize(header.size))).subarray(0, header.size));
      continue;
    }
    const { name: longName, size = header.size, isSparse } = extensions;
    extensions = new Extensions(location);
    const written = longName ?? header.name;
    const name = cleanName(written);
    const what = `${location}: ${JSON.stringify(name.slice(0, 300))}`;
    if (name.length > MAX_NAME_LENGTH) throw malformed(`${what} … is a name of ${name.length} characters`);
    if (name.includes("\0")) throw malformed(`${what} holds a NUL`);
    // Links, devices, folders and pipes: some readers look for their content, and some for the next header.
    if (size > 0 && /^[1-6]$/.test(header.type)) throw malformed(`${what} has content, and is no file`);
    if (header.type === "0" && written.endsWith("/")) throw malformed(`${what} is a file that is named as a folder`);
    if (header.type === GNU_SPARSE)
      for (let map = block, next = 482; map[next] !== 0; next = 504) map = await octets.takeAll(TAR_BLOCK);
    const left = { bytes: size };
    const kind = header.type === "0" && !isSparse ? "file" : header.type === "5" ? "folder" : "other";
    await visit({ name, kind, size, content: octets.pass(left) });
    await octets.skip(left.bytes + paddedSize(size) - size);
  }
  await octets.drain();
}

/** The type of GNU's old form of sparse files, whose map may go on in further blocks: each says, at offset 504, whether another follows; the header says it at 482. */
const GNU_SPARSE = "S";

/** What the extended headers before one entry say of it. */
class Extensions {
  name: string | undefined;
  size: number | undefined;
  isSparse = false;
  readonly #location: string;
  readonly #types = new Set<string>();

  constructor(location: string) {
    this.#location = location;
  }

  /** @param type `x` or `g` of pax, `L` or `K` of GNU */
  add(type: string, body: Uint8Array): void {
    if (type === "g") {
      for (const key of parsePaxRecords(body, this.#location).keys())
        if (isDecisive(key)) throw malformed(`${this.#location}: a global header that sets ${JSON.stringify(key)}`);
      return;
    }
    if (this.#types.has(type) || (this.#types.size > 0 && (type === "x" || this.#types.has("x"))))
      throw malformed(`${this.#location}: two extended headers for one entry`);
    this.#types.add(type);
    if (type === "L") this.name = decodeName(untilNul(body), this.#location);
    if (type !== "x") return;
    const records = parsePaxRecords(body, this.#location);
    this.isSparse = [...records.keys()].some((key) => key.startsWith("GNU.sparse"));
    this.name = records.get("GNU.sparse.name") ?? records.get("path");
    const size = records.get("size");
    if (size !== undefined) this.size = parseDecimalSize(size, this.#location);
  }
}

/** True for records that say what an entry is. */
function isDecisive(key: string): boolean {
  return key === "path" || key === "size" || key === "linkpath" || key.startsWith("GNU.sparse");
}

/** Takes a stream of chunks apart by counts of bytes. */
class ChunkReader implements AsyncDisposable {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #location: string;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>, location: string) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#location = location;
  }

  /** Whoever gives the chunks out has a file or a connection to close. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
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
