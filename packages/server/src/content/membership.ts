/** What a repository version holds, and how the next one comes about. */
import { type RawBuilder, type SqlBool, sql } from "kysely";
import { appendAudit } from "../audit/audit-log.ts";
import { describeContentChange } from "../audit/content-change.ts";
import type { Reader, Writer } from "../db/database.ts";
import type { HeldVersion, LockedRepository } from "./repositories.ts";
import { forgetCarriers, forgetRecorded } from "./unheld-rows.ts";
import { type Unit, batches } from "./units.ts";

/**
 * The condition that a row of `membership` is in a version.
 *
 * A query that joins `membership` to the rows of an image, of a few out of very many, says `cross join` and the keys in `where`: SQLite joins in that order, and would else begin with all that the
 * repository holds. To PostgreSQL it is the same as `join`.
 */
export function inVersion(version: number): RawBuilder<SqlBool> {
  return sql<SqlBool>`membership.version_added <= ${version} and (membership.version_removed is null or membership.version_removed > ${version})`;
}

/**
 * True when a path serves this unit: its version holds it, or it is pending in the repository. Every read by digest asks this first, so that nothing leaks from one
 * repository to the readers of another because both hold the same bytes, or held them once.
 */
export async function isServed(reader: Reader | Writer, served: HeldVersion, unit: Unit): Promise<boolean> {
  const member = await reader
    .selectFrom("membership")
    .select("membership.version_added")
    .where("membership.repository_id", "=", served.repositoryId)
    .where("membership.unit_kind", "=", unit.kind)
    .where("membership.unit_key", "=", unit.key)
    .where(inVersion(served.version))
    .executeTakeFirst();
  if (member !== undefined) return true;
  if (served.isPinned || (unit.kind !== "blob" && unit.kind !== "manifest")) return false;
  const pending = await reader
    .selectFrom("pending")
    .select("added_at")
    .where("repository_id", "=", served.repositoryId)
    .where("unit_kind", "=", unit.kind)
    .where("unit_key", "=", unit.key)
    .executeTakeFirst();
  return pending !== undefined;
}

/**
 * Manifests that a list names and a path serves, as {@link isServed} has it, at most so many. However many others the list names, none of these is passed over for them.
 * @param list its digest
 */
export async function listServedChildren(
  reader: Reader,
  { repositoryId, version, isPinned }: HeldVersion,
  list: string,
  limit: number,
): Promise<readonly string[]> {
  const rows = await reader
    .selectFrom("manifest_child")
    .select("child_digest")
    .distinct()
    .where("manifest_digest", "=", list)
    .where((expression) => {
      const member = expression.exists(
        expression
          .selectFrom("membership")
          .select("membership.version_added")
          .where("membership.repository_id", "=", repositoryId)
          .where("membership.unit_kind", "=", "manifest")
          .whereRef("membership.unit_key", "=", "manifest_child.child_digest")
          .where(inVersion(version)),
      );
      if (isPinned) return member;
      const pending = expression.exists(
        expression
          .selectFrom("pending")
          .select("pending.added_at")
          .where("pending.repository_id", "=", repositoryId)
          .where("pending.unit_kind", "=", "manifest")
          .whereRef("pending.unit_key", "=", "manifest_child.child_digest"),
      );
      return expression.or([member, pending]);
    })
    .limit(limit)
    .execute();
  return rows.map((row) => row.child_digest);
}

/** Of some keys, those that the repository's latest version or its pending content holds. */
export async function listPresent(
  writer: Reader | Writer,
  repository: Pick<LockedRepository, "id" | "latestVersion">,
  kind: "blob" | "manifest",
  keys: readonly string[],
): Promise<ReadonlySet<string>> {
  const present = new Set<string>();
  for (const batch of batches(keys)) {
    const members = await writer
      .selectFrom("membership")
      .select("membership.unit_key")
      .where("membership.repository_id", "=", repository.id)
      .where("membership.unit_kind", "=", kind)
      .where("membership.unit_key", "in", batch)
      .where(inVersion(repository.latestVersion))
      .execute();
    const pending = await writer
      .selectFrom("pending")
      .select("unit_key")
      .where("repository_id", "=", repository.id)
      .where("unit_kind", "=", kind)
      .where("unit_key", "in", batch)
      .execute();
    for (const { unit_key: key } of [...members, ...pending]) present.add(key);
  }
  return present;
}

/** What the next version has that this one lacks, and the other way round. */
export interface VersionChange {
  readonly add: readonly Unit[];
  readonly remove: readonly Unit[];
}

/**
 * Makes the next version of a locked repository; nobody sees it before the transaction commits. Units that are there already are not added twice; what is added is
 * pending no longer. Without any change there is no new version.
 *
 * @returns the latest version's number afterwards
 */
export async function commitVersion(
  writer: Writer,
  repository: LockedRepository,
  change: VersionChange,
  by: string,
  now: number,
): Promise<number> {
  const added: Unit[] = [];
  for (const kind of ["blob", "manifest", "signature", "tag"] as const) {
    const keys = [...new Set(change.add.filter((unit) => unit.kind === kind).map((unit) => unit.key))];
    for (const batch of batches(keys)) {
      const rows = await writer
        .selectFrom("membership")
        .select("membership.unit_key")
        .where("membership.repository_id", "=", repository.id)
        .where("membership.unit_kind", "=", kind)
        .where("membership.unit_key", "in", batch)
        .where(inVersion(repository.latestVersion))
        .execute();
      const present = new Set(rows.map((row) => row.unit_key));
      added.push(...batch.filter((key) => !present.has(key)).map((key) => ({ kind, key })));
      if (kind === "blob" || kind === "manifest") {
        await writer
          .deleteFrom("pending")
          .where("repository_id", "=", repository.id)
          .where("unit_kind", "=", kind)
          .where("unit_key", "in", batch)
          .execute();
      }
    }
  }
  if (added.length === 0 && change.remove.length === 0) return repository.latestVersion;

  const number = repository.latestVersion + 1;
  for (const kind of ["blob", "manifest", "signature", "tag"] as const) {
    for (const batch of batches(change.remove.filter((unit) => unit.kind === kind).map((unit) => unit.key))) {
      await writer
        .updateTable("membership")
        .set({ version_removed: number })
        .where("repository_id", "=", repository.id)
        .where("unit_kind", "=", kind)
        .where("unit_key", "in", batch)
        .where("version_removed", "is", null)
        .execute();
    }
  }
  for (const batch of batches(added)) {
    await writer
      .insertInto("membership")
      .values(
        batch.map((unit) => ({
          repository_id: repository.id,
          unit_kind: unit.kind,
          unit_key: unit.key,
          version_added: number,
          version_removed: null,
        })),
      )
      .execute();
  }
  await writer
    .insertInto("repository_version")
    .values({ repository_id: repository.id, number, created_by: by, complete: 1, created_at: now })
    .execute();
  await writer.updateTable("repository").set({ latest_version: number }).where("id", "=", repository.id).execute();
  await squashVersions(writer, repository.id, number - repository.retainVersions);
  const removed = change.remove;
  await appendAudit(
    writer,
    describeContentChange({ repository: repository.name, version: number, added, removed, by, at: now }),
  );
  return number;
}

/** Forgets the versions up to `last`: what only they held is no longer held, the rest counts as added by the oldest version that is left. */
async function squashVersions(writer: Writer, repositoryId: number, last: number): Promise<void> {
  if (last < 1) return;
  const pinned = await writer
    .selectFrom("distribution")
    .select("version")
    .where("repository_id", "=", repositoryId)
    .where("version", "is not", null)
    .orderBy("version")
    .executeTakeFirst();
  const end = Math.min(last, (pinned?.version ?? Number.POSITIVE_INFINITY) - 1);
  if (end < 1) return;
  const gone = await writer
    .deleteFrom("membership")
    .where("repository_id", "=", repositoryId)
    .where("version_removed", "<=", end + 1)
    .returning(["unit_kind", "unit_key"])
    .execute();
  const units = gone.map((row) => ({ kind: row.unit_kind, key: row.unit_key }));
  await forgetCarriers(writer, repositoryId, units);
  await forgetRecorded(writer, repositoryId, units);
  await writer
    .deleteFrom("repository_version")
    .where("repository_id", "=", repositoryId)
    .where("number", "<=", end)
    .execute();
}
