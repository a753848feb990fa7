/** Signatures of a manifest over all repositories that somebody may read. */
import { setImmediate } from "node:timers/promises";
import { type RawBuilder, type SqlBool, sql } from "kysely";
import type { Reader } from "../db/database.ts";
import type { ServedRepository } from "./repositories.ts";

/** Paths that are asked about for their rights: as many as a whole catalog. Whoever would hide a signature behind them has to make as many repositories of that very image. */
const MAX_HOLDERS = 100_000;
/** Paths of one query: some milliseconds. */
const MAX_HOLDER_BATCH = 10_000;
/** The first query: those that hold one release are few. */
const FIRST_HOLDER_BATCH = 100;
/** Of the paths that may be read, those whose signatures are looked at. */
export const MAX_READABLE_HOLDERS = 10_000;
/** Repositories whose signatures one query reads: with the most that each may have, some ten thousand short rows. */
const READ_BATCH = 100;

type Holder = Pick<ServedRepository, "path" | "repositoryId" | "version" | "visibility">;

/** The condition that a signature was accepted by the server's keyring when it was last judged. */
const isAccepted = sql<SqlBool>`(select newest.verdict from verification as newest
  where newest.signature_digest = signature.digest order by newest.id desc limit 1) = 'accepted'`;

/**
 * The digests of the signatures of simple signing of a manifest, each once. First those that the server's keyring accepts: clusters look at nine, and whoever may sign in some public repository could put
 * as many before the genuine one. In each half path by path in the order of their bytes, oldest first in each. Rights come before all: what cannot be read takes no place.
 *
 * @param wanted the place, from 1, of the one that is of use, or its digest; there may be more in the answer, of a digest only that
 * @param mayRead whether a path's signatures count
 */
export async function listReleaseSignatures(
  reader: Reader,
  manifest: string,
  wanted: { readonly index: number } | { readonly signature: string },
  mayRead: (holder: Pick<Holder, "path" | "visibility">) => boolean,
): Promise<readonly string[]> {
  if ("signature" in wanted) {
    return await collectDigests(reader, { manifest, among: sql`signature.digest = ${wanted.signature}` }, 1, mayRead);
  }
  const first = await collectDigests(reader, { manifest, among: isAccepted }, wanted.index, mayRead);
  if (first.length >= wanted.index) return first;
  const others = await collectDigests(reader, { manifest, among: sql`1 = 1` }, wanted.index, mayRead);
  return [...new Set([...first, ...others])];
}

/** Signatures of a manifest that are looked for. */
interface Sought {
  readonly manifest: string;
  /** What must hold of the table `signature`. */
  readonly among: RawBuilder<SqlBool>;
}

/** @param needed how many are of use; there may be more in the answer */
async function collectDigests(
  reader: Reader,
  sought: Sought,
  needed: number,
  mayRead: (holder: Pick<Holder, "path" | "visibility">) => boolean,
): Promise<readonly string[]> {
  const found = new Set<string>();
  let last = "";
  let readable = 0;
  let limit = FIRST_HOLDER_BATCH;
  for (let asked = 0; asked < MAX_HOLDERS; limit = Math.min(limit * 2, MAX_HOLDER_BATCH)) {
    const rows = await listHolders(reader, sought, last, limit);
    const allowed = rows.filter(mayRead).slice(0, MAX_READABLE_HOLDERS - readable);
    for (let start = 0; start < allowed.length; start += READ_BATCH) {
      const batch = allowed.slice(start, start + READ_BATCH);
      for (const digest of await listDigests(reader, sought, batch)) found.add(digest);
      if (found.size >= needed) return [...found];
      // SQLite answers without going through the event loop: other requests must come in between.
      await setImmediate();
    }
    asked += rows.length;
    readable += allowed.length;
    if (rows.length < limit || readable >= MAX_READABLE_HOLDERS) break;
    last = rows.at(-1)!.path;
  }
  return [...found];
}

/** Paths that serve a signature of a manifest, in the order of their bytes, after `last`. */
async function listHolders(
  reader: Reader,
  { manifest, among }: Sought,
  last: string,
  limit: number,
): Promise<readonly Holder[]> {
  const { rows } = await sql<Holder>`
    select distinct distribution.path, repository.id as "repositoryId", repository.visibility,
      coalesce(distribution.version, repository.latest_version) as version
    from signature
    cross join membership
    join repository on repository.id = membership.repository_id
    join distribution on distribution.repository_id = repository.id
    where membership.unit_kind = 'signature' and membership.unit_key = signature.digest
      and signature.manifest_digest = ${manifest} and ${among}
      and signature.format = 'simple-signing' and distribution.path > ${last}
      and membership.version_added <= coalesce(distribution.version, repository.latest_version)
      and (membership.version_removed is null
        or membership.version_removed > coalesce(distribution.version, repository.latest_version))
    order by distribution.path limit ${limit}`.execute(reader);
  return rows;
}

/** What these paths serve. */
async function listDigests(
  reader: Reader,
  { manifest, among }: Sought,
  holders: readonly Holder[],
): Promise<readonly string[]> {
  const rows = await reader
    .selectFrom("signature")
    .crossJoin("membership")
    .innerJoin("signature_arrival", (join) =>
      join
        .onRef("signature_arrival.signature_digest", "=", "signature.digest")
        .onRef("signature_arrival.repository_id", "=", "membership.repository_id"),
    )
    .select(["signature.digest", "membership.repository_id", "membership.version_added", "membership.version_removed"])
    .whereRef("membership.unit_key", "=", "signature.digest")
    .where("signature.manifest_digest", "=", manifest)
    .where(among)
    .where("signature.format", "=", "simple-signing")
    .where("membership.unit_kind", "=", "signature")
    .where(
      "membership.repository_id",
      "in",
      holders.map((holder) => holder.repositoryId),
    )
    .orderBy("membership.version_added")
    .orderBy("signature_arrival.arrived_at")
    .orderBy("signature.digest")
    .execute();
  const byRepository = Map.groupBy(rows, (row) => row.repository_id);
  return holders.flatMap(({ repositoryId, version }) => {
    const own = byRepository.get(repositoryId) ?? [];
    const served = own.filter((row) => row.version_added <= version && (row.version_removed ?? Infinity) > version);
    return served.map((row) => row.digest);
  });
}
