/** Replacing files so that a reader or a crash sees the old or the new content, never a part. */
import { randomBytes } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { type FileHandle, open, readlink, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { StoreError, encodeHex } from "@signet/core";
import { errnoOf, fileError } from "./file-error.ts";

/** Octal permission bits of a new file when the caller names none: readable by all, as other container tools write their files. */
const DEFAULT_FILE_MODE = 0o644;

/** Symbolic links followed to a file that does not exist yet; what Linux allows in one path. */
const MAX_LINKS = 40;

export interface AtomicWriteOptions {
  /** Octal permission bits. Default: those of the file that is replaced, else 0644. Set exactly, whatever the umask. */
  readonly mode?: number;
}

/** Whose a file is; only the superuser can give files away. */
export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Replaces `path` by `bytes` in one step: a temporary file in the same directory is written, flushed to disk and renamed. After a failure or a crash the
 * old content is whole; a failure also removes the temporary file. A symbolic link is kept and its target replaced. A pipe or device, such as
 * `/dev/stdout`, is written to directly.
 *
 * Not checked: whether somebody else replaces the file at the same time; the last rename wins.
 * @throws StoreError `file-unwritable`, `disk-full`
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array,
  options: AtomicWriteOptions = {},
): Promise<void> {
  try {
    const existing = await statIfThere(path);
    if (existing?.isDirectory() === true) throw unwritable(path, "it is a directory", "name a file");
    if (isStream(path, existing)) {
      await writeStream(path, bytes);
      return;
    }
    const target = await followLinks(path);
    await using staged = await stageFile(target, bytes, {
      mode: options.mode ?? permissionBits(existing) ?? DEFAULT_FILE_MODE,
    });
    await staged.commit();
  } catch (error) {
    throw fileError(error, path, "write");
  }
}

/** A file whose content is on disk under a temporary name. Disposing it before it is committed removes it. */
export interface StagedFile extends AsyncDisposable {
  /** Puts it in its place, whatever stands there, and makes that last. */
  commit(): Promise<void>;
}

/**
 * Writes and flushes `bytes` beside `target`, so that all that can fail for want of space or rights has happened before the first of several files is replaced.
 * @param target taken literally: a symbolic link there would be replaced itself
 * @param options the mode is set exactly; where the owner cannot be kept, the file is the caller's
 * @throws StoreError `file-unwritable`, `disk-full`
 */
export async function stageFile(
  target: string,
  bytes: Uint8Array,
  options: { readonly mode?: number; readonly owner?: FileOwner },
): Promise<StagedFile> {
  const directory = dirname(target);
  const temporary = join(directory, temporaryName(basename(target)));
  try {
    // Exclusive creation: never follows a link that somebody planted under the temporary name.
    const handle = await open(temporary, "wx", 0o600);
    try {
      try {
        await handle.writeFile(bytes);
        if (options.owner !== undefined) await keepOwner(handle, options.owner);
        await handle.chmod(options.mode ?? DEFAULT_FILE_MODE);
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  } catch (error) {
    throw fileError(error, target, "write");
  }
  return {
    async commit() {
      try {
        await rename(temporary, target);
        await syncDirectory(directory);
      } catch (error) {
        throw fileError(error, target, "write");
      }
    },
    [Symbol.asyncDispose]: () => rm(temporary, { force: true }),
  };
}

async function keepOwner(handle: FileHandle, { uid, gid }: FileOwner): Promise<void> {
  const stats = await handle.stat();
  if (stats.uid === uid && stats.gid === gid) return;
  try {
    await handle.chown(uid, gid);
  } catch (error) {
    if (errnoOf(error) !== "EPERM") throw error;
  }
}

/** Characters: longest part of the final name kept in a temporary one, so that long names stay below the file system's limit. */
const NAME_PART_LENGTH = 100;

/** A random, hidden name for a temporary file or folder beside `name`. */
export function temporaryName(name: string): string {
  return `.${name.slice(0, NAME_PART_LENGTH)}.signet-${encodeHex(randomBytes(8))}`;
}

/** Tells the names that {@link temporaryName} makes for `name`: of no use to anybody once the process that made them is gone. */
export function leftoverOf(name: string): (candidate: string) => boolean {
  const start = `.${name.slice(0, NAME_PART_LENGTH)}.signet-`;
  return (candidate) => candidate.startsWith(start) && /^[0-9a-f]{16}$/.test(candidate.slice(start.length));
}

/** Flushes a directory, so that a rename in it survives a power cut. File systems that cannot do that are left alone. */
export async function syncDirectory(directory: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(directory, constants.O_RDONLY);
  } catch {
    // A directory that can be written but not read cannot be flushed; the rename itself has been done.
    return;
  }
  try {
    await handle.sync();
  } catch (error) {
    if (!["EINVAL", "ENOTSUP", "EPERM", "EISDIR", "EROFS"].includes(errnoOf(error) ?? "")) throw error;
  } finally {
    await handle.close();
  }
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The path that has to be replaced: links resolved, also those whose target does not exist yet. */
async function followLinks(path: string): Promise<string> {
  let current = resolve(path);
  for (let links = 0; links < MAX_LINKS; links++) {
    current = join(await realpath(dirname(current)), basename(current));
    let target: string;
    try {
      target = await readlink(current);
    } catch (error) {
      if (errnoOf(error) === "EINVAL" || errnoOf(error) === "ENOENT") return current;
      throw error;
    }
    current = resolve(dirname(current), target);
  }
  throw unwritable(path, "too many levels of symbolic links");
}

/** Standard output redirected to a file must be appended to by its descriptor, not replaced behind the shell's back. */
function isStream(path: string, stats: Stats | undefined): boolean {
  if (stats === undefined) return false;
  return !stats.isFile() || /^\/(?:dev\/(?:stdout|stderr|fd\/\d+)|proc\/self\/fd\/\d+)$/.test(resolve(path));
}

async function writeStream(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, constants.O_WRONLY | constants.O_APPEND);
  try {
    await handle.writeFile(bytes);
  } finally {
    await handle.close();
  }
}

function permissionBits(stats: Stats | undefined): number | undefined {
  return stats === undefined ? undefined : stats.mode & 0o777;
}

function unwritable(path: string, reason: string, hint?: string): StoreError {
  return new StoreError("file-unwritable", `cannot write ${path}: ${reason}`, {
    side: "local",
    ...(hint === undefined ? {} : { hint }),
  });
}
