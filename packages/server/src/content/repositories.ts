/** Repositories and the paths they are served under. */
import { sql } from "kysely";
import type { Reader, Writer } from "../db/database.ts";
import { ContentError } from "./content-error.ts";

/** What the data plane serves under one path, as it is now. */
export interface ServedRepository {
  readonly path: string;
  readonly repositoryId: number;
  /** The version that is served: the pinned one, or the latest. */
  readonly version: number;
  /** True when a version is pinned: nothing can be pushed, and pending content is not served. */
  readonly isPinned: boolean;
  /** Grows with every change to what the repository serves. */
  readonly changeNumber: number;
  readonly visibility: "private" | "public";
  /** Whether the repository itself has a pull policy; its namespaces may have some besides. */
  readonly pullPolicyMode: "enforce" | "off" | "warn";
  /** Grows with every change of keys, withdrawals and policies of namespaces. */
  readonly trustNumber: number;
}

/** What decides whether content is served: a version of a repository, and whether what is pending counts. */
export type HeldVersion = Pick<ServedRepository, "isPinned" | "repositoryId" | "version">;

/** How many complete versions a repository keeps that a push made: the registry's clients know the newest only. */
const DEFAULT_RETAINED_VERSIONS = 1;

/** What is served under a path, or undefined when nothing is. One indexed read. */
export async function findServed(reader: Reader | Writer, path: string): Promise<ServedRepository | undefined> {
  const row = await reader
    .selectFrom("distribution")
    .innerJoin("repository", "repository.id", "distribution.repository_id")
    .select([
      "distribution.path",
      "distribution.version",
      "repository.id",
      "repository.latest_version",
      "repository.change_number",
      "repository.visibility",
      "repository.pull_policy_mode",
    ])
    .select((expression) =>
      expression.selectFrom("change").select("change.number").where("change.scope", "=", "trust").as("trust_number"),
    )
    .where("distribution.path", "=", path)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    path: row.path,
    repositoryId: row.id,
    version: row.version ?? row.latest_version,
    isPinned: row.version !== null,
    changeNumber: row.change_number,
    visibility: row.visibility,
    pullPolicyMode: row.pull_policy_mode,
    trustNumber: row.trust_number ?? 0,
  };
}

/** Times that a repository is made anew because another transaction deleted it in the middle: whoever deletes it so often means it. */
const MAX_MAKES = 10;

/**
 * Makes a repository and the distribution of the same path, unless they exist. Two that do so at once both succeed.
 * @throws ContentError `repository-unknown` when it is deleted again and again meanwhile
 */
export async function ensureRepository(writer: Writer, path: string, now: number): Promise<ServedRepository> {
  for (let make = 0; make <= MAX_MAKES; make += 1) {
    const found = await findServed(writer, path);
    if (found !== undefined) return found;
    await makeRepository(writer, path, now);
  }
  throw deletedMeanwhile();
}

async function makeRepository(writer: Writer, path: string, now: number): Promise<void> {
  await writer
    .insertInto("repository")
    .values({
      name: path,
      kind: "push",
      description: "",
      visibility: "private",
      pull_policy_mode: "off",
      pull_policy: null,
      immutable_tags: "[]",
      quota_bytes: null,
      quota_tags: null,
      retain_versions: DEFAULT_RETAINED_VERSIONS,
      latest_version: 0,
      change_number: 1,
      locked_by: null,
      locked_until: null,
      created_at: now,
    })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  const row = await writer.selectFrom("repository").select("id").where("name", "=", path).executeTakeFirst();
  if (row === undefined) return;
  await writer
    .insertInto("distribution")
    .values({ path, repository_id: row.id, version: null, created_at: now })
    .onConflict((conflict) => conflict.column("path").doNothing())
    .execute();
}

function deletedMeanwhile(): ContentError {
  return new ContentError("repository-unknown", "the repository was deleted meanwhile");
}

/** What a change to a repository must respect. */
export interface LockedRepository {
  readonly id: number;
  readonly name: string;
  readonly latestVersion: number;
  readonly retainVersions: number;
  readonly immutableTags: readonly string[];
  readonly quotaBytes: number | undefined;
  readonly quotaTags: number | undefined;
}

/**
 * Locks a repository until the transaction ends, and counts the change: whatever was read before must be read again. Transactions on one repository go one after the
 * other, so that a decision made under the lock holds when it is committed.
 * @throws ContentError `repository-unknown` when it was deleted meanwhile
 */
export async function lockRepository(writer: Writer, repositoryId: number): Promise<LockedRepository> {
  const row = await writer
    .updateTable("repository")
    .set({ change_number: sql`change_number + 1` })
    .where("id", "=", repositoryId)
    .returning(["id", "name", "latest_version", "retain_versions", "immutable_tags", "quota_bytes", "quota_tags"])
    .executeTakeFirst();
  if (row === undefined) throw deletedMeanwhile();
  return {
    id: row.id,
    name: row.name,
    latestVersion: row.latest_version,
    retainVersions: row.retain_versions,
    immutableTags: JSON.parse(row.immutable_tags) as string[],
    quotaBytes: row.quota_bytes ?? undefined,
    quotaTags: row.quota_tags ?? undefined,
  };
}

/**
 * Locks the repository behind a path, as {@link lockRepository} does.
 * @returns besides, what the path serves now that nobody else can change it: the latest version
 * @throws ContentError `repository-unknown` when it was deleted meanwhile
 */
export async function lockServed(
  writer: Writer,
  served: ServedRepository,
): Promise<{ readonly repository: LockedRepository; readonly latest: ServedRepository }> {
  const repository = await lockRepository(writer, served.repositoryId);
  return { repository, latest: { ...served, version: repository.latestVersion } };
}

/** Paths that are served, in the order of their bytes, after `last`. */
export async function listPaths(
  reader: Reader,
  last: string,
  limit: number,
): Promise<readonly Pick<ServedRepository, "path" | "visibility">[]> {
  return await reader
    .selectFrom("distribution")
    .innerJoin("repository", "repository.id", "distribution.repository_id")
    .select(["distribution.path", "repository.visibility"])
    .where("distribution.path", ">", last)
    .orderBy("distribution.path")
    .limit(limit)
    .execute();
}
