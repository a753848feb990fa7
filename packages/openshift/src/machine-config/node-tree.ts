/** Files of a node as a folder of this machine holds them: a mounted disk, an unpacked archive, or the machine itself. */
import type { Dirent, Stats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { SignetError, StoreError } from "@signet/core";
import { fileError, readFileBounded, resolveInRoot } from "@signet/images";
import { MAX_FILE_BYTES } from "./data-url.ts";
import { type ActualFile, type ActualFiles, foldersConcerned } from "./node-check.ts";
import type { UntrustedNodeFile } from "./node-file.ts";

/** Files in one folder. */
const MAX_LISTED = 10_000;

/**
 * Reads what is at the paths of `wanted` below `root`. Links on the way are followed as the node itself would, and never out of the folder. A file that cannot be
 * read, or is above 4 MiB, is `unknown` and keeps nothing from being said of the others.
 * @throws StoreError `file-missing` when there is no such folder, `file-unreadable` for a folder whose files all count
 */
export async function readNodeTree(
  root: string,
  wanted: readonly Pick<UntrustedNodeFile, "path">[],
): Promise<ActualFiles> {
  if ((await statIfThere(root)) === undefined)
    throw new StoreError("file-missing", `cannot read ${root}: no such file or directory`, { side: "local" });
  const found = new Map<string, ActualFile>();
  for (const { path } of wanted) {
    try {
      const file = await readAt(root, path);
      if (file !== undefined) found.set(path, file);
    } catch (error) {
      if (!(error instanceof SignetError)) throw error;
      found.set(path, { kind: "unknown", error });
    }
  }
  const lists = new Map<string, readonly string[]>();
  for (const folder of foldersConcerned(wanted)) lists.set(folder, await listAt(root, folder));
  return { find: (path) => found.get(path), list: (folder) => lists.get(folder) ?? [] };
}

async function readAt(root: string, path: string): Promise<ActualFile | undefined> {
  const at = path.lastIndexOf("/");
  const place = join(resolveInRoot(root, path.slice(0, at)), path.slice(at + 1));
  const stats = await statIfThere(place);
  if (stats === undefined) return undefined;
  if (!stats.isFile()) return { kind: "other", what: describe(stats) };
  const content = await readFileBounded(place, MAX_FILE_BYTES, "file", { regularOnly: true });
  return { kind: "file", content, mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid };
}

async function listAt(root: string, folder: string): Promise<readonly string[]> {
  const place = resolveInRoot(root, folder);
  if ((await statIfThere(place)) === undefined) return [];
  let entries: readonly Dirent[];
  try {
    entries = await readdir(place, { withFileTypes: true });
  } catch (error) {
    throw fileError(error, place, "read", "folder");
  }
  if (entries.length > MAX_LISTED)
    throw new StoreError("file-unreadable", `${place}: more than ${MAX_LISTED} files`, { side: "local" });
  return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    const failure = fileError(error, path, "read");
    if (failure.code === "file-missing") return undefined;
    throw failure;
  }
}

function describe(stats: Stats): string {
  if (stats.isSymbolicLink()) return "a link";
  return stats.isDirectory() ? "a folder" : "a device, pipe or socket";
}
