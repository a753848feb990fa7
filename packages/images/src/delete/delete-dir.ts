/** Deleting a `dir:` image: the files of its form, and the folder when nothing else is in it. */
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, MAX_MANIFEST_BYTES, StoreError, computeManifestDigest, parseManifest } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { syncDirectory } from "../config/atomic-file.ts";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import {
  MANIFEST_FILE,
  VERSION_FILE,
  isDirImageFile,
  parseDirVersion,
  signaturePosition,
} from "../transports/dir-layout.ts";
import type { ImageName } from "../transports/transport.ts";
import type { DeleteOptions, DeleteResult } from "./delete-options.ts";

/** Bytes: a version file is one short line. */
const MAX_VERSION_BYTES = 1024;

/**
 * Removes the image's own manifest first, so that the image is gone at once, then the rest, signatures from the highest number down, the version last: what a process
 * that dies half-way leaves is still known for what it is, and the next run removes it.
 * @throws StoreError `image-missing`, `destination-unsuitable` for a folder that holds something else, `file-unwritable`
 */
export async function deleteDirImage(name: ImageName, options: DeleteOptions): Promise<DeleteResult> {
  const path = name.path!;
  const files = await listFiles(path);
  const digest = await identify(path, files);
  const isKept = (file: string): boolean => options.keepSignatures === true && isSignature(file);
  const doomed = inOrder(files.filter((file) => isDirImageFile(file) && !isKept(file)));
  // Signatures without a version would make the folder unfit for any image.
  const goes = files.some(isKept) ? doomed.filter((file) => file !== VERSION_FILE) : doomed;
  if (options.dryRun !== true) {
    options.onBegin?.(digest);
    await removeFiles(path, goes, options.signal);
  }
  const signatures = files.filter(isSignature).length;
  const removed = options.keepSignatures === true ? 0 : signatures;
  return {
    image: name.text,
    digest,
    dryRun: options.dryRun === true,
    manifests: digest === undefined ? [] : [{ digest, outcome: "deleted" }],
    otherTags: [],
    signatures:
      digest === undefined || signatures === 0
        ? []
        : [
            {
              digest,
              store: name.text,
              removed: options.dryRun === true ? 0 : removed,
              left: options.dryRun === true ? signatures : signatures - removed,
            },
          ],
    removed: goes.map((file) => join(path, file)),
    warnings: [],
  };
}

async function listFiles(path: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    throw fileError(error, path, "read", "the image");
  }
}

/** Makes sure that the folder is what its name says. The digest is undefined where a deletion before this one took the manifest. */
async function identify(path: string, files: readonly string[]): Promise<Digest | undefined> {
  if (files.includes(MANIFEST_FILE)) {
    const bytes = await readFileBounded(join(path, MANIFEST_FILE), MAX_MANIFEST_BYTES, "manifest", {
      regularOnly: true,
    });
    parseManifest(bytes);
    return computeManifestDigest(bytes, nodeEngine);
  }
  if (files.includes(VERSION_FILE)) {
    const bytes = await readFileBounded(join(path, VERSION_FILE), MAX_VERSION_BYTES, "version file", {
      regularOnly: true,
    });
    if (parseDirVersion(new TextDecoder().decode(bytes)) !== undefined) return undefined;
  }
  throw new StoreError("image-missing", `${path} holds no dir: image`, { side: "destination", hint: "check the path" });
}

function isSignature(file: string): boolean {
  return signaturePosition(file) !== undefined;
}

function inOrder(files: readonly string[]): readonly string[] {
  const rank = (file: string): number =>
    file === MANIFEST_FILE ? 0 : file === VERSION_FILE ? 3 : isSignature(file) ? 2 : 1;
  const position = (file: string): number => signaturePosition(file)?.position ?? 0;
  return files.toSorted((a, b) => rank(a) - rank(b) || position(b) - position(a));
}

async function removeFiles(path: string, files: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  try {
    for (const file of files) {
      signal?.throwIfAborted();
      await rm(join(path, file), { force: true });
      if (file === MANIFEST_FILE) await syncDirectory(path);
    }
    await syncDirectory(path);
  } catch (error) {
    throw fileError(error, path, "write");
  }
  try {
    await rmdir(path);
  } catch (error) {
    // Whatever else lies there is not ours; nor may the folder's own place be.
    if (!["ENOTEMPTY", "EEXIST", "EACCES", "EPERM", "EBUSY", "EROFS"].includes(errnoOf(error) ?? ""))
      throw fileError(error, path, "write");
  }
}
