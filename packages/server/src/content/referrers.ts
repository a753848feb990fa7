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

/** Which part of a list is asked for. */
export interface ReferrerPage {
  readonly last: string;
  readonly limit: number;
  /** Of the manifests together, which bounds what is listed of them: their annotations. One that is larger has a page for itself. */
  readonly maxBytes: number;
}

/**
 * The manifests under this path whose `subject` is a digest, in the order of their digests, after `last`. Whether the subject exists does not matter.
 * @param artifactType only those of this type
 * @returns with the digest after which the next page begins, where there is one
 */
export async function listReferrers(
  reader: Reader,
  served: ServedRepository,
  subject: string,
  artifactType: string | undefined,
  page: ReferrerPage,
): Promise<{ readonly referrers: readonly Referrer[]; readonly next: string | undefined }> {
  // No manifest is stored with such a type, and PostgreSQL would not take the question.
  if (artifactType?.includes("\0") === true) return { referrers: [], next: undefined };
  const found = await reader
    .selectFrom("manifest")
    .select(["digest", "size"])
    .where("subject_digest", "=", subject)
    .where("digest", ">", page.last)
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
    // One more than asked for tells whether there is another page.
    .limit(page.limit + 1)
    .execute();
  let count = 0;
  let bytes = 0;
  for (const { size } of found.slice(0, page.limit)) {
    bytes += size;
    if (count > 0 && bytes > page.maxBytes) break;
    count += 1;
  }
  const digests = found.slice(0, count).map((one) => one.digest);
  return { referrers: await readReferrers(reader, digests), next: count < found.length ? digests.at(-1) : undefined };
}

async function readReferrers(reader: Reader, digests: readonly string[]): Promise<readonly Referrer[]> {
  if (digests.length === 0) return [];
  const rows = await reader
    .selectFrom("manifest")
    .select(["digest", "media_type", "size", "artifact_type", "annotations"])
    .where("digest", "in", digests)
    .orderBy("digest")
    .execute();
  return rows.map((row) => ({
    digest: row.digest,
    mediaType: row.media_type,
    size: row.size,
    artifactType: row.artifact_type ?? undefined,
    annotations: JSON.parse(row.annotations) as Record<string, string>,
  }));
}
