/** Deleting a whole repository. */
import { UsageError } from "@signet/core";
import { unbindRepository } from "../access/role-bindings.ts";
import { appendAudit } from "../audit/audit-log.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Database, Writer } from "../db/database.ts";
import { lockRepository } from "./repositories.ts";

/** What went with a repository. */
export interface DeletedRepository {
  readonly tags: number;
  readonly manifests: number;
  readonly signatures: number;
  /** Roles that were given on the repository itself. */
  readonly roles: number;
  /** Uploads in flight that were ended. */
  readonly uploads: number;
}

/**
 * Deletes a repository in one transaction, with an entry in the audit log: every version of it with its tags, manifests and signatures, also those that rules fix; what waits to become part of one;
 * uploads in flight; settings and pull policy; every path that it is served under, and the roles on these. From then on nothing of it can be read, by digest neither, and a later repository of
 * that name begins without rights.
 *
 * What stays: roles on namespaces, withdrawals of signatures, what other repositories hold, and the bytes until collection finds that nobody holds them.
 *
 * @param by the account
 * @param now milliseconds since 1970, UTC
 * @throws UsageError `repository-missing`
 */
export async function deleteRepository(
  database: Database,
  store: BlobStore,
  name: string,
  by: string,
  now: number,
): Promise<DeletedRepository> {
  const { deleted, uploads } = await database.write(async (writer) => {
    const row = await writer
      .selectFrom("repository")
      .select("id")
      .where("name", "=", name)
      // The lock that deleting the row takes, before all others: a push that refers to the row already would else wait for the uploads that are gone here, and this for it.
      .$if(database.kind === "postgresql", (query) => query.forUpdate())
      .executeTakeFirst();
    if (row === undefined) {
      throw new UsageError("repository-missing", `there is no repository ${JSON.stringify(name.slice(0, 300))}`);
    }
    const { id, latestVersion } = await lockRepository(writer, row.id);
    const counts = await countUnits(writer, id);
    const paths = await writer.deleteFrom("distribution").where("repository_id", "=", id).returning("path").execute();
    let roles = 0;
    for (const path of new Set([name, ...paths.map((one) => one.path)])) roles += await unbindRepository(writer, path);
    const ended = await writer
      .deleteFrom("upload")
      .where("repository_id", "=", id)
      .returning(["received", "state"])
      .execute();
    // Versions, memberships and what is pending go with the row, by their foreign keys.
    await writer.deleteFrom("repository").where("id", "=", id).execute();
    const all = { ...counts, roles, uploads: ended.length };
    const detail = { version: latestVersion, ...all };
    await appendAudit(writer, { at: now, actor: by, action: "repository.delete", target: name, detail });
    return { deleted: all, uploads: ended };
  });
  // After the commit, and best effort: collection finds the bytes of uploads that have no row.
  for (const { received, state } of uploads) await store.abort({ received, details: state }).catch(() => undefined);
  return deleted;
}

/** What the latest version holds. */
async function countUnits(
  writer: Writer,
  id: number,
): Promise<Pick<DeletedRepository, "manifests" | "signatures" | "tags">> {
  const rows = await writer
    .selectFrom("membership")
    .select((expression) => ["unit_kind", expression.fn.countAll<number | string>().as("count")])
    .where("repository_id", "=", id)
    .where("version_removed", "is", null)
    .groupBy("unit_kind")
    .execute();
  const counts = new Map(rows.map((row) => [row.unit_kind, Number(row.count)]));
  return {
    tags: counts.get("tag") ?? 0,
    manifests: counts.get("manifest") ?? 0,
    signatures: counts.get("signature") ?? 0,
  };
}
