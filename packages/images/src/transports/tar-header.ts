/** Tar headers (POSIX.1-2001 pax interchange format, with GNU's long names and base-256 sizes), read strictly and written plainly. */
import { FormatError, concatBytes } from "@signet/core";

/** Bytes: tar works in blocks. */
export const TAR_BLOCK = 512;

/** What a header says of the entry that follows it. */
export interface TarHeader {
  /** As written: prefix and name joined; not checked for tricks. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The type flag, one character; an old archive's NUL has become `0`. */
  readonly type: string;
  /** What a link points to, as written; empty for anything else. */
  readonly linkName: string;
}

/** Offsets and lengths of the header's fields. */
const NAME = [0, 100] as const;
const MODE = [100, 8] as const;
const SIZE = [124, 12] as const;
const MTIME = [136, 12] as const;
const CHECKSUM = [148, 8] as const;
const TYPE = 156;
const LINK_NAME = [157, 100] as const;
const MAGIC = [257, 8] as const;
const PREFIX = [345, 155] as const;

const POSIX_MAGIC = "ustar\u000000";
const GNU_MAGIC = "ustar  \0";

/** True for a block of zeros, two of which end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/**
 * Parses one header block.
 * @param what archive and offset, for messages
 * @throws FormatError `image-malformed`
 */
export function parseTarHeader(block: Uint8Array, what: string): TarHeader {
  const magic = latin1(block, MAGIC);
  if (magic !== POSIX_MAGIC && magic !== GNU_MAGIC) throw malformed(`${what}: not a tar header`);
  if (parseOctal(block, CHECKSUM, what, "checksum") !== checksum(block)) {
    throw malformed(`${what}: the tar header's checksum is wrong`);
  }
  const name = decodeName(untilNul(block, NAME), what);
  // GNU's form keeps times where the other one has the prefix.
  const prefix = magic === POSIX_MAGIC ? decodeName(untilNul(block, PREFIX), what) : "";
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    size: parseSize(block, what),
    type: block[TYPE] === 0 ? "0" : String.fromCharCode(block[TYPE]!),
    linkName: decodeName(untilNul(block, LINK_NAME), what),
  };
}

/**
 * The records of a pax extended header. Extended attributes (`SCHILY.xattr.…`), which hold octets of any kind, such as capabilities, are left out.
 * @throws FormatError `image-malformed`
 */
export function parsePaxRecords(bytes: Uint8Array, what: string): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 || space - at > 10 ? "" : latin1(bytes, [at, space - at]);
    const length = /^[1-9][0-9]*$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    if (length === 0 || end > bytes.length || end <= space + 1 || bytes[end - 1] !== 0x0a) {
      throw malformed(`${what}: malformed pax record`);
    }
    const equals = bytes.indexOf(0x3d, space + 1);
    if (equals <= space + 1 || equals >= end) throw malformed(`${what}: pax record without a key`);
    const key = decodeName(bytes.subarray(space + 1, equals), what);
    if (!key.includes(".xattr.")) records.set(key, decodeName(bytes.subarray(equals + 1, end - 1), what));
    at = end;
  }
  return records;
}

/** A name as UTF-8 text. @throws FormatError `image-malformed` */
export function decodeName(bytes: Uint8Array, what: string): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (error) {
    throw new FormatError("image-malformed", `${what}: a name is not UTF-8`, { cause: error, hint: HINT });
  }
}

/** The decimal size of a pax record. @throws FormatError `image-malformed` */
export function parseDecimalSize(text: string, what: string): number {
  const size = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(size)) throw malformed(`${what}: malformed size`);
  return size;
}

/** Largest size that eleven octal digits hold. */
const MAX_OCTAL_SIZE = 0o77777777777;

/**
 * The blocks that announce an entry: one header, with a pax header before it when name or size need one. Owner 0, time 0, so that equal images give equal archives.
 * @param name ASCII; a folder's ends with `/`
 * @param size bytes
 */
export function writeTarHeader(name: string, size: number): Uint8Array {
  const records: string[] = [];
  if (name.length > NAME[1]) records.push(paxRecord("path", name));
  if (size > MAX_OCTAL_SIZE) records.push(paxRecord("size", `${size}`));
  const type = name.endsWith("/") ? "5" : "0";
  const header = writeBlock(name.slice(-NAME[1]), size > MAX_OCTAL_SIZE ? 0 : size, type);
  if (records.length === 0) return header;
  const body = new TextEncoder().encode(records.join(""));
  const padded = new Uint8Array(paddedSize(body.length));
  padded.set(body);
  return concatBytes([writeBlock("PaxHeader", body.length, "x"), padded, header]);
}

/**
 * A file's header that is one block whatever the size, for content whose size is known only after it was written behind the place of its header. Sizes of 8 GiB and
 * more stand in GNU's base-256 form, which every reader of the field knows.
 * @param name ASCII, at most 100 characters
 */
export function writeSizedHeader(name: string, size: number): Uint8Array {
  if (size <= MAX_OCTAL_SIZE) return writeBlock(name, size, "0");
  const field = new Uint8Array(SIZE[1]);
  for (let at = field.length - 1, rest = size; rest > 0; at--, rest = Math.floor(rest / 256)) field[at] = rest % 256;
  field[0] = 0x80;
  return writeBlock(name, 0, "0", { size: field });
}

/**
 * The header of a symbolic link.
 * @param name ASCII, at most 100 characters
 * @param target ASCII, at most 100 characters
 */
export function writeLinkHeader(name: string, target: string): Uint8Array {
  return writeBlock(name, 0, "2", { linkName: target });
}

/** `size` rounded up to whole blocks. */
export function paddedSize(size: number): number {
  return Math.ceil(size / TAR_BLOCK) * TAR_BLOCK;
}

function writeBlock(
  name: string,
  size: number,
  type: string,
  more: { readonly size?: Uint8Array; readonly linkName?: string } = {},
): Uint8Array {
  const block = new Uint8Array(TAR_BLOCK);
  const put = (text: string, offset: number): void => block.set(new TextEncoder().encode(text), offset);
  const octal = (value: number, [, length]: readonly [number, number]): string =>
    value.toString(8).padStart(length - 1, "0");
  put(name, NAME[0]);
  put(octal(type === "5" ? 0o755 : 0o644, MODE), MODE[0]);
  put("0000000", 108);
  put("0000000", 116);
  put(octal(size, SIZE), SIZE[0]);
  put(octal(0, MTIME), MTIME[0]);
  if (more.size !== undefined) block.set(more.size, SIZE[0]);
  put(type, TYPE);
  put(more.linkName ?? "", LINK_NAME[0]);
  put(POSIX_MAGIC, MAGIC[0]);
  put(`${checksum(block).toString(8).padStart(6, "0")}\0 `, CHECKSUM[0]);
  return block;
}

/** A record's length counts its own digits. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (`${length}${rest}`.length !== length) length++;
  return `${length}${rest}`;
}

function parseSize(block: Uint8Array, what: string): number {
  const [offset, length] = SIZE;
  if ((block[offset]! & 0x80) === 0) return parseOctal(block, SIZE, what, "size");
  // Base-256, big-endian; the first octet is 0x80 for every size that can be meant.
  if (block[offset] !== 0x80) throw malformed(`${what}: absurd size`);
  let size = 0;
  for (const byte of block.subarray(offset + 1, offset + length)) {
    size = size * 256 + byte;
    if (size > Number.MAX_SAFE_INTEGER) throw malformed(`${what}: absurd size`);
  }
  return size;
}

function parseOctal(block: Uint8Array, field: readonly [number, number], what: string, meaning: string): number {
  const match = /^ *([0-7]+)[ \0]*$/.exec(latin1(block, field));
  if (match === null) throw malformed(`${what}: malformed ${meaning}`);
  return Number.parseInt(match[1]!, 8);
}

/** The sum of all octets, with the checksum's own field taken as spaces. */
function checksum(block: Uint8Array): number {
  let sum = 0;
  for (const [at, byte] of block.entries()) {
    sum += at >= CHECKSUM[0] && at < CHECKSUM[0] + CHECKSUM[1] ? 0x20 : byte;
  }
  return sum;
}

function untilNul(block: Uint8Array, [offset, length]: readonly [number, number]): Uint8Array {
  const field = block.subarray(offset, offset + length);
  const nul = field.indexOf(0);
  return nul < 0 ? field : field.subarray(0, nul);
}

function latin1(bytes: Uint8Array, [offset, length]: readonly [number, number]): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length));
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const HINT = "the archive is damaged, or was made to mislead; fetch it again";

function malformed(problem: string): FormatError {
  return new FormatError("image-malformed", problem, { hint: HINT });
}
