/** Signatures that lie beside a `dir:` image. */
import { link, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, MAX_SIGNATURES_PER_MANIFEST, MAX_SIGNATURE_BYTES, StoreError, equalBytes } from "@signet/core";
import { syncDirectory, temporaryName } from "../config/atomic-file.ts";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { withAttempts } from "../stores/failed-reading.ts";
import type { SignatureReading, StoreAttempt, StoredSignature } from "../stores/signature-store.ts";
import { signatureFile } from "./dir-layout.ts";
import { writeNewFile } from "./file-chunks.ts";

/**
 * Reads `signature-1`, `-2` … up to the first number that does not exist; later ones are not seen.
 * @param instance the digest of an instance of a list; without it, the image's own signatures are read
 * @throws StoreError `file-unreadable` when a signature is there and cannot be read, or there are more than {@link MAX_SIGNATURES_PER_MANIFEST}; FormatError
 *   `input-too-large`
 */
export async function readDirSignatures(directory: string, instance?: Digest): Promise<SignatureReading> {
  const signatures: StoredSignature[] = [];
  const attempts: StoreAttempt[] = [];
  for (let position = 1; ; position++) {
    const location = join(directory, signatureFile(position, instance));
    let bytes: Uint8Array;
    try {
      bytes = await readFileBounded(location, MAX_SIGNATURE_BYTES, "signature", { regularOnly: true });
    } catch (error) {
      if (!(error instanceof StoreError) || errnoOf(error.cause) !== "ENOENT")
        throw withAttempts(error, attempts, location);
      attempts.push({ location, outcome: "absent" });
      return { store: `dir:${directory}`, signatures, attempts, warnings: [] };
    }
    if (position > MAX_SIGNATURES_PER_MANIFEST) {
      throw new StoreError(
        "file-unreadable",
        `${directory}: more than ${MAX_SIGNATURES_PER_MANIFEST} signatures for one manifest`,
        { side: "source", hint: "remove the ones that are not needed" },
      );
    }
    signatures.push({ bytes, location });
    attempts.push({ location, outcome: "found" });
  }
}

/**
 * Adds one signature under the first free number, unless an equal one is there already. Appears whole or not at all; two processes that add at the
 * same time both succeed.
 * @returns where the signature lies
 * @throws StoreError as {@link readDirSignatures}, `file-unwritable`, `disk-full`
 */
export async function addDirSignature(directory: string, blob: Uint8Array, instance?: Digest): Promise<string> {
  const temporary = join(directory, temporaryName("signature"));
  await writeNewFile(temporary, [blob]);
  try {
    for (;;) {
      const { signatures } = await readDirSignatures(directory, instance);
      const equal = signatures.find(({ bytes }) => equalBytes(bytes, blob));
      if (equal !== undefined) return equal.location;
      if (signatures.length >= MAX_SIGNATURES_PER_MANIFEST) {
        throw new StoreError(
          "file-unwritable",
          `${directory}: there are ${MAX_SIGNATURES_PER_MANIFEST} signatures for one manifest already`,
          { side: "destination", hint: "remove the ones that are not needed" },
        );
      }
      const location = join(directory, signatureFile(signatures.length + 1, instance));
      try {
        // A hard link never replaces: whoever comes second looks again.
        await link(temporary, location);
      } catch (error) {
        if (errnoOf(error) === "EEXIST") continue;
        throw fileError(error, location, "write");
      }
      await syncDirectory(directory);
      return location;
    }
  } finally {
    await rm(temporary, { force: true });
  }
}
