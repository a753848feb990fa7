/** Folders and files in which an image is put together before it is moved to its place. */
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StoreError } from "@signet/core";
import { errnoOf, fileError } from "../config/file-error.ts";
import { isOwnedSuffix, isOwnerGone, ownedSuffix } from "./stage-owner.ts";

const STAGE_PREFIX = ".signet-stage-";

/** Milliseconds: a stage of whom nothing is known, untouched for so long, was left by a process that died; no single blob takes that long. */
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

/** A name for a stage in `parent`, which is cleared of what killed processes left there. */
export async function newStagePath(parent: string): Promise<string> {
  await removeAbandonedStages(parent);
  return join(parent, `${STAGE_PREFIX}${await ownedSuffix()}`);
}

/**
 * Makes an empty stage on the destination's file system: inside the folder when there is one, so that mount points and folders below unwritable ones work too,
 * else beside it, so that the whole stage can be renamed to it.
 * @throws StoreError `file-unwritable`, `disk-full`
 */
export async function makeStage(folder: DestinationFolder): Promise<string> {
  const parent = folder.entries === undefined ? dirname(folder.path) : folder.path;
  const stage = await newStagePath(parent);
  try {
    await mkdir(stage, { mode: 0o755 });
  } catch (error) {
    throw fileError(error, folder.path, "write");
  }
  return stage;
}

function isStageName(name: string): boolean {
  return name.startsWith(STAGE_PREFIX) && isOwnedSuffix(name.slice(STAGE_PREFIX.length));
}

/** Removes what killed processes left in `folder`: at once when it is known that they ended, else after a day. Failing to do so harms nothing and is not reported. */
async function removeAbandonedStages(folder: string): Promise<void> {
  const oldest = Date.now() - ABANDONED_AFTER_MS;
  for (const name of await listNames(folder)) {
    if (!isStageName(name)) continue;
    try {
      const path = join(folder, name);
      const isAbandoned = (await isOwnerGone(name.slice(STAGE_PREFIX.length))) || (await stat(path)).mtimeMs < oldest;
      if (isAbandoned) await rm(path, { recursive: true, force: true });
    } catch {
      // Another process may be removing the same one.
    }
  }
}

async function listNames(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch {
    // What cannot be listed may still be written to.
    return [];
  }
}
