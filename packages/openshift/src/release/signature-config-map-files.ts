/** ConfigMaps of mirrored signatures as files. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "@signet/core";
import { fileError, makeFolders, readFileBounded, writeFileAtomic } from "@signet/images";
import {
  MAX_MANIFEST_FILE_BYTES,
  type UntrustedManifestObject,
  parseManifestObjects,
} from "../kubernetes/manifests.ts";
import {
  type MirroredSignatures,
  makeSignatureConfigMap,
  readSignatureConfigMaps,
  signatureConfigMapFile,
} from "./signature-config-map.ts";

/** Octal: as `oc adm release mirror` writes them. */
const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;

/**
 * Reads the signatures of a file, or of every `.json`, `.yaml` and `.yml` file of a folder (not of those below it).
 * @throws StoreError `file-missing`, `file-unreadable`; FormatError `manifest-file-malformed`, `signature-configmap-malformed`, `input-too-large`
 */
export async function loadSignatureConfigMaps(path: string): Promise<MirroredSignatures> {
  const objects: UntrustedManifestObject[] = [];
  for (const file of await listManifestFiles(path)) {
    const bytes = await readFileBounded(file, MAX_MANIFEST_FILE_BYTES, "file of manifests", { regularOnly: true });
    objects.push(...parseManifestObjects(bytes, file));
  }
  const { signatures, warnings } = readSignatureConfigMaps(objects);
  return {
    signatures,
    warnings: signatures.length > 0 ? warnings : [...warnings, `${path} holds no mirrored signature`],
  };
}

async function listManifestFiles(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = await readdir(path);
    return names
      .filter((name) => /\.(?:json|ya?ml)$/.test(name))
      .toSorted()
      .map((name) => join(path, name));
  } catch (error) {
    throw fileError(error, path, "read", "ConfigMaps");
  }
}

/**
 * Writes the ConfigMap of one release into a folder, which is made where it is missing, under the name that `oc adm release mirror` gives it. Signatures that the file has already stay.
 * @returns its path
 * @throws StoreError `file-unwritable`, `disk-full`; and as {@link loadSignatureConfigMaps} for a file that is there and cannot be read: it is not overwritten
 */
export async function writeSignatureConfigMap(
  folder: string,
  digest: Digest,
  signatures: readonly Uint8Array[],
): Promise<string> {
  const path = join(folder, signatureConfigMapFile(digest));
  const there = await readOwn(path, digest);
  const added = signatures.filter((bytes) => !there.some((known) => Buffer.compare(known, bytes) === 0));
  if (added.length === 0 && there.length > 0) return path;
  await makeFolder(folder);
  const text = `${JSON.stringify(makeSignatureConfigMap(digest, [...there, ...added]), undefined, 2)}\n`;
  await writeFileAtomic(path, new TextEncoder().encode(text), { mode: FILE_MODE });
  return path;
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await makeFolders(folder, FOLDER_MODE);
  } catch (error) {
    throw fileError(error, folder, "write", "folder");
  }
}

async function readOwn(path: string, digest: Digest): Promise<readonly Uint8Array[]> {
  try {
    await stat(path);
  } catch {
    return [];
  }
  const { signatures } = await loadSignatureConfigMaps(path);
  return signatures.filter((signature) => signature.digest === digest).map(({ bytes }) => bytes);
}
