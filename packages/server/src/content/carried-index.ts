/** Membership of signatures that manifests carry: a version holds one as long as it holds the tag or the referrer that carries it. */
import type { Writer } from "../db/database.ts";
import { type CarriedSignature, attachmentSubject } from "./carried-signatures.ts";
import { claimColumns } from "./claim-columns.ts";
import { ContentError } from "./content-error.ts";
import { type Unit, inVersion } from "./membership.ts";
import { noteArrival } from "./signature-arrivals.ts";
import type { LockedRepository } from "./repositories.ts";
import { refuseWithdrawn } from "./tombstones.ts";

/** Signatures of one image that come as manifests: several times what clients read. */
const MAX_CARRIED = 512;

/**
 * What a push changes among the signatures: those that the manifest carries come, and those that a tag carried and no longer does go.
 * @throws ContentError `signature-withdrawn`, `signatures-too-many`
 */
export async function planCarried(
  writer: Writer,
  repository: LockedRepository,
  carrier: string,
  tags: readonly string[],
  carried: readonly CarriedSignature[],
  now: number,
): Promise<{ readonly add: readonly Unit[]; readonly remove: readonly Unit[] }> {
  const add: Unit[] = [];
  for (const signature of carried) {
    await refuseWithdrawn(writer, signature.digest, undefined);
    if (!(await insertCarried(writer, signature, now))) continue;
    const { digest, manifestDigest } = signature;
    const name = `${manifestDigest}@${digest.slice("sha256:".length, "sha256:".length + 32)}`;
    await noteArrival(writer, { repositoryId: repository.id, digest, name, carrier }, now);
    add.push({ kind: "signature", key: digest });
  }
  const kept = new Set(add.map((unit) => unit.key));
  const before = await listTagged(writer, repository, tags);
  for (const subject of new Set(carried.map(({ manifestDigest }) => manifestDigest))) {
    const { count } = await writer
      .selectFrom("signature")
      .innerJoin("membership", "membership.unit_key", "signature.digest")
      .select((expression) => expression.fn.countAll<number>().as("count"))
      .where("signature.manifest_digest", "=", subject)
      .where("signature.format", "!=", "simple-signing")
      .where("membership.repository_id", "=", repository.id)
      .where("membership.unit_kind", "=", "signature")
      .where(inVersion(repository.latestVersion))
      .executeTakeFirstOrThrow();
    if (count + add.length > MAX_CARRIED) {
      throw new ContentError("signatures-too-many", `the image has ${MAX_CARRIED} signatures in manifests already`);
    }
  }
  return { add, remove: before.filter((unit) => !kept.has(unit.key)) };
}

/** Signatures that a version holds because of these tags. */
export async function listTagged(
  writer: Writer,
  repository: LockedRepository,
  tags: readonly string[],
): Promise<readonly Unit[]> {
  const subjects = tags.map(attachmentSubject).filter((subject) => subject !== undefined);
  if (subjects.length === 0) return [];
  const rows = await writer
    .selectFrom("signature")
    .innerJoin("membership", "membership.unit_key", "signature.digest")
    .select("signature.digest")
    .where("signature.manifest_digest", "in", subjects)
    .where("signature.format", "=", "sigstore-attachment")
    .where("membership.repository_id", "=", repository.id)
    .where("membership.unit_kind", "=", "signature")
    .where(inVersion(repository.latestVersion))
    .execute();
  return rows.map(({ digest: key }) => ({ kind: "signature", key }));
}

/** Signatures that a version holds because of this referrer, and of no other one. */
export async function listReferred(
  writer: Writer,
  repository: LockedRepository,
  carrier: string,
): Promise<readonly Unit[]> {
  const rows = await writer
    .selectFrom("manifest")
    .innerJoin("manifest_blob", "manifest_blob.manifest_digest", "manifest.digest")
    // Bundles and envelopes are kept as they are: their digest is that of the layer.
    .innerJoin("signature", (join) =>
      join
        .onRef("signature.digest", "=", "manifest_blob.blob_digest")
        .onRef("signature.manifest_digest", "=", "manifest.subject_digest"),
    )
    .select("signature.digest")
    .where("manifest.digest", "=", carrier)
    .where("signature.format", "in", ["sigstore-bundle", "notation"])
    .where((expression) =>
      expression.not(
        expression.exists(
          expression
            .selectFrom("manifest_blob as other_blob")
            .innerJoin("manifest as other", "other.digest", "other_blob.manifest_digest")
            .innerJoin("membership", "membership.unit_key", "other.digest")
            .select("other.digest")
            .whereRef("other_blob.blob_digest", "=", "signature.digest")
            .whereRef("other.subject_digest", "=", "signature.manifest_digest")
            .where("other.digest", "!=", carrier)
            .where("membership.repository_id", "=", repository.id)
            .where("membership.unit_kind", "=", "manifest")
            .where(inVersion(repository.latestVersion)),
        ),
      ),
    )
    .execute();
  return rows.map(({ digest: key }) => ({ kind: "signature", key }));
}

/** Returns false where the same bytes are known as a signature of another image: a bundle about several is indexed for the first. */
async function insertCarried(writer: Writer, signature: CarriedSignature, now: number): Promise<boolean> {
  const { digest, manifestDigest, format, bytes, claims } = signature;
  const row = await writer
    .insertInto("signature")
    .values({
      digest,
      manifest_digest: manifestDigest,
      format,
      ...claimColumns(claims),
      claimed_key_id: null,
      claimed_fingerprint: null,
      bytes,
      created_at: now,
      touched_at: now,
    })
    .onConflict((conflict) => conflict.column("digest").doUpdateSet({ touched_at: now }))
    .returning("manifest_digest")
    .executeTakeFirstOrThrow();
  return row.manifest_digest === manifestDigest;
}
