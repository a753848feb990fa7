/** What a repository's keepers decide about it. */
import { UsageError } from "@signet/core";
import { appendAudit } from "../audit/audit-log.ts";
import type { Database, Reader } from "../db/database.ts";
import { lockRepository } from "./repositories.ts";
import { isTagPattern } from "./tags.ts";

/** Patterns of one repository; each is tried at every push of a tag. */
const MAX_PATTERNS = 100;

/** Settings as they are. */
export interface RepositorySettings {
  readonly path: string;
  readonly description: string;
  readonly visibility: "private" | "public";
  /** Tags that may neither move nor go; `*` stands for any run of characters. */
  readonly immutableTags: readonly string[];
  /** Bytes of all blobs; undefined: no limit. */
  readonly quotaBytes: number | undefined;
  readonly quotaTags: number | undefined;
}

/** What is to be changed; what is left out stays. 0 takes a quota away. */
export type SettingsChange = Partial<Omit<RepositorySettings, "path">>;

/** The settings of all repositories after `last`, by path. */
export async function listRepositories(
  reader: Reader,
  last: string,
  limit: number,
): Promise<readonly RepositorySettings[]> {
  const rows = await reader
    .selectFrom("repository")
    .select(["name", "description", "visibility", "immutable_tags", "quota_bytes", "quota_tags"])
    .where("name", ">", last)
    .orderBy("name")
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    path: row.name,
    description: row.description,
    visibility: row.visibility,
    immutableTags: JSON.parse(row.immutable_tags) as string[],
    quotaBytes: row.quota_bytes ?? undefined,
    quotaTags: row.quota_tags ?? undefined,
  }));
}

/**
 * Changes settings, with an entry in the audit log; they hold for every request from then on. What a repository already holds is not judged anew: over a new quota it
 * only takes nothing more.
 *
 * @param by the account
 * @param now milliseconds since 1970, UTC
 * @throws UsageError `repository-missing`, `repository-setting-malformed`
 */
export async function changeRepositorySettings(
  database: Database,
  path: string,
  change: SettingsChange,
  by: string,
  now: number,
): Promise<void> {
  const { immutableTags } = change;
  const wrong = immutableTags?.find((pattern) => !isTagPattern(pattern));
  if (wrong !== undefined || (immutableTags?.length ?? 0) > MAX_PATTERNS) {
    throw new UsageError(
      "repository-setting-malformed",
      wrong === undefined
        ? `a repository may have ${MAX_PATTERNS} patterns of immutable tags`
        : `${JSON.stringify(wrong.slice(0, 200))} is no pattern of tags`,
      { hint: "a pattern is a tag in which * stands for any run of characters, such as v*" },
    );
  }
  await database.write(async (writer) => {
    const row = await writer.selectFrom("repository").select("id").where("name", "=", path).executeTakeFirst();
    if (row === undefined) {
      throw new UsageError("repository-missing", `there is no repository ${JSON.stringify(path.slice(0, 300))}`);
    }
    await lockRepository(writer, row.id);
    const values = {
      ...(change.description === undefined ? {} : { description: change.description }),
      ...(change.visibility === undefined ? {} : { visibility: change.visibility }),
      ...(immutableTags === undefined ? {} : { immutable_tags: JSON.stringify(immutableTags) }),
      ...(change.quotaBytes === undefined ? {} : { quota_bytes: change.quotaBytes === 0 ? null : change.quotaBytes }),
      ...(change.quotaTags === undefined ? {} : { quota_tags: change.quotaTags === 0 ? null : change.quotaTags }),
    };
    if (Object.keys(values).length > 0) {
      await writer.updateTable("repository").set(values).where("id", "=", row.id).execute();
    }
    await appendAudit(writer, { at: now, actor: by, action: "repository.change", target: path, detail: { ...change } });
  });
}
