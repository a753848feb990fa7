/**
 * Signatures that somebody put into a folder by hand or fetched with other tools, in whatever form they lie there:
 *
 *   PATH@sha256=HEX/signature-1, …     a lookaside tree, as registries.d describes it
 *   sha256=HEX/signature-1, …          the form in which release signatures are published
 *   manifest.json, signature-1, …      a dir: image (HEX.signature-1, … for instances of a list)
 *   signature-1, …                     one folder for all that is judged: the digest in each signature says what it is for
 *
 * The first of these forms that is there counts. A file stands for itself: one signature.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type Digest,
  MAX_MANIFEST_BYTES,
  MAX_SIGNATURE_BYTES,
  type Reference,
  computeManifestDigest,
  digestAlgorithm,
  digestHex,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { MANIFEST_FILE } from "../transports/dir-layout.ts";
import { readDirSignatures } from "../transports/dir-signatures.ts";
import { readSignatureFolder } from "./signature-folder.ts";
import type { SignatureReading, StoreAttempt } from "./signature-store.ts";

/**
 * Reads the signatures of one manifest.
 * @param place the folder or file that was named; it must exist
 * @param reference of the image; undefined for images that have none, which no lookaside tree can hold
 * @param digest by which signatures of the manifest are filed
 * @throws StoreError `file-missing` when there is no such place, `file-unreadable`; FormatError `input-too-large`
 */
export async function readGivenSignatures(
  place: string,
  reference: Reference | undefined,
  digest: Digest,
): Promise<SignatureReading> {
  if ((await kindOf(place, { mustExist: true })) === "file") return readSingle(place);
  const folder = `${digestAlgorithm(digest)}=${digestHex(digest)}`;
  const filed = [...(reference === undefined ? [] : [join(place, `${reference.path}@${folder}`)]), join(place, folder)];
  const absent: StoreAttempt[] = [];
  for (const path of filed) {
    if ((await kindOf(path)) !== undefined) return after(absent, await readSignatureFolder(path, place));
    absent.push({ location: `${path}/signature-1`, outcome: "absent" });
  }
  if ((await kindOf(join(place, MANIFEST_FILE))) === undefined)
    return after(absent, await readSignatureFolder(place, place));
  const top = await readFileBounded(join(place, MANIFEST_FILE), MAX_MANIFEST_BYTES, "manifest", { regularOnly: true });
  const isTop = computeManifestDigest(top, nodeEngine) === digest;
  return after(absent, await readDirSignatures(place, isTop ? undefined : digest));
}

async function readSingle(path: string): Promise<SignatureReading> {
  const bytes = await readFileBounded(path, MAX_SIGNATURE_BYTES, "signature");
  return {
    store: path,
    signatures: [{ bytes, location: path }],
    attempts: [{ location: path, outcome: "found" }],
    warnings: [],
  };
}

function after(absent: readonly StoreAttempt[], reading: SignatureReading): SignatureReading {
  return { ...reading, attempts: [...absent, ...reading.attempts] };
}

async function kindOf(
  path: string,
  options: { readonly mustExist: boolean } = { mustExist: false },
): Promise<"folder" | "file" | undefined> {
  try {
    return (await stat(path)).isDirectory() ? "folder" : "file";
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && !options.mustExist) return undefined;
    throw fileError(error, path, "read", "the signatures");
  }
}
