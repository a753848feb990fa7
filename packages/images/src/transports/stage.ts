/** Folders in which an image is put together before it is moved to its place. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StoreError, encodeHex } from "@signet/core";
import { errnoOf, fileError } from "../config/file-error.ts";

const stageForm = /^\.signet-stage-[0-9a-f]{16}$/;

/** Milliseconds: a stage untouched for so long was left by a process that died; no single blob takes that long. */
const ABANDONED_AFTER_MS: number = 24 * 60 * 60 * 1000;

/** Where the destination folder stands before it is written to. */
export interface DestinationFolder {
  readonly path: string;
  /** Names in it, without stages; undefined when it does not exist yet. */
  readonly entries: ReadonlySet<string> | undefined;
}

/**
 * Looks at a destination folder, which may not exist.
 * @throws StoreError `destination-unsuitable` for anything but a folder, `file-unreadable`
 */
export async function lookAtFolder(path: string): Promise<DestinationFolder> {
  try {
    return { path, entries: new Set((await readdir(path)).filter((name) => !isStageName(name))) };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return { path, entries: undefined };
    if (errnoOf(error) === "ENOTDIR") {
      throw new StoreError("destination-unsuitable", `${path} is not a directory`, {
        cause: error,
        side: "destination",
        hint: "name a folder, or use oci-archive: for a file",
      });
    }
    throw fileError(error, path, "read", "the destination");
  }
}

/**
 * Makes an empty stage on the destination's file system: inside the folder when there is one, so that mount points and folders below unwritable ones work too,
 * else beside it, so that the whole stage can be renamed to it.
 * @throws StoreError `file-unwritable`, `disk-full`
 */
export async function makeStage(folder: DestinationFolder): Promise<string> {
  const parent = folder.entries === undefined ? dirname(folder.path) : folder.path;
  const stage = join(parent, `.signet-stage-${encodeHex(randomBytes(8))}`);
  try {
    await mkdir(stage, { mode: 0o755 });
  } catch (error) {
    throw fileError(error, folder.path, "write");
  }
  return stage;
}

function isStageName(name: string): boolean {
  return stageForm.test(name);
}

/** Removes what killed processes left in `folder`. Failing to do so harms nothing and is not reported. */
export async function removeAbandonedStages(folder: string): Promise<void> {
  const oldest = Date.now() - ABANDONED_AFTER_MS;
  for (const name of await readdir(folder)) {
    if (!isStageName(name)) continue;
    try {
      const path = join(folder, name);
      if ((await stat(path)).mtimeMs < oldest) await rm(path, { recursive: true, force: true });
    } catch {
      // Another process may be removing the same one.
    }
  }
}
