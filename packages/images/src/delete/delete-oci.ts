/** Deleting an image of an OCI layout: its entry in the index, and the blobs that no other image needs. */
import { readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Digest, SignetError, tryParseDigest } from "@signet/core";
import { leftoverOf, syncDirectory, writeFileAtomic } from "../config/atomic-file.ts";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { withFileLock } from "../config/file-lock.ts";
import {
  INDEX_FILE,
  INDEX_LOCK_FILE,
  type IndexEntry,
  LAYOUT_FILE,
  MAX_INDEX_BYTES,
  MAX_LAYOUT_BYTES,
  checkLayoutFile,
  parseOciIndex,
  removeEntries,
  selectEntry,
} from "../transports/oci-index.ts";
import { blobName } from "../transports/oci-source.ts";
import type { ImageName } from "../transports/transport.ts";
import type { DeleteOptions, DeleteResult } from "./delete-options.ts";
import { findReachable } from "./layout-reach.ts";

/**
 * Takes the image out of the index in one step, then removes blobs that only it needed. Blobs that nothing in the index ever named stay: somebody may be about to name
 * them. If one of the other images cannot be read, no blob is removed.
 *
 * Which blobs are about to go is noted in the layout before the index changes: what a process left that died in between, the next deletion from the layout removes. If it
 * is of the same image, that is all it does.
 *
 * Not checked: whether another process is copying into the layout and counts on a blob that it found there. Do not delete from a layout that is being written to.
 * @throws StoreError `image-missing`, `file-missing`, `file-unwritable`, `store-busy`; FormatError for a malformed layout
 */
export async function deleteOciImage(name: ImageName, options: DeleteOptions): Promise<DeleteResult> {
  const path = name.path!;
  await checkLayout(path);
  const work = (): Promise<DeleteResult> => deleteFromIndex(name, path, options);
  return options.dryRun === true
    ? work()
    : withFileLock(join(path, INDEX_LOCK_FILE), async () => {
        await sweep(path);
        return work();
      });
}

/** Whoever holds the lock is the only one to write index and note: what is half-written belongs to a process that died. */
async function sweep(path: string): Promise<void> {
  const leftovers = [INDEX_FILE, NOTE_FILE].map(leftoverOf);
  try {
    for (const file of await readdir(path))
      if (leftovers.some((isLeftover) => isLeftover(file))) await rm(join(path, file), { force: true });
  } catch (error) {
    throw fileError(error, path, "write");
  }
}

async function checkLayout(path: string): Promise<void> {
  try {
    await stat(path);
  } catch (error) {
    throw fileError(error, path, "read", "the image layout");
  }
  const location = join(path, LAYOUT_FILE);
  checkLayoutFile(await readFileBounded(location, MAX_LAYOUT_BYTES, "layout file", { regularOnly: true }), location);
}

async function deleteFromIndex(name: ImageName, path: string, options: DeleteOptions): Promise<DeleteResult> {
  const location = join(path, INDEX_FILE);
  const bytes = await readFileBounded(location, MAX_INDEX_BYTES, "image index", { regularOnly: true });
  const entries = parseOciIndex(bytes, location);
  const unfinished = await readDeletionNote(path);
  if (unfinished !== undefined && options.dryRun !== true) {
    const result = await finishDeletion(name, path, entries, unfinished, options);
    if (result !== undefined) return result;
  }
  const chosen = selectEntry(entries, name);
  const goes = (entry: (typeof entries)[number]): boolean =>
    entry === chosen || (name.imageName !== undefined && entry.refName === name.imageName);
  const others = entries.filter((entry) => !goes(entry));
  const kept = await findReachable(
    path,
    others.map(({ digest }) => digest),
  );
  const own = await findReachable(path, [chosen.digest]);
  const warnings = kept.unreadable.map(
    (problem) => `no blob was removed, as it cannot be told what other images need: ${problem}`,
  );
  const doomed = warnings.length > 0 ? [] : [...own.digests].filter((digest) => !kept.digests.has(digest));
  if (options.dryRun !== true) {
    options.onBegin?.(chosen.digest);
    await writeDeletionNote(path, { name: name.imageName ?? null, blobs: [chosen.digest, ...doomed] });
    await writeFileAtomic(
      location,
      removeEntries(bytes, (_, position) => goes(entries[position]!), location),
    );
    await removeBlobs(path, doomed);
    await removeNote(path);
  }
  return {
    image: name.text,
    digest: chosen.digest,
    dryRun: options.dryRun === true,
    manifests: [{ digest: chosen.digest, outcome: "deleted" }],
    otherTags: [],
    signatures: [],
    removed: doomed.map((digest) => join(path, blobName(digest))),
    warnings: warnings.slice(0, 1),
  };
}

/** What a deletion was about that perhaps did not come to its end. */
interface DeletionNote {
  /** That the image was deleted by; null for one without a name. */
  readonly name: string | null;
  /** The image's manifest, then the blobs that were to go. */
  readonly blobs: readonly Digest[];
}

/** Beside the index. */
const NOTE_FILE = ".signet-deletion";

/** Bytes: 200,000 digests. */
const MAX_NOTE_BYTES: number = 16 * 1024 * 1024;

async function writeDeletionNote(path: string, note: DeletionNote): Promise<void> {
  await writeFileAtomic(join(path, NOTE_FILE), new TextEncoder().encode(`${JSON.stringify(note)}\n`));
}

/** Undefined where there is none, or none that can be read: then blobs stay, which harms nobody. */
async function readDeletionNote(path: string): Promise<DeletionNote | undefined> {
  try {
    const bytes = await readFileBounded(join(path, NOTE_FILE), MAX_NOTE_BYTES, "note", { regularOnly: true });
    const { name, blobs } = JSON.parse(new TextDecoder().decode(bytes)) as Readonly<Record<string, unknown>>;
    if (!Array.isArray(blobs)) return undefined;
    const digests = blobs.map((one) => (typeof one === "string" ? tryParseDigest(one) : undefined));
    return { name: typeof name === "string" ? name : null, blobs: digests.filter((one) => one !== undefined) };
  } catch (error) {
    if (error instanceof SignetError || error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** @returns undefined when the image that is to be deleted now is another one, or is in the index */
async function finishDeletion(
  name: ImageName,
  path: string,
  entries: readonly IndexEntry[],
  { name: named, blobs }: DeletionNote,
  options: DeleteOptions,
): Promise<DeleteResult | undefined> {
  const kept = await findReachable(
    path,
    entries.map(({ digest }) => digest),
  );
  const [digest] = blobs;
  const isSame =
    name.imagePosition === undefined &&
    (name.imageName ?? null) === named &&
    digest !== undefined &&
    !entries.some((entry) => (named === null ? entry.digest === digest : entry.refName === named));
  const doomed = kept.unreadable.length > 0 ? [] : blobs.filter((blob) => !kept.digests.has(blob));
  if (isSame) options.onBegin?.(digest);
  await removeBlobs(path, doomed);
  await removeNote(path);
  if (!isSame) return undefined;
  return {
    image: name.text,
    digest,
    dryRun: false,
    manifests: [{ digest, outcome: "gone" }],
    otherTags: [],
    signatures: [],
    removed: doomed.map((one) => join(path, blobName(one))),
    warnings: [],
  };
}

async function removeNote(path: string): Promise<void> {
  try {
    await rm(join(path, NOTE_FILE), { force: true });
  } catch (error) {
    throw fileError(error, path, "write");
  }
  await syncDirectory(path);
}

async function removeBlobs(path: string, digests: readonly Digest[]): Promise<void> {
  const folders = new Set<string>();
  for (const digest of digests) {
    const file = join(path, blobName(digest));
    try {
      await rm(file, { force: true });
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw fileError(error, file, "write");
    }
    folders.add(dirname(file));
  }
  for (const folder of folders) await syncDirectory(folder);
}
