/** Manifests that carry a withdrawn signature: they go with it, since whoever reads them would find it there. */
import { createHash } from "node:crypto";
import { FormatError, parseManifest, parseSignatureBlob, writeSignatureBlob } from "@signet/core";
import { planDeletion } from "../content/deletion.ts";
import { commitVersion } from "../content/membership.ts";
import { lockRepository } from "../content/repositories.ts";
import { forgetCarriers } from "../content/unheld-rows.ts";
import type { Writer } from "../db/database.ts";
import type { TrustAuthor } from "./trust-change.ts";

/**
 * Removes every manifest that carries a signature from every version of every repository, with its tags and the other signatures in it, in the caller's transaction. Those
 * others can be attached again.
 */
export async function removeCarriers(writer: Writer, signature: string, { by, now }: TrustAuthor): Promise<void> {
  const carriers = await listCarriers(writer, signature);
  for (const repositoryId of [...new Set(carriers.map((one) => one.repositoryId))].toSorted((a, b) => a - b)) {
    const locked = await lockRepository(writer, repositoryId);
    let { latestVersion } = locked;
    for (const { digest } of carriers.filter((one) => one.repositoryId === repositoryId)) {
      const repository = Object.assign({}, locked, { latestVersion });
      const remove = await planDeletion(writer, repository, digest);
      latestVersion = await commitVersion(writer, repository, { add: [], remove }, by, now);
      // Versions that are pinned lose it as well, with every tag that ever named it.
      const tags = writer.selectFrom("tag").select("key").where("manifest_digest", "=", digest);
      const held = writer
        .deleteFrom("membership")
        .where("repository_id", "=", repositoryId)
        .returning(["unit_kind", "unit_key"]);
      // Two statements: with `or`, SQLite goes through all that the repository holds.
      const gone = [
        ...(await held.where("unit_kind", "=", "manifest").where("unit_key", "=", digest).execute()),
        ...(await held.where("unit_kind", "=", "tag").where("unit_key", "in", tags).execute()),
      ];
      const units = gone.map((one) => ({ kind: one.unit_kind, key: one.unit_key }));
      await forgetCarriers(writer, repositoryId, units);
    }
  }
}

interface Carrier {
  readonly repositoryId: number;
  readonly digest: string;
}

async function listCarriers(writer: Writer, signature: string): Promise<readonly Carrier[]> {
  const row = await writer
    .selectFrom("signature")
    .select(["format", "bytes"])
    .where("digest", "=", signature)
    .executeTakeFirst();
  if (row === undefined || row.format === "simple-signing") return [];
  const payload = row.format === "sigstore-attachment" ? payloadOf(row.bytes) : row.bytes;
  const blob = `sha256:${createHash("sha256").update(payload).digest("hex")}`;
  const rows = await writer
    .selectFrom("manifest_blob")
    .innerJoin("manifest", "manifest.digest", "manifest_blob.manifest_digest")
    .select(["manifest.digest", "manifest.bytes", "manifest.media_type"])
    .where("manifest_blob.blob_digest", "=", blob)
    .execute();
  const carriers = rows.filter((one) => {
    return row.format !== "sigstore-attachment" || carriesAttachment(one.bytes, one.media_type, payload, signature);
  });
  // Those that were noted when they came: their layers may be named by other digests than sha256.
  const noted = await writer
    .selectFrom("signature_carrier")
    .select("carrier_digest as digest")
    .distinct()
    .where("signature_digest", "=", signature)
    .execute();
  const found: Carrier[] = [];
  for (const digest of new Set([...carriers, ...noted].map((one) => one.digest))) {
    for (const table of ["membership", "pending"] as const) {
      const holders = await writer
        .selectFrom(table)
        .select("repository_id")
        .distinct()
        .where("unit_kind", "=", "manifest")
        .where("unit_key", "=", digest)
        .execute();
      found.push(...holders.map((one) => ({ repositoryId: one.repository_id, digest })));
    }
  }
  return found;
}

function payloadOf(bytes: Uint8Array): Uint8Array {
  const blob = parseSignatureBlob(bytes);
  return blob.format === "sigstore-json" ? blob.payload : bytes;
}

/** Two signatures of one payload differ in the annotations of their layers. */
function carriesAttachment(bytes: Uint8Array, mediaType: string, payload: Uint8Array, signature: string): boolean {
  const manifest = parseManifest(bytes, mediaType);
  if (manifest.kind !== "image") return false;
  return manifest.layers.some(({ mediaType: mimeType, annotations }) => {
    try {
      const blob = writeSignatureBlob({ format: "sigstore-json", mimeType, payload, annotations });
      return `sha256:${createHash("sha256").update(blob).digest("hex")}` === signature;
    } catch (error) {
      if (error instanceof FormatError) return false;
      throw error;
    }
  });
}
