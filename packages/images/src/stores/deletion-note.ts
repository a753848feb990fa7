/**
 * A note in a lookaside store that the deletion of an image has begun:
 *
 *   BASE "/" FOLDER-OF-PATH "/.signet-deletion-" first 16 digits of the digest "-" NAME      NAME: the last part of the repository, cut
 *
 * The manifest goes before its signatures do, and with the manifest the name: a process that dies in between leaves signatures of which nobody can tell what they
 * belonged to. The note is on disk before the manifest goes, and is removed after the signatures. One that is not whole was being written when the process died:
 * then nothing had been deleted.
 */
import { constants } from "node:fs";
import { open, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Digest, type Reference, SignetError, digestHex, tryParseDigest } from "@signet/core";
import { syncDirectory } from "../config/atomic-file.ts";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import type { DeletionNote } from "./signature-store.ts";

/** Bytes: ten thousand digests, more than a list has instances. */
const MAX_NOTE_BYTES: number = 1024 * 1024;

/** Notes read for one repository; each is a process that died. */
const MAX_NOTES = 1000;

/** Characters of the repository in a file name, so that a long one still makes a name. */
const NAME_LENGTH = 100;

const PREFIX = ".signet-deletion-";

/** @throws StoreError `file-unwritable`, `disk-full` */
export async function writeDeletionNote(folder: string, reference: Reference, note: DeletionNote): Promise<void> {
  const path = notePath(folder, reference, note.manifests[0]!);
  const content = { repository: reference.path, tag: note.tag ?? null, manifests: note.manifests };
  try {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
    const file = await open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o644);
    try {
      await file.writeFile(`${JSON.stringify(content)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    // Where there is no folder, there are no signatures to be orphaned.
    if (errnoOf(error) === "ENOENT") return;
    throw fileError(error, path, "write");
  }
  await syncDirectory(dirname(path));
}

/** @throws StoreError `file-unwritable` */
export async function removeDeletionNote(folder: string, reference: Reference, digest: Digest): Promise<void> {
  const path = notePath(folder, reference, digest);
  try {
    await rm(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return;
    throw fileError(error, path, "write");
  }
  await syncDirectory(dirname(path));
}

/**
 * The notes of a repository. What is no whole note is passed over.
 * @param parent the folder that holds the repository's signature folders
 * @throws StoreError `file-unreadable`
 */
export async function readDeletionNotes(parent: string, reference: Reference): Promise<readonly DeletionNote[]> {
  let names: readonly string[];
  try {
    names = await readdir(parent);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return [];
    throw fileError(error, parent, "read", "folder");
  }
  const notes: DeletionNote[] = [];
  for (const name of names.filter((one) => one.startsWith(PREFIX)).slice(0, MAX_NOTES)) {
    const note = await readNote(join(parent, name), reference);
    if (note !== undefined) notes.push(note);
  }
  return notes;
}

async function readNote(path: string, reference: Reference): Promise<DeletionNote | undefined> {
  let value: unknown;
  try {
    const bytes = await readFileBounded(path, MAX_NOTE_BYTES, "note of a deletion", { regularOnly: true });
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof SignetError || error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { repository, tag, manifests } = value as Readonly<Record<string, unknown>>;
  if (repository !== reference.path || !Array.isArray(manifests)) return undefined;
  const digests = manifests.map((one) => (typeof one === "string" ? tryParseDigest(one) : undefined));
  if (digests.length === 0 || !digests.every((one) => one !== undefined)) return undefined;
  return { tag: typeof tag === "string" ? tag : undefined, manifests: digests };
}

function notePath(folder: string, reference: Reference, digest: Digest): string {
  const name = basename(reference.path).slice(0, NAME_LENGTH);
  return join(dirname(folder), `${PREFIX}${digestHex(digest).slice(0, 16)}-${name}`);
}
