/** Bytes that a repository may hold. */
import { sql } from "kysely";
import type { Writer } from "../db/database.ts";
import { ContentError } from "./content-error.ts";

/**
 * Looks, at the end of what adds blobs to a repository, whether it holds more than it may; pending ones count, or a client could fill the disk with those alone. A blob
 * that several images share counts once.
 * @throws ContentError `quota-exceeded`: then the transaction must not be committed
 */
export async function refuseOverQuota(writer: Writer, repositoryId: number): Promise<void> {
  const row = await writer
    .selectFrom("repository")
    .select(["quota_bytes", "latest_version"])
    .where("id", "=", repositoryId)
    .executeTakeFirstOrThrow();
  if (row.quota_bytes === null) return;
  const { rows } = await sql<{ bytes: number | string }>`
    select coalesce(sum(size), 0) as bytes from blob where digest in (
      select unit_key from membership where repository_id = ${repositoryId} and unit_kind = 'blob'
        and version_added <= ${row.latest_version}
        and (version_removed is null or version_removed > ${row.latest_version})
      union select unit_key from pending where repository_id = ${repositoryId} and unit_kind = 'blob')`.execute(writer);
  // PostgreSQL's sum is a decimal number, and so arrives as text.
  const bytes = Number(rows[0]?.bytes ?? 0);
  if (bytes <= row.quota_bytes) return;
  throw new ContentError(
    "quota-exceeded",
    `the repository may hold ${row.quota_bytes} bytes, and this would make it ${bytes}`,
  );
}
