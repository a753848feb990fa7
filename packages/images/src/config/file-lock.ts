/** A lock between processes, held by a file: for the moments in which a shared document is read, changed and replaced. */
import { link, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { StoreError } from "@signet/core";
import { leftoverOf, temporaryName } from "./atomic-file.ts";
import { errnoOf, fileError } from "./file-error.ts";
import { basename, dirname, join } from "node:path";

/** Milliseconds: how long to wait for another writer. Locks are held for one small file's read and write. */
const LOCK_WAIT_MS: number = 30_000;

/** Milliseconds between two tries, at most; spread at random, so that waiters do not move in step. */
const LOCK_RETRY_MS: number = 50;

export interface LockOptions {
  /** Milliseconds to wait for another holder. Default 30,000. */
  readonly waitMs?: number;
  /** What the lock guards, named in place of the lock when that cannot be made. Default the lock itself. */
  readonly guards?: string;
}

/**
 * Runs `action` while no other process (or call) that locks the same path does. A lock left by a process of this machine that died is broken.
 *
 * Not checked: processes that do not use the lock, and whether a holder on another machine still lives.
 * @throws StoreError `store-busy` when the lock is not freed in time; `file-unwritable`, `disk-full`; what `action` throws
 */
export async function withFileLock<T>(path: string, action: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const token = await acquire(path, options.waitMs ?? LOCK_WAIT_MS, options.guards ?? path);
  try {
    return await action();
  } finally {
    if ((await readHolder(path)) === token) await rm(path, { force: true });
  }
}

async function acquire(path: string, waitMs: number, guards: string): Promise<string> {
  const own = join(dirname(path), temporaryName(basename(path)));
  const token = `${process.pid} ${await processStart(process.pid)} ${hostname()} ${basename(own)}\n`;
  await writePart(own, token, guards);
  const deadline = performance.now() + waitMs;
  try {
    for (;;) {
      try {
        // A hard link appears with its content or not at all, and never replaces.
        await link(own, path);
        return token;
      } catch (error) {
        const errno = errnoOf(error);
        // The holder took our part for that of a process which was killed before it wrote its name into it.
        if (errno === "ENOENT" && performance.now() < deadline) await writePart(own, token, guards);
        else if (errno !== "EEXIST") throw fileError(error, guards, "write");
      }
      const holder = await readHolder(path);
      if (holder === undefined) continue;
      if (await isDead(holder)) await breakLock(path, holder);
      else if (performance.now() >= deadline) throw busy(path, holder);
      else await sleep(1 + Math.random() * LOCK_RETRY_MS);
    }
  } finally {
    await rm(own, { force: true });
  }
}

async function writePart(own: string, token: string, guards: string): Promise<void> {
  try {
    await writeFile(own, token, { flag: "wx" });
  } catch (error) {
    // A full disk may take the name and not the content.
    if (errnoOf(error) !== "EEXIST") await rm(own, { force: true }).catch(() => {});
    throw fileError(error, guards, "write");
  }
}

function busy(path: string, holder: string): StoreError {
  const [pid = "?", , host = "?"] = holder.split(" ");
  return new StoreError("store-busy", `${path} is held by process ${pid} on ${host}`, {
    side: "destination",
    retryable: true,
    hint: "wait for that process, or remove the file if it no longer runs",
  });
}

async function readHolder(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw fileError(error, path, "read", "lock file");
  }
}

/** Milliseconds: far longer than anybody waits for a lock. */
const PART_AGE_MS = 60 * 60 * 1000;

/** Milliseconds between the making of a part and the writing of its content: a thousand times what that takes. Who is slower makes the part again. */
const EMPTY_PART_MS = 50;

/**
 * Removes what processes that were killed while they waited for a lock left beside it: at once when it is known that they ended or
 * when nothing is written into it, else after an hour. Called by the holder.
 * @param path of the lock
 */
export async function removeAbandonedParts(path: string): Promise<void> {
  const [folder, start] = [dirname(path), `.${basename(path)}.signet-`];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(start)) continue;
    const part = join(folder, name);
    try {
      const content = (await readFile(part, "utf8")) || (await readLater(part));
      const isAbandoned = content === "" || (await stat(part)).mtimeMs < Date.now() - PART_AGE_MS;
      if (isAbandoned || (await isDead(content))) await rm(part, { force: true });
    } catch {
      // Somebody stopped waiting.
    }
  }
}

async function readLater(part: string): Promise<string> {
  await sleep(EMPTY_PART_MS);
  return readFile(part, "utf8");
}

/** Only of processes on this machine can it be told. */
async function isDead(holder: string): Promise<boolean> {
  const match = /^([0-9]{1,10}) (\S+) (\S+) \S+\n$/.exec(holder);
  if (match === null || match[3] !== hostname()) return false;
  const pid = Number(match[1]);
  try {
    process.kill(pid, 0);
  } catch (error) {
    return errnoOf(error) === "ESRCH";
  }
  // The number may have been given to another process since.
  const start = await processStart(pid);
  return start !== "-" && match[2] !== "-" && start !== match[2];
}

/** When a process was started, in the kernel's ticks; `-` where that cannot be known. */
export async function processStart(pid: number): Promise<string> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything; the start time is the twentieth field after it.
    return line.slice(line.lastIndexOf(")") + 2).split(" ")[19] ?? "-";
  } catch {
    return "-";
  }
}

/** Moves the dead lock aside, and puts it back if it turns out to be somebody else's: two waiters may find the same corpse. */
async function breakLock(path: string, corpse: string): Promise<void> {
  const aside = join(dirname(path), temporaryName(basename(path)));
  try {
    await rename(path, aside);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw fileError(error, path, "write");
  }
  try {
    if ((await readHolder(aside)) !== corpse) await link(aside, path);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw fileError(error, path, "write");
  } finally {
    await rm(aside, { force: true });
  }
  // Its holder died before it could take the other name of the lock away.
  const other = corpse.trimEnd().split(" ").at(-1)!;
  if (leftoverOf(basename(path))(other)) await rm(join(dirname(path), other), { force: true });
}
