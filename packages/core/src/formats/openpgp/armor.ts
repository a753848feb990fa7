import { decodeBase64 } from "../../bytes/base64.ts";
import { FormatError } from "../../errors.ts";

/** Octets of the beginning in which an armor header is looked for, so that a large blob of another kind costs nothing. */
const DETECTION_WINDOW = 4096;

const dashes = "-----";

/** Says what text-like bytes are, from their beginning alone. */
export function detectArmor(bytes: Uint8Array): "cleartext" | "armor" | undefined {
  const start = latin1(bytes.subarray(0, DETECTION_WINDOW));
  const match = /^-----BEGIN PGP (SIGNED MESSAGE|[A-Z ,0-9/]+)-----/m.exec(start);
  if (match === null) return undefined;
  return match[1] === "SIGNED MESSAGE" ? "cleartext" : "armor";
}

/** One armored block of a text, or why it cannot be read. */
export interface ArmorBlock {
  /** Line of its header, from 1. */
  readonly line: number;
  /** What the header says, such as `PUBLIC KEY BLOCK`. */
  readonly type: string;
  /** Its content; undefined when `problem` says why not. */
  readonly bytes: Uint8Array | undefined;
  readonly problem: string | undefined;
}

/** Lines of one block: 16 MiB in the shortest lines that tools write. */
const MAX_BLOCK_LINES = 400_000;
/** Blocks of one text; ten times as many as certificates are read. */
const MAX_BLOCKS = 10_000;

/**
 * Finds the armored blocks of a text; whatever stands around them is passed over. Each block stands or falls alone. A checksum may be missing, and is
 * refused when it is wrong. RFC 9580 section 6; RFC 4880 section 6.1 for the checksum.
 *
 * @throws FormatError `input-too-large` for more than {@link MAX_BLOCKS} blocks
 */
export function readArmorBlocks(text: Uint8Array): readonly ArmorBlock[] {
  const source = latin1(text);
  const blocks: ArmorBlock[] = [];
  let line = 1;
  let counted = 0;
  for (let at = 0; ;) {
    const begin = findLineStart(source, `${dashes}BEGIN PGP `, at);
    if (begin < 0) return blocks;
    const headerEnd = endOfLine(source, begin);
    at = headerEnd;
    const type = headerType(source.slice(begin, headerEnd), "BEGIN");
    if (type === undefined) continue;
    for (; counted < begin; counted++) if (source[counted] === "\n") line++;
    if (blocks.length === MAX_BLOCKS) {
      throw new FormatError("input-too-large", `the text holds more than ${MAX_BLOCKS} armored blocks`);
    }
    // Data lines never begin with dashes, so the next line that does ends the block, or shows that its end is missing.
    const end = findLineStart(source, dashes, headerEnd);
    const footerEnd = end < 0 ? source.length : endOfLine(source, end);
    if (end >= 0 && headerType(source.slice(end, footerEnd), "END") === type) {
      blocks.push({ line, type, ...decodeBlock(source.slice(headerEnd + 1, end)) });
      at = footerEnd;
    } else {
      blocks.push({ line, type, bytes: undefined, problem: "it has no matching end line" });
      at = end < 0 ? source.length : end;
    }
  }
}

/** Where a line that begins with `prefix` starts, at or behind `from`; -1 for nowhere. */
function findLineStart(source: string, prefix: string, from: number): number {
  for (let at = source.indexOf(prefix, from); at >= 0; at = source.indexOf(prefix, at + 1)) {
    if (at === 0 || source[at - 1] === "\n") return at;
  }
  return -1;
}

function endOfLine(source: string, from: number): number {
  const end = source.indexOf("\n", from);
  return end < 0 ? source.length : end;
}

function headerType(text: string, word: "BEGIN" | "END"): string | undefined {
  const line = trimLineEnd(text);
  const start = `${dashes}${word} PGP `;
  return line.startsWith(start) && line.endsWith(dashes) && line.length > start.length + dashes.length
    ? line.slice(start.length, -dashes.length)
    : undefined;
}

function decodeBlock(body: string): Pick<ArmorBlock, "bytes" | "problem"> {
  const lines = body.split("\n", MAX_BLOCK_LINES + 1).map(trimLineEnd);
  if (lines.length > MAX_BLOCK_LINES) return { bytes: undefined, problem: `it has more than ${MAX_BLOCK_LINES} lines` };
  const blank = lines.indexOf("");
  if (blank < 0) return { bytes: undefined, problem: "no empty line stands before its data" };
  for (const header of lines.slice(0, blank)) {
    if (!/^[^\s:]+: ?/.test(header)) return { bytes: undefined, problem: "a header line is malformed" };
  }
  const data = lines.slice(blank + 1).filter((line) => line !== "");
  const last = data.at(-1);
  const checksum = last?.startsWith("=") === true ? data.pop()!.slice(1) : undefined;
  try {
    const bytes = decodeBase64(data.join(""));
    if (checksum !== undefined && readChecksum(checksum) !== crc24(bytes)) {
      return { bytes: undefined, problem: "its checksum is wrong" };
    }
    return { bytes, problem: undefined };
  } catch (error) {
    if (error instanceof FormatError) return { bytes: undefined, problem: "its base64 is malformed" };
    throw error;
  }
}

function readChecksum(text: string): number | undefined {
  const bytes = decodeBase64(text);
  return bytes.length === 3 ? (bytes[0]! << 16) | (bytes[1]! << 8) | bytes[2]! : undefined;
}

const crcTable = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte << 16;
  for (let bit = 0; bit < 8; bit++) value = value & 0x800000 ? (value << 1) ^ 0x1864cfb : value << 1;
  crcTable[byte] = value & 0xffffff;
}

/** The checksum of armored data. RFC 9580 section 6.1.1. */
export function crc24(bytes: Uint8Array): number {
  let crc = 0xb704ce;
  for (const byte of bytes) crc = ((crc << 8) & 0xffffff) ^ crcTable[(crc >> 16) ^ byte]!;
  return crc;
}

/** Without the white space at its end; by hand, since a pattern would take quadratic time on hostile lines. */
function trimLineEnd(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === " " || line[end - 1] === "\t" || line[end - 1] === "\r")) end--;
  return line.slice(0, end);
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
