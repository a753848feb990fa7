/**
 * A folder that holds the signatures of one manifest:
 *
 *   signature-1, signature-2, …       what readers see: up to the first number that is missing
 *   .signet.lock                      held while somebody writes
 *   ..signet.lock.signet-HEX          somebody waiting for it
 *   .signature-N.signet-HEX           half-written; swept away by the next writer
 *
 * At every moment of a change, also when it is cut short, what readers see is a row without a gap in which each file is whole.
 */
import { statSync } from "node:fs";
import { link, mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MAX_SIGNATURES_PER_MANIFEST, MAX_SIGNATURE_BYTES, StoreError, equalBytes } from "@signet/core";
import { syncDirectory, temporaryName, writeFileAtomic } from "../config/atomic-file.ts";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { writeNewFile } from "../transports/file-chunks.ts";
import { removeAbandonedParts, withFileLock } from "../config/file-lock.ts";
import { type Look, type RowRules, readUpToGap } from "./read-ahead.ts";
import type { SignatureReading } from "./signature-store.ts";

/** Octal: a store is read by web servers and by other users. */
const FILE_MODE = 0o644;

/** Octal, minus the umask. */
const FOLDER_MODE = 0o755;

const LOCK_FILE = ".signet.lock";
const temporaryForm = /^\.signature-[0-9]+\.signet-[0-9a-f]{16}$/;

/** Times that a folder which vanished is made anew; each takes another process that removes its signatures at that moment. */
const MAX_FOLDER_RETRIES = 5;

/**
 * Reads the signatures of a folder; none when the folder does not exist.
 * @param store for people
 * @throws StoreError `file-unreadable` for what exists and cannot be read (no permission, a directory, a loop of links, a pipe), `signature-store-error`;
 *   FormatError `input-too-large`
 */
export function readSignatureFolder(folder: string, store: string, rules: RowRules = {}): Promise<SignatureReading> {
  const location = (position: number): string => signaturePath(folder, position);
  return readUpToGap({
    store,
    rules,
    location,
    look: async (position) => {
      const path = location(position);
      // Behind a signature that was found mostly stands nothing. The folder has just been read from and is at hand: asking it on the spot takes a tenth of the time
      // of opening in vain, which goes through the thread pool and makes errors with stacks.
      return position > 1 && isAbsent(path) ? absent : await lookAtFile(path, rules.maxBytes);
    },
    window: 1,
  });
}

const absent: Look = { outcome: "absent" };

/** True when there is no such file. Whatever else is the matter shows when it is opened. */
function isAbsent(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

async function lookAtFile(path: string, maxBytes: number = MAX_SIGNATURE_BYTES): Promise<Look> {
  try {
    return {
      outcome: "found",
      bytes: await readFileBounded(path, maxBytes, "signature", { regularOnly: true }),
    };
  } catch (error) {
    // Only "no such file" ends the row. A folder that is a file, say, is a broken store and not an empty one.
    if (error instanceof StoreError && errnoOf(error.cause) === "ENOENT") return absent;
    throw error;
  }
}

/**
 * Makes `blobs` the signatures of a folder. New ones are written first, each in one step, then what is too many is removed from the end backwards.
 * @throws StoreError `file-unwritable`, `disk-full`, `store-busy`, `signature-store-unwritable`
 */
export async function replaceSignatures(folder: string, blobs: readonly Uint8Array[]): Promise<void> {
  if (blobs.length > MAX_SIGNATURES_PER_MANIFEST)
    throw unwritable(
      folder,
      `${blobs.length} signatures for one manifest; readers take ${MAX_SIGNATURES_PER_MANIFEST}`,
    );
  for (const blob of blobs) checkBlob(folder, blob);
  if (blobs.length === 0) {
    await removeSignatures(folder);
    return;
  }
  await changeFolder(folder, async () => {
    for (const [index, blob] of blobs.entries())
      await writeFileAtomic(signaturePath(folder, index + 1), blob, { mode: FILE_MODE });
    await removeFrom(folder, blobs.length + 1);
  });
}

/**
 * Adds one signature under the first free number, unless an equal one is there.
 * @returns where it lies
 * @throws as {@link readSignatureFolder} and {@link replaceSignatures}
 */
export async function addSignature(folder: string, blob: Uint8Array): Promise<string> {
  checkBlob(folder, blob);
  return changeFolder(folder, async () => {
    const { signatures } = await readSignatureFolder(folder, folder);
    const equal = signatures.find(({ bytes }) => equalBytes(bytes, blob));
    if (equal !== undefined) return equal.location;
    return linkAtFirstFree(folder, blob, signatures.length + 1);
  });
}

async function linkAtFirstFree(folder: string, blob: Uint8Array, first: number): Promise<string> {
  const temporary = join(folder, temporaryName(`signature-${first}`));
  try {
    await writeNewFile(temporary, [blob]);
    for (let position = first; position <= MAX_SIGNATURES_PER_MANIFEST; position++) {
      const path = signaturePath(folder, position);
      try {
        // A hard link never replaces: tools that know nothing of the lock write here as well.
        await link(temporary, path);
      } catch (error) {
        if (errnoOf(error) === "EEXIST") continue;
        throw fileError(error, path, "write");
      }
      await syncDirectory(folder);
      return path;
    }
  } finally {
    await rm(temporary, { force: true });
  }
  throw unwritable(folder, `there are ${MAX_SIGNATURES_PER_MANIFEST} signatures for this manifest already`);
}

/**
 * Removes what writers that were killed left in a folder, if there is anything; its signatures stay.
 * @throws StoreError `file-unwritable`, `store-busy`
 */
export async function tidySignatures(folder: string): Promise<void> {
  const names = await listFolder(folder);
  if (names.some((name) => name.startsWith("."))) await changeFolder(folder, async () => {});
}

/**
 * Removes all signatures of a folder, from the end backwards, and then the folder if nothing else is in it.
 * @throws StoreError `file-unwritable`, `store-busy`
 */
export async function removeSignatures(folder: string): Promise<void> {
  if ((await listFolder(folder)).length > 0) await changeFolder(folder, () => removeFrom(folder, 1));
  try {
    await rmdir(folder);
  } catch {
    // Somebody else's files, or somebody writing at this moment; an empty folder says the same as none.
  }
}

async function changeFolder<T>(folder: string, change: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures++) {
    await makeFolder(folder);
    try {
      return await withFileLock(join(folder, LOCK_FILE), async () => {
        await sweep(folder);
        return change();
      });
    } catch (error) {
      // Whoever removes signatures removes the empty folder, perhaps just before the lock was laid into it.
      if (!(error instanceof StoreError) || errnoOf(error.cause) !== "ENOENT" || failures >= MAX_FOLDER_RETRIES)
        throw error;
    }
  }
}

/** With the folders above it. (The platform's recursive form never ends where a file system refuses new folders with ENOENT, as /proc does.) */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: FOLDER_MODE });
    return;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return;
    const parent = dirname(folder);
    if (errnoOf(error) !== "ENOENT" || parent === folder)
      throw fileError(error, folder, "write", "the signature folder");
    await makeFolder(parent);
  }
  try {
    await mkdir(folder, { mode: FOLDER_MODE });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw fileError(error, folder, "write", "the signature folder");
  }
}

/**
 * Whoever holds the lock is the only writer, so half-written signatures that are there belong to one that died. Somebody may be waiting with his part of the
 * lock in hand; that he does not is certain when his process has ended, or after an hour.
 */
async function sweep(folder: string): Promise<void> {
  for (const name of await listFolder(folder)) if (temporaryForm.test(name)) await removeFile(join(folder, name));
  await removeAbandonedParts(join(folder, LOCK_FILE));
}

async function removeFrom(folder: string, first: number): Promise<void> {
  const positions = (await listFolder(folder))
    .map((name) => Number(/^signature-([1-9][0-9]{0,8})$/.exec(name)?.[1] ?? 0))
    .filter((position) => position >= first)
    .sort((a, b) => b - a);
  for (const position of positions) await removeFile(signaturePath(folder, position));
  if (positions.length > 0) await syncDirectory(folder);
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw fileError(error, folder, "read", "the signature folder");
  }
}

async function removeFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw fileError(error, path, "write");
  }
}

function signaturePath(folder: string, position: number): string {
  return `${folder}/signature-${position}`;
}

function checkBlob(folder: string, blob: Uint8Array): void {
  if (blob.length === 0) throw unwritable(folder, "an empty signature");
  if (blob.length > MAX_SIGNATURE_BYTES)
    throw unwritable(folder, `a signature of ${blob.length} bytes; readers take ${MAX_SIGNATURE_BYTES}`);
}

function unwritable(folder: string, problem: string): StoreError {
  return new StoreError("signature-store-unwritable", `cannot write to ${folder}: ${problem}`, { side: "destination" });
}
