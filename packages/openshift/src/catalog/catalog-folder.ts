/** A catalog or bundle that lies in files of this machine. */
import { createReadStream } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, join, relative, sep } from "node:path";
import { FormatError, StoreError } from "@signet/core";
import { fileError } from "@signet/images";
import { type CatalogDocuments, CatalogFiles } from "./catalog-files.ts";

/** Levels of folders below the one that was named. */
const MAX_FOLDER_DEPTH = 32;

/** Folders of one catalog, as often as links lead to them: links to links make thousands out of ten. */
const MAX_FOLDERS = 20_000;

/** Bytes read at a time. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Reads a file, or every file of a folder, as a streaming reader: no more than one document is in memory. Links are followed as long as they stay inside the folder.
 * @param path a file, a folder, or `-` for standard input
 * @throws StoreError `file-missing`, `file-unreadable`; FormatError `catalog-malformed`, `input-too-large`
 */
export async function readCatalogFolder(path: string): Promise<CatalogDocuments> {
  const files = new CatalogFiles();
  if (path === "-") {
    await files.add("standard input", readStream("standard input", { fd: 0, autoClose: false }));
    return files.finish();
  }
  let isFolder: boolean;
  let root: string;
  try {
    isFolder = (await stat(path)).isDirectory();
    root = await realpath(path);
  } catch (error) {
    throw fileError(error, path, "read", "catalog");
  }
  if (!isFolder) {
    await files.add(basename(path), readStream(path, {}));
    return files.finish();
  }
  await readFolder(root, { root, files, folders: 0 }, [root]);
  return files.finish();
}

interface Reading {
  readonly root: string;
  readonly files: CatalogFiles;
  folders: number;
}

/** @param path the folders that led here, without links */
async function readFolder(folder: string, reading: Reading, path: readonly string[]): Promise<void> {
  const { root, files } = reading;
  if (path.length > MAX_FOLDER_DEPTH)
    throw unreadable(folder, `folders are nested deeper than ${MAX_FOLDER_DEPTH} levels`);
  if (++reading.folders > MAX_FOLDERS)
    throw new FormatError("input-too-large", `the catalog ${root} has more than ${MAX_FOLDERS} folders`, {
      hint: "its links may lead to each other",
    });
  try {
    for (const name of (await readdir(folder)).sort()) {
      const place = join(folder, name);
      const target = await realpath(place);
      if (target !== root && !target.startsWith(`${root}${sep}`))
        throw unreadable(place, "it is a link that leads out of the catalog's folder");
      if (path.includes(target)) throw unreadable(place, "it is a link that leads back to a folder that it is in");
      const stats = await stat(target);
      if (stats.isDirectory()) await readFolder(place, reading, [...path, target]);
      // A pipe would make the reader wait for ever.
      else if (!stats.isFile()) throw unreadable(place, "it is neither a file nor a folder");
      else await files.add(relative(root, place).split(sep).join("/"), readStream(place, {}));
    }
  } catch (error) {
    throw fileError(error, folder, "read", "catalog");
  }
}

async function* readStream(
  path: string,
  options: { readonly fd?: number; readonly autoClose?: boolean },
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    // Each chunk has memory of its own, so that what is cut out of one is not overwritten.
    yield* createReadStream(path, { ...options, highWaterMark: CHUNK_BYTES }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw fileError(error, path, "read", "catalog");
  }
}

function unreadable(path: string, problem: string): StoreError {
  return new StoreError("file-unreadable", `cannot read catalog ${path}: ${problem}`, { side: "local" });
}
