/** Bytes that a repository may hold. */
import { sql } from "kysely";
import type { Reader, Writer } from "../db/database.ts";
import type { UnitKind } from "../db/schema.ts";
import { ContentError } from "./content-error.ts";

/** A quota, and what counts for it now. */
export interface QuotaUse {
  /** Bytes; null: no limit. */
  readonly quota: number | null;
  /** Bytes of blobs, manifests and signatures that the repository holds or that are pending there, each once, of recorded verification results, and of uploads that have not ended; 0 where there is no limit. */
  readonly used: number;
}

/**
 * Where a repository has a quota, takes the turn of those who add to it until the transaction ends: of two that added at once on PostgreSQL, neither would count what the other adds. At the beginning, before any
 * of its rows, as `lockRepository` does in its place.
 */
export async function holdQuota(writer: Writer, repositoryId: number): Promise<void> {
  // A change of nothing locks the row.
  await writer
    .updateTable("repository")
    .set((expression) => ({ quota_bytes: expression.ref("quota_bytes") }))
    .where("id", "=", repositoryId)
    .where("quota_bytes", "is not", null)
    .execute();
}

/**
 * Looks, at the end of what adds bytes to a repository, whether it holds more than it may. What is pending counts, and so do uploads that have not ended, or a client could
 * fill the disk with those alone, or with manifests of 4 MiB each. A blob that several images share counts once; a signature that a manifest carries is its blob.
 *
 * The repository must be locked, or its quota held ({@link holdQuota}).
 * @throws ContentError `quota-exceeded`: then the transaction must not be committed
 */
export async function refuseOverQuota(writer: Writer, repositoryId: number): Promise<void> {
  const row = await writer
    .selectFrom("repository")
    .select(["id", "quota_bytes", "latest_version"])
    .where("id", "=", repositoryId)
    .executeTakeFirstOrThrow();
  const { quota, used } = await readUse(writer, row);
  if (quota !== null && used > quota) throw overQuota(quota, used);
}

/**
 * What counts for the quota of the repository under a path; no limit where there is none yet.
 * @param coming a blob that is being sent: where it is there already it does not count, since it will be there once
 */
export async function readQuotaUse(reader: Reader, path: string, coming?: string): Promise<QuotaUse> {
  const row = await reader
    .selectFrom("repository")
    .innerJoin("distribution", "distribution.repository_id", "repository.id")
    .select(["repository.id", "repository.quota_bytes", "repository.latest_version"])
    .where("distribution.path", "=", path)
    .executeTakeFirst();
  return row === undefined ? { quota: null, used: 0 } : await readUse(reader, row, coming);
}

/** That a repository would hold so many bytes is too much. */
export function overQuota(quota: number, bytes: number): ContentError {
  return new ContentError(
    "quota-exceeded",
    `the repository may hold ${quota} bytes, and this would make it ${bytes}, uploads that have not ended among them`,
  );
}

async function readUse(
  reader: Reader | Writer,
  {
    id,
    quota_bytes: quota,
    latest_version: version,
  }: { id: number; quota_bytes: number | null; latest_version: number },
  coming = "",
): Promise<QuotaUse> {
  if (quota === null) return { quota, used: 0 };
  const held = (kind: UnitKind) => sql`
    select unit_key from membership where repository_id = ${id} and unit_kind = ${kind}
      and version_added <= ${version}
      and (version_removed is null or version_removed > ${version})
    union select unit_key from pending where repository_id = ${id} and unit_kind = ${kind}`;
  const { rows } = await sql<{ bytes: number | string }>`
    select coalesce(sum(size), 0) as bytes from blob where digest <> ${coming} and digest in (${held("blob")})
    union all select coalesce(sum(size), 0) from manifest where digest in (${held("manifest")})
    union all select coalesce(sum(length(bytes)), 0) from signature
      where format = 'simple-signing' and digest in (${held("signature")})
    union all select coalesce(sum(size), 0) from recorded_verification where repository_id = ${id}
    union all select coalesce(sum(received), 0) from upload where repository_id = ${id}`.execute(reader);
  // PostgreSQL's sum is a decimal number, and so arrives as text.
  return { quota, used: rows.reduce((sum, { bytes }) => sum + Number(bytes), 0) };
}
