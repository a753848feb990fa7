/** Manifests that are about another one: OCI distribution specification 1.1, "Listing Referrers". */
import type { Reader } from "../db/database.ts";
import { inVersion } from "./membership.ts";
import type { ServedRepository } from "./repositories.ts";

/** One referrer as the list describes it. */
export interface Referrer {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * The manifests under this path whose `subject` is a digest, in the order of their digests, after `last`. Whether the subject exists does not matter.
 * @param artifactType only those of this type
 */
export async function listReferrers(
  reader: Reader,
  served: ServedRepository,
  subject: string,
  artifactType: string | undefined,
  last: string,
  limit: number,
): Promise<readonly Referrer[]> {
  // No manifest is stored with such a type, and PostgreSQL would not take the question.
  if (artifactType?.includes("\0") === true) return [];
  const rows = await reader
    .selectFrom("manifest")
    .select(["digest", "media_type", "size", "artifact_type", "annotations"])
    .where("subject_digest", "=", subject)
    .where("digest", ">", last)
    .$if(artifactType !== undefined, (query) => query.where("artifact_type", "=", artifactType!))
    .where((expression) => {
      const member = expression.exists(
        expression
          .selectFrom("membership")
          .select("membership.version_added")
          .where("membership.repository_id", "=", served.repositoryId)
          .where("membership.unit_kind", "=", "manifest")
          .whereRef("membership.unit_key", "=", "manifest.digest")
          .where(inVersion(served.version)),
      );
      if (served.isPinned) return member;
      const pending = expression.exists(
        expression
          .selectFrom("pending")
          .select("pending.added_at")
          .where("pending.repository_id", "=", served.repositoryId)
          .where("pending.unit_kind", "=", "manifest")
          .whereRef("pending.unit_key", "=", "manifest.digest"),
      );
      return expression.or([member, pending]);
    })
    .orderBy("digest")
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    digest: row.digest,
    mediaType: row.media_type,
    size: row.size,
    artifactType: row.artifact_type ?? undefined,
    annotations: JSON.parse(row.annotations) as Record<string, string>,
  }));
}
