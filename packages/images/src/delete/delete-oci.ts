/** Deleting an image of an OCI layout: its entry in the index, and the blobs that no other image needs. */
import { rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Digest } from "@signet/core";
import { syncDirectory, writeFileAtomic } from "../config/atomic-file.ts";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { withFileLock } from "../config/file-lock.ts";
import {
  INDEX_FILE,
  INDEX_LOCK_FILE,
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
 * Not checked: whether another process is copying into the layout and counts on a blob that it found there. Do not delete from a layout that is being written to.
 * @throws StoreError `image-missing`, `file-missing`, `file-unwritable`, `store-busy`; FormatError for a malformed layout
 */
export async function deleteOciImage(name: ImageName, options: DeleteOptions): Promise<DeleteResult> {
  const path = name.path!;
  await checkLayout(path);
  const work = (): Promise<DeleteResult> => deleteFromIndex(name, path, options);
  return options.dryRun === true ? work() : withFileLock(join(path, INDEX_LOCK_FILE), work);
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
    await writeFileAtomic(
      location,
      removeEntries(bytes, (_, position) => goes(entries[position]!), location),
    );
    await removeBlobs(path, doomed);
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
