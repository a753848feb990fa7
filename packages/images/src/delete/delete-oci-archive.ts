/** Deleting an `oci-archive:` image: the whole file, if nothing else is in it. */
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { FormatError, StoreError } from "@signet/core";
import { syncDirectory } from "../config/atomic-file.ts";
import { fileError } from "../config/file-error.ts";
import { collectChunks } from "../transports/blob-check.ts";
import { openRegularFile, readRange } from "../transports/file-chunks.ts";
import { INDEX_FILE, type IndexEntry, MAX_INDEX_BYTES, parseOciIndex, selectEntry } from "../transports/oci-index.ts";
import { indexTar } from "../transports/tar-index.ts";
import type { ImageName } from "../transports/transport.ts";
import type { DeleteOptions, DeleteResult } from "./delete-options.ts";

/** @throws StoreError `image-missing`, `destination-unsuitable` when other images are in the archive, `file-unwritable`; FormatError for a malformed archive */
export async function deleteArchive(name: ImageName, options: DeleteOptions): Promise<DeleteResult> {
  const path = name.path!;
  const entries = await readIndex(path);
  const { digest } = selectEntry(entries, name);
  const others = entries.filter((entry) => entry.digest !== digest);
  if (others.length > 0) {
    const copies = others.map(({ refName }, position) => refName ?? `@${position}`).slice(0, 5);
    throw new StoreError(
      "destination-unsuitable",
      `${path} holds other images as well (${copies.join(", ")}); an archive is not written anew to take one out`,
      { side: "destination", hint: "copy the others to an oci: layout, and remove the archive" },
    );
  }
  if (options.dryRun !== true) {
    options.onBegin?.(digest);
    try {
      await rm(path);
      await syncDirectory(dirname(path));
    } catch (error) {
      throw fileError(error, path, "write");
    }
  }
  return {
    image: name.text,
    digest,
    dryRun: options.dryRun === true,
    manifests: [{ digest, outcome: "deleted" }],
    otherTags: [],
    signatures: [],
    removed: [path],
    warnings: [],
  };
}

async function readIndex(path: string): Promise<readonly IndexEntry[]> {
  const { handle, size } = await openRegularFile(path, "the archive");
  try {
    const entry = (await indexTar(handle, size, path)).get(INDEX_FILE);
    const location = `${path}: ${INDEX_FILE}`;
    if (entry === undefined)
      throw new FormatError("image-malformed", `${path} is not an OCI image layout: it has no ${INDEX_FILE}`);
    const bytes = await collectChunks(readRange(handle, entry.offset, entry.size), MAX_INDEX_BYTES, location);
    return parseOciIndex(bytes, location);
  } catch (error) {
    throw fileError(error, path, "read", "the archive");
  } finally {
    await handle.close();
  }
}
