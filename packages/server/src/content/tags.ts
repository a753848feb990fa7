/** Tags: names for manifests, at most one manifest a name in one version. */
import type { Reader, Writer } from "../db/database.ts";
import { ContentError } from "./content-error.ts";
import { inVersion } from "./membership.ts";
import type { Unit } from "./units.ts";
import { splitTagKey, tagKey, tagKeyRange } from "./names.ts";
import type { LockedRepository, ServedRepository } from "./repositories.ts";

type Version = { readonly id: number; readonly version: number };

/** The digest that a tag names in the repository's latest version, or undefined. */
export async function findTag(writer: Writer, repository: LockedRepository, name: string): Promise<string | undefined> {
  return await lookUp(writer, { id: repository.id, version: repository.latestVersion }, name);
}

/** The digest that a tag names under this path, or undefined. */
export async function resolveTag(reader: Reader, served: ServedRepository, name: string): Promise<string | undefined> {
  return await lookUp(reader, { id: served.repositoryId, version: served.version }, name);
}

async function lookUp(reader: Reader | Writer, of: Version, name: string): Promise<string | undefined> {
  const [from, to] = tagKeyRange(name);
  const row = await reader
    .selectFrom("membership")
    .select("membership.unit_key")
    .where("membership.repository_id", "=", of.id)
    .where("membership.unit_kind", "=", "tag")
    .where("membership.unit_key", ">=", from)
    .where("membership.unit_key", "<", to)
    .where(inVersion(of.version))
    .executeTakeFirst();
  return row && splitTagKey(row.unit_key).digest;
}

/** Names of tags in the order of their bytes, after `last`. */
export async function listTags(
  reader: Reader,
  served: ServedRepository,
  last: string,
  limit: number,
): Promise<readonly string[]> {
  const rows = await reader
    .selectFrom("membership")
    .select("membership.unit_key")
    .where("membership.repository_id", "=", served.repositoryId)
    .where("membership.unit_kind", "=", "tag")
    // Behind every key with that name, and before those of the names that it begins.
    .where("membership.unit_key", ">", last === "" ? "" : `${last}!`)
    .where(inVersion(served.version))
    .orderBy("membership.unit_key")
    .limit(limit)
    .execute();
  return rows.map((row) => splitTagKey(row.unit_key).name);
}

/**
 * What must go so that a tag can name another manifest.
 * @throws ContentError `tag-immutable` when the repository's rules fix the tag, `quota-exceeded` when it would be one too many
 */
export async function planTag(
  writer: Writer,
  repository: LockedRepository,
  name: string,
  old: string | undefined,
): Promise<readonly Unit[]> {
  if (old !== undefined) {
    refuseImmutable(repository, name);
    return [{ kind: "tag", key: tagKey(name, old) }];
  }
  if (repository.quotaTags === undefined) return [];
  const { count } = await writer
    .selectFrom("membership")
    .select((expression) => expression.fn.countAll<number>().as("count"))
    .where("membership.repository_id", "=", repository.id)
    .where("membership.unit_kind", "=", "tag")
    .where(inVersion(repository.latestVersion))
    .executeTakeFirstOrThrow();
  if (count >= repository.quotaTags) {
    throw new ContentError("quota-exceeded", `the repository may hold ${repository.quotaTags} tags`, { tag: name });
  }
  return [];
}

/** @throws ContentError `tag-immutable` when the repository's rules fix this tag */
export function refuseImmutable(repository: LockedRepository, name: string): void {
  const rule = repository.immutableTags.find((pattern) => matchesPattern(pattern, name));
  if (rule === undefined) return;
  throw new ContentError("tag-immutable", `the repository's rule ${JSON.stringify(rule)} fixes the tag ${name}`, {
    tag: name,
  });
}

/** True for a pattern of tags: as a tag is written, with `*` for any run of characters. */
export function isTagPattern(pattern: string): boolean {
  return /^[A-Za-z0-9_.*-]{1,128}$/.test(pattern) && !pattern.endsWith("\n");
}

/** Patterns have `*` for any run of characters and nothing else, so that matching takes linear time whatever they say. */
function matchesPattern(pattern: string, name: string): boolean {
  const parts = pattern.split("*");
  const [first = "", ...rest] = parts;
  if (rest.length === 0) return pattern === name;
  if (!name.startsWith(first)) return false;
  const last = rest.pop()!;
  let position = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, position);
    if (found < 0) return false;
    position = found + part.length;
  }
  return name.length - position >= last.length && name.endsWith(last);
}
