/** Lists of checksums as `sha256sum` writes them, in GNU's and BSD's form (coreutils, "md5sum invocation"). */
import { type Digest, FormatError, parseDigest } from "@signet/core";

/** Bytes of one list; genuine ones have some ten thousand. */
export const MAX_CHECKSUM_LIST_BYTES: number = 4 * 1024 * 1024;

/** Lines of one list. */
const MAX_ENTRIES = 50_000;

/** One file of a list. */
export interface ChecksumEntry {
  /** As it stands in the list after its escapes are undone: relative, with `/` between its parts, nowhere leading out of its folder. */
  readonly name: string;
  readonly digest: Digest;
  /** From 1. */
  readonly line: number;
}

export interface ChecksumList {
  /** Each name once, in the list's order. */
  readonly entries: readonly ChecksumEntry[];
  readonly warnings: readonly string[];
}

/** `HASH  name`, `HASH *name`; a backslash in front says that the name has escapes. */
const gnuForm = /^(\\?)([0-9A-Fa-f]{64}) [ *](.+)$/s;
/** `SHA256 (name) = HASH`. */
const bsdForm = /^(\\?)SHA256 \((.+)\) = ([0-9A-Fa-f]{64})$/s;

/**
 * Reads a list. Empty lines are passed over; carriage returns at the ends of lines are taken with a warning.
 *
 * @param bytes UTF-8; whoever trusts the list has verified its signature
 * @param source the list's name, for messages
 * @throws FormatError `checksum-list-malformed` with the line: for a line of another form, a name that is absolute, climbs or is empty, a name that stands twice with
 *   different checksums, and a list without entries; `input-too-large`
 */
export function parseChecksumList(bytes: Uint8Array, source: string): ChecksumList {
  if (bytes.length > MAX_CHECKSUM_LIST_BYTES)
    throw new FormatError(
      "input-too-large",
      `${source}: ${bytes.length} bytes, the limit is ${MAX_CHECKSUM_LIST_BYTES}`,
    );
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError("checksum-list-malformed", `${source}: it is not UTF-8 text`, { cause });
  }
  const warnings: string[] = [];
  const byName = new Map<string, ChecksumEntry>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = index + 1;
    const content = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if (content.length < raw.length && warnings.length === 0) warnings.push(`${source}: lines end with CR LF`);
    if (content === "") continue;
    const entry = parseLine(content, line, source);
    const known = byName.get(entry.name);
    if (known !== undefined && known.digest !== entry.digest)
      throw malformed(
        source,
        line,
        `${JSON.stringify(entry.name)} stands here and in line ${known.line} with different checksums`,
      );
    if (known === undefined) byName.set(entry.name, entry);
    if (byName.size > MAX_ENTRIES)
      throw new FormatError("input-too-large", `${source}: more than ${MAX_ENTRIES} files`);
  }
  if (byName.size === 0) throw new FormatError("checksum-list-malformed", `${source}: it lists no file`);
  return { entries: [...byName.values()], warnings };
}

function parseLine(content: string, line: number, source: string): ChecksumEntry {
  const gnu = gnuForm.exec(content);
  const bsd = gnu === null ? bsdForm.exec(content) : null;
  const [escaped, hex, rawName] = gnu === null ? [bsd?.[1], bsd?.[3], bsd?.[2]] : [gnu[1], gnu[2], gnu[3]];
  if (hex === undefined || rawName === undefined)
    throw malformed(source, line, "a SHA-256 checksum and a file name are expected");
  const name = escaped === "\\" ? unescapeName(rawName, line, source) : rawName;
  const problem = explainBadName(name);
  if (problem !== undefined) throw malformed(source, line, `the file name ${JSON.stringify(name)} ${problem}`);
  return { name, digest: parseDigest(`sha256:${hex.toLowerCase()}`), line };
}

function unescapeName(name: string, line: number, source: string): string {
  return name.replaceAll(/\\(.?)/gs, (_, escape: string) => {
    const character = ({ "\\": "\\", n: "\n", r: "\r" } as Readonly<Record<string, string>>)[escape];
    if (character === undefined) throw malformed(source, line, "the file name has an unknown escape");
    return character;
  });
}

/** A name must stay inside the folder that is checked. */
function explainBadName(name: string): string | undefined {
  if (name.startsWith("/")) return "is absolute";
  if (name.includes("\0")) return "holds a NUL";
  const parts = name.split("/");
  if (parts.includes("..")) return "leads out of its folder";
  if (parts.includes("") || parts.at(-1) === ".") return "is not a file's";
  return undefined;
}

function malformed(source: string, line: number, problem: string): FormatError {
  return new FormatError("checksum-list-malformed", `${source}:${line}: ${problem}`);
}
