/** What a manifest says of the content that it names, held against the content: a client that goes by the one must not see something else than a client that goes by the other. */
import { createHash } from "node:crypto";
import { FormatError, type UntrustedDescriptor, decodeBase64, digestAlgorithm } from "@signet/core";
import type { Writer } from "../db/database.ts";
import { ContentError } from "./content-error.ts";
import { listPresent } from "./membership.ts";
import type { LockedRepository } from "./repositories.ts";
import { batches } from "./units.ts";

/** A descriptor of content that the registry may have. */
export type Described = Pick<UntrustedDescriptor, "digest" | "mediaType" | "size">;

/**
 * Holds descriptors against each other, and what a manifest holds of its content (OCI image specification 1.1, "Content Descriptors", `data`) against digest and size.
 * @throws ContentError `manifest-invalid`
 */
export function checkDescriptors(descriptors: readonly UntrustedDescriptor[]): void {
  const sizes = new Map<string, number>();
  for (const { digest, size, data } of descriptors) {
    if ((sizes.get(digest) ?? size) !== size)
      throw invalid(digest, `is said to have ${sizes.get(digest)} bytes and ${size}`);
    sizes.set(digest, size);
    if (data !== undefined) checkData(digest, size, data);
  }
}

function checkData(digest: UntrustedDescriptor["digest"], size: number, data: string): void {
  let bytes: Uint8Array;
  try {
    bytes = decodeBase64(data);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw invalid(digest, "has a member data that is not base64");
  }
  const algorithm = digestAlgorithm(digest);
  const found = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
  if (bytes.length !== size || found !== digest) throw invalid(digest, "is not what its member data holds");
}

/**
 * Holds the descriptors of an image against its blobs, all of which the repository has: sizes.
 * @throws ContentError `manifest-invalid`
 */
export async function checkBlobDescriptors(writer: Writer, descriptors: readonly Described[]): Promise<void> {
  for (const batch of batches(descriptors)) {
    const rows = await writer
      .selectFrom("blob")
      .select(["digest", "size"])
      .where("digest", "in", digestsOf(batch))
      .execute();
    const sizes = new Map(rows.map((row) => [row.digest, row.size]));
    for (const { digest, size } of batch) checkSize(digest, size, sizes.get(digest));
  }
}

/**
 * Holds the descriptors of a list against those manifests that the repository has: sizes and types. At the others, which other repositories may have, nothing is looked.
 * @throws ContentError `manifest-invalid`
 */
export async function checkManifestDescriptors(
  writer: Writer,
  repository: LockedRepository,
  descriptors: readonly Described[],
): Promise<void> {
  const present = await listPresent(writer, repository, "manifest", digestsOf(descriptors));
  for (const batch of batches(descriptors.filter((one) => present.has(one.digest)))) {
    const rows = await writer
      .selectFrom("manifest")
      .select(["digest", "size", "media_type"])
      .where("digest", "in", digestsOf(batch))
      .execute();
    const found = new Map(rows.map((row) => [row.digest, row]));
    for (const { digest, size, mediaType } of batch) {
      const row = found.get(digest);
      checkSize(digest, size, row?.size);
      if (row !== undefined && row.media_type !== mediaType)
        throw invalid(digest, `is said to be ${mediaType.slice(0, 100)}, and is ${row.media_type}`);
    }
  }
}

function digestsOf(descriptors: readonly Described[]): string[] {
  return descriptors.map((one) => one.digest);
}

function checkSize(digest: string, stated: number, size: number | undefined): void {
  if (size !== undefined && size !== stated) throw invalid(digest, `is said to have ${stated} bytes, and has ${size}`);
}

function invalid(digest: string, problem: string): ContentError {
  return new ContentError("manifest-invalid", `${digest} ${problem}`, { digest });
}
