/** Several files changed as one: each is the old or the new one at every moment, in an order that the caller chooses. */
import type { Stats } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StoreError } from "@signet/core";
import { type StagedFile, leftoverOf, stageFile, syncDirectory } from "./atomic-file.ts";
import { errnoOf, fileError } from "./file-error.ts";
import { makeFolders } from "./folders.ts";

/** A file that is to be changed. */
export interface FileChange {
  /** What it is called in messages: the path that was named or searched. */
  readonly path: string;
  /** What is replaced: {@link path} without symbolic links. */
  readonly target: string;
  /** What stands at {@link target}; undefined when nothing does. */
  readonly stats: Stats | undefined;
  /** Its content; undefined when there is none. */
  readonly before: Uint8Array | undefined;
  /** The new content; undefined: the file is removed. */
  readonly after: Uint8Array | undefined;
  /** The file that the content was taken over from, when that is another one. */
  readonly copiedFrom?: { readonly path: string; readonly bytes: Uint8Array };
}

/** Where the old content of a changed file is kept. */
export function backupOf(path: string): string {
  return `${path}.bak`;
}

/**
 * Makes the changes in their order. First everything is written beside its place and flushed, the backups included; then backups, then files are renamed. So a full disk or a
 * missing right changes nothing, and after a crash the files up to some place of the order are new and the others old.
 *
 * Mode and owner of a replaced file are kept (its extended attributes are not); the folder of a new one is made. Call it with a lock on every folder it writes to: what a killed
 * process left under temporary names is swept away.
 * @throws StoreError `file-unwritable`, `disk-full`
 */
export async function changeFiles(changes: readonly FileChange[]): Promise<void> {
  await using staged = new StagedFiles();
  for (const change of changes) {
    await refuseOddFiles(change);
    await makeFolder(dirname(change.target));
    await sweep(change.target);
    const { stats, before, after } = change;
    const kept = stats === undefined ? {} : { mode: stats.mode & 0o777, owner: { uid: stats.uid, gid: stats.gid } };
    if (before !== undefined) staged.backups.push(await stageFile(backupOf(change.target), before, kept));
    staged.files.push(after === undefined ? removal(change) : await stageFile(change.target, after, kept));
  }
  for (const backup of staged.backups) await backup.commit();
  for (const file of staged.files) await file.commit();
}

class StagedFiles implements AsyncDisposable {
  readonly backups: StagedFile[] = [];
  readonly files: StagedFile[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of [...this.backups, ...this.files]) await file[Symbol.asyncDispose]();
  }
}

function removal({ path, target }: FileChange): StagedFile {
  return {
    async commit() {
      try {
        await rm(target, { force: true });
        await syncDirectory(dirname(target));
      } catch (error) {
        throw fileError(error, path, "write");
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Told before anything is written: what cannot be replaced by a file would stop the renames half-way. */
async function refuseOddFiles({ path, target, before }: FileChange): Promise<void> {
  await refuseOddFile(target, path);
  if (before !== undefined) await refuseOddFile(backupOf(target), backupOf(path));
}

async function refuseOddFile(target: string, path: string): Promise<void> {
  let stats: Stats;
  try {
    stats = await lstat(target);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw fileError(error, path, "write");
  }
  if (stats.isFile() || stats.isSymbolicLink()) return;
  throw new StoreError(
    "file-unwritable",
    `cannot write ${path}: it is ${stats.isDirectory() ? "a directory" : "not a regular file"}`,
    {
      side: "local",
      hint: "move it out of the way",
    },
  );
}

/** Makes a folder for configuration, with those above it, readable by all. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeFolders(path, 0o755);
  } catch (error) {
    throw fileError(error, path, "write", "the folder");
  }
}

async function sweep(target: string): Promise<void> {
  const folder = dirname(target);
  const isLeftover = [target, backupOf(target)].map((path) => leftoverOf(basename(path)));
  try {
    for (const name of await readdir(folder)) {
      if (isLeftover.some((matches) => matches(name))) await rm(join(folder, name), { force: true });
    }
  } catch (error) {
    // A folder that can be written and not read, or a leftover of somebody else: no reason not to go on.
    if (!["EACCES", "EPERM"].includes(errnoOf(error) ?? "")) throw fileError(error, folder, "read", "directory");
  }
}
