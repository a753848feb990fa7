/** Files on disk against a list of checksums. */
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Engine, type SignetError, StoreError, encodeHex } from "@signet/core";
import { fileError, readFileBounded } from "@signet/images";
import { type ChecksumEntry, MAX_CHECKSUM_LIST_BYTES, parseChecksumList } from "./checksum-list.ts";

/** How one listed file was found. `missing`: it is not there. `unreadable`: it could not be told. */
export type FileOutcome = "ok" | "failed" | "missing" | "unreadable";

export interface FileCheck {
  /** Relative to the folder that was checked. */
  readonly name: string;
  readonly outcome: FileOutcome;
  readonly expected: string;
  /** Undefined unless the file could be read whole. */
  readonly found?: string;
  /** Why it is unreadable. */
  readonly error?: SignetError;
}

export interface FilesCheck {
  readonly files: readonly FileCheck[];
  /** Names of files in the folder that no list speaks of, sorted. */
  readonly unlisted: readonly string[];
}

export interface FilesCheckOptions {
  readonly engine: Pick<Engine, "createHash">;
  /** Names of files that are there and need no checksum: the list itself and its signature. */
  readonly known?: readonly string[];
  /** Called with the number of bytes as they are hashed. */
  readonly onBytes?: (name: string, bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** What a list in a folder below is called; a multi-architecture release signs the upper list alone. */
const LIST_NAME = "sha256sum.txt";

/** Bytes read at a time: a good compromise of calls and memory for files of some hundred megabytes. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * Checks every listed file below `folder`, one after the other. Where the list names a further list (`arch/sha256sum.txt`) and that one is right, its files are
 * checked too: what was signed vouches for it.
 *
 * Not checked: what links in the folder lead to; the bytes that are read are the ones that count.
 * @throws FormatError `checksum-list-malformed` for a further list that is right and cannot be read
 */
export async function checkFiles(
  folder: string,
  entries: readonly ChecksumEntry[],
  options: FilesCheckOptions,
): Promise<FilesCheck> {
  const files: FileCheck[] = [];
  const folders = new Set([""]);
  for (const entry of entries) {
    const check = await checkFile(folder, entry.name, entry.digest, options);
    files.push(check);
    folders.add(folderOf(entry.name));
    if (check.outcome !== "ok" || !entry.name.endsWith(`/${LIST_NAME}`)) continue;
    const further = await readFileBounded(join(folder, entry.name), MAX_CHECKSUM_LIST_BYTES, "list of checksums");
    // Read again, so hashed again: the file may have changed in between.
    if (hashOf(further, options) !== entry.digest) {
      files.push({ name: entry.name, outcome: "failed", expected: entry.digest, found: hashOf(further, options) });
      continue;
    }
    for (const inner of parseChecksumList(further, entry.name).entries) {
      const name = `${folderOf(entry.name)}${inner.name}`;
      folders.add(folderOf(name));
      files.push(await checkFile(folder, name, inner.digest, options));
    }
  }
  const listed = new Set([...files.map(({ name }) => name), ...(options.known ?? [])]);
  return { files, unlisted: (await listFolders(folder, folders)).filter((name) => !listed.has(name)) };
}

async function checkFile(
  folder: string,
  name: string,
  expected: string,
  { engine, onBytes, signal }: FilesCheckOptions,
): Promise<FileCheck> {
  const path = join(folder, name);
  const hash = engine.createHash("sha256");
  try {
    // A pipe would keep its reader waiting for ever.
    if (!(await stat(path)).isFile())
      throw new StoreError("file-unreadable", `cannot read ${path}: it is not a regular file`, { side: "local" });
    const options = { highWaterMark: CHUNK_BYTES, ...(signal === undefined ? {} : { signal }) };
    for await (const chunk of createReadStream(path, options) as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      onBytes?.(name, chunk.length);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    const error = fileError(cause, path, "read");
    return { name, outcome: error.code === "file-missing" ? "missing" : "unreadable", expected, error };
  }
  const found = `sha256:${encodeHex(hash.digest())}`;
  return { name, outcome: found === expected ? "ok" : "failed", expected, found };
}

function hashOf(bytes: Uint8Array, { engine }: FilesCheckOptions): string {
  const hash = engine.createHash("sha256");
  hash.update(bytes);
  return `sha256:${encodeHex(hash.digest())}`;
}

/** With its slash; empty for a name without one. */
function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf("/") + 1);
}

/** Files of the folders that the list speaks of, not of others below. */
async function listFolders(root: string, folders: ReadonlySet<string>): Promise<readonly string[]> {
  const names: string[] = [];
  for (const folder of folders) {
    try {
      for (const entry of await readdir(join(root, folder), { withFileTypes: true }))
        if (!entry.isDirectory()) names.push(`${folder}${entry.name}`);
    } catch {
      // A folder that is missing or closed has had its files reported already.
    }
  }
  return names.toSorted();
}
