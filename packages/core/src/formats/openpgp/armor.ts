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

/**
 * Finds the armored blocks of a text; whatever stands around them is passed over. Each block stands or falls alone. A checksum may be missing, and is
 * refused when it is wrong. RFC 9580 section 6; RFC 4880 section 6.1 for the checksum.
 */
export function readArmorBlocks(text: Uint8Array): readonly ArmorBlock[] {
  const lines = latin1(text).split("\n").map(trimLineEnd);
  const blocks: ArmorBlock[] = [];
  for (let i = 0; i < lines.length; i++) {
    const type = headerType(lines[i]!, "BEGIN");
    if (type === undefined) continue;
    const end = findEnd(lines, i + 1);
    const block = { line: i + 1, type };
    const footer = end < lines.length ? headerType(lines[end]!, "END") : undefined;
    if (footer !== type) {
      blocks.push({ ...block, bytes: undefined, problem: "it has no matching end line" });
      // A begin line where the end should be starts the next block.
      i = footer === undefined ? end - 1 : end;
      continue;
    }
    blocks.push({ ...block, ...decodeBlock(lines.slice(i + 1, end)) });
    i = end;
  }
  return blocks;
}

function findEnd(lines: readonly string[], from: number): number {
  let at = from;
  while (at < lines.length && !lines[at]!.startsWith(dashes)) at++;
  return at;
}

function headerType(line: string, word: "BEGIN" | "END"): string | undefined {
  const start = `${dashes}${word} PGP `;
  return line.startsWith(start) && line.endsWith(dashes) && line.length > start.length + dashes.length
    ? line.slice(start.length, -dashes.length)
    : undefined;
}

function decodeBlock(lines: readonly string[]): Pick<ArmorBlock, "bytes" | "problem"> {
  const blank = lines.indexOf("");
  if (blank < 0) return { bytes: undefined, problem: "no empty line stands before its data" };
  for (const header of lines.slice(0, blank)) {
    if (!/^[^\s:]+: ?/.test(header)) return { bytes: undefined, problem: "a header line is malformed" };
  }
  const data = lines.slice(blank + 1).filter((line) => line !== "");
  const last = data.at(-1);
  const checksum = last?.startsWith("=") ? data.pop()!.slice(1) : undefined;
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
