/** Where each file of a plain tar archive begins: found by reading the headers alone, without unpacking anything. */
import { FormatError } from "@signet/core";
import {
  TAR_BLOCK,
  decodeName,
  isZeroBlock,
  paddedSize,
  parseDecimalSize,
  parsePaxRecords,
  parseTarHeader,
} from "./tar-header.ts";

/** One file of the archive. */
export interface TarEntry {
  /** Bytes from the start of the archive to the file's content. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** What is read: an open file, or anything that gives bytes by position. */
export interface TarReader {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
}

/** Entries: an image has tens of files, a large layout thousands. */
const MAX_ARCHIVE_ENTRIES = 100_000;

/** Bytes of one long-name or pax header; paths are at most 4096 long. */
const MAX_EXTENSION_BYTES: number = 64 * 1024;

/** What extension headers said about the next entry. */
interface Extension {
  readonly name?: string;
  readonly size?: number;
  readonly linkName?: string;
  /** It came from one of GNU's headers, which hold one thing each. */
  readonly isGnu?: boolean;
}

/**
 * Indexes the regular files of an archive by name, a leading `./` removed. Nothing is written anywhere: names are only ever compared.
 *
 * Refused: links (but see `links`), devices, pipes and sparse files; absolute names, `..`, empty or repeated names; sizes beyond the archive's end; a missing end mark
 * (a truncated archive); compressed archives.
 * @param length bytes of the archive
 * @param links gets the symbolic links, name to the name they stand for; without it they are refused, as are always hard links and links that lead out of the archive
 * @throws FormatError `image-malformed`
 */
export async function indexTar(
  reader: TarReader,
  length: number,
  location: string,
  links?: Map<string, string>,
): Promise<ReadonlyMap<string, TarEntry>> {
  const entries = new Map<string, TarEntry>();
  let extension: Extension | undefined;
  let position = 0;
  for (let count = 0; ; count++) {
    if (count > MAX_ARCHIVE_ENTRIES) throw malformed(`${location}: more than ${MAX_ARCHIVE_ENTRIES} entries`);
    const what = `${location}, offset ${position}`;
    const block = await readBlocks(reader, position, TAR_BLOCK, length, what);
    if (position === 0) refuseCompressed(block, location);
    if (isZeroBlock(block)) {
      if (extension !== undefined) throw malformed(`${what}: an extended header without its entry`);
      if (!isZeroBlock(await readBlocks(reader, position + TAR_BLOCK, TAR_BLOCK, length, what))) {
        throw malformed(`${what}: data after the first half of the end mark`);
      }
      return entries;
    }
    const header = parseTarHeader(block, what);
    const content = position + TAR_BLOCK;
    const size = header.type === "0" ? (extension?.size ?? header.size) : header.size;
    if (size > length - content) throw malformed(`${what}: an entry of ${size} bytes reaches beyond the archive's end`);
    position = content + paddedSize(size);

    if (
      header.type === "x" ||
      header.type === "L" ||
      header.type === "g" ||
      (header.type === "K" && links !== undefined)
    ) {
      if (size > MAX_EXTENSION_BYTES) throw malformed(`${what}: an extended header of ${size} bytes`);
      const bytes = await readBlocks(reader, content, size, length, what);
      if (header.type === "g") {
        refuseGlobal(bytes, what);
        continue;
      }
      // GNU tar writes a long name and a long link of one entry in two headers.
      if (extension !== undefined && !completes(extension, header.type)) {
        throw malformed(`${what}: two extended headers for one entry`);
      }
      extension = joinExtensions(extension, readExtension(header.type, bytes, what));
      continue;
    }

    const name = cleanName(extension?.name ?? header.name, what);
    const linkName = extension?.linkName ?? header.linkName;
    extension = undefined;
    if (header.type === "5") {
      if (size !== 0) throw malformed(`${what}: a folder with content`);
    } else if (header.type === "0") {
      if (name === "") throw malformed(`${what}: a file without a name`);
      refuseTwice(name, entries, links, what);
      entries.set(name, { offset: content, size });
    } else if (header.type === "2" && links !== undefined) {
      if (size !== 0) throw malformed(`${what}: a symbolic link with content`);
      refuseTwice(name, entries, links, what);
      links.set(name, resolveLink(name, linkName, what));
    } else {
      throw malformed(
        `${what}: ${JSON.stringify(name)} is ${describeType(header.type)}; only files and folders belong here`,
      );
    }
  }
}

function refuseTwice(
  name: string,
  entries: ReadonlyMap<string, TarEntry>,
  links: ReadonlyMap<string, string> | undefined,
  what: string,
): void {
  if (entries.has(name) || links?.has(name) === true)
    throw malformed(`${what}: ${JSON.stringify(name.slice(0, 300))} appears twice`);
}

/** The name inside the archive that a link at `name` stands for. */
function resolveLink(name: string, target: string, what: string): string {
  if (target === "" || target.startsWith("/") || target.includes("\0")) {
    throw malformed(`${what}: a symbolic link to ${JSON.stringify(target.slice(0, 300))}`);
  }
  const parts = name.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) {
      throw malformed(`${what}: a symbolic link to ${JSON.stringify(target.slice(0, 300))} leads out of the archive`);
    }
  }
  return parts.join("/");
}

/** True when a header of type `L` or `K` adds what the other one of the two left open. */
function completes(extension: Extension, type: string): boolean {
  if (extension.isGnu !== true || (type !== "L" && type !== "K")) return false;
  return (type === "L" ? extension.name : extension.linkName) === undefined;
}

function joinExtensions(first: Extension | undefined, second: Extension): Extension {
  return { ...first, ...second };
}

function readExtension(type: string, bytes: Uint8Array, what: string): Extension {
  if (type === "L") return { name: longName(bytes, what), isGnu: true };
  return type === "K" ? { linkName: longName(bytes, what), isGnu: true } : readPax(bytes, what);
}

async function readBlocks(
  reader: TarReader,
  position: number,
  size: number,
  length: number,
  what: string,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (let done = 0; done < size;) {
    const { bytesRead } = await reader.read(bytes, done, size - done, position + done);
    if (bytesRead === 0) {
      throw new FormatError("image-malformed", `${what}: the archive ends too early, after ${length} bytes`, {
        hint: "the file is truncated; fetch it again",
      });
    }
    done += bytesRead;
  }
  return bytes;
}

const compressions: readonly (readonly [string, readonly number[], string])[] = [
  ["gzip", [0x1f, 0x8b], "gunzip"],
  ["bzip2", [0x42, 0x5a, 0x68], "bunzip2"],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "unxz"],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd], "unzstd"],
];

function refuseCompressed(block: Uint8Array, location: string): void {
  for (const [form, magic, tool] of compressions) {
    if (!magic.every((byte, at) => block[at] === byte)) continue;
    throw new FormatError("image-malformed", `${location} is compressed with ${form}; only plain archives are read`, {
      hint: `unpack it first: ${tool} < FILE > FILE.tar`,
    });
  }
}

/** Global headers may carry a comment; one that renames or resizes every entry has no honest use here. */
function refuseGlobal(bytes: Uint8Array, what: string): void {
  const records = parsePaxRecords(bytes, what);
  for (const key of records.keys()) {
    if (key === "path" || key === "size" || key === "linkpath" || key.startsWith("GNU.sparse")) {
      throw malformed(`${what}: a global header that sets ${JSON.stringify(key)}`);
    }
  }
}

function readPax(bytes: Uint8Array, what: string): Extension {
  const records = parsePaxRecords(bytes, what);
  for (const key of records.keys()) {
    if (key.startsWith("GNU.sparse")) throw malformed(`${what}: a sparse file`);
  }
  const name = records.get("path");
  const size = records.get("size");
  const linkName = records.get("linkpath");
  return {
    ...(name === undefined ? {} : { name }),
    ...(linkName === undefined ? {} : { linkName }),
    ...(size === undefined ? {} : { size: parseDecimalSize(size, what) }),
  };
}

function longName(bytes: Uint8Array, what: string): string {
  const nul = bytes.indexOf(0);
  return decodeName(nul < 0 ? bytes : bytes.subarray(0, nul), what);
}

/** Names are looked up, never used as paths; tricks are refused all the same, since whoever made them meant something by it. */
function cleanName(name: string, what: string): string {
  if (name.includes("\0")) throw malformed(`${what}: a name with a NUL in it`);
  if (name.startsWith("/")) throw malformed(`${what}: absolute name ${JSON.stringify(name.slice(0, 300))}`);
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes(".."))
    throw malformed(`${what}: name ${JSON.stringify(name.slice(0, 300))} climbs out of the archive`);
  return parts.join("/");
}

function describeType(type: string): string {
  const types: Readonly<Record<string, string>> = {
    "1": "a hard link",
    "2": "a symbolic link",
    "3": "a character device",
    "4": "a block device",
    "6": "a pipe",
    S: "a sparse file",
  };
  return types[type] ?? `of the unknown type ${JSON.stringify(type)}`;
}

function malformed(problem: string): FormatError {
  return new FormatError("image-malformed", problem, { hint: "the archive is damaged or was made to mislead" });
}
