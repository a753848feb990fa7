/**
 * Garbage collection, while serving: what no version holds, nothing waits for and nobody touched for a while goes; first the rows, in transactions that look again, then
 * the bytes. It may be stopped anywhere and begun again.
 */
import { setImmediate } from "node:timers/promises";
import { sql } from "kysely";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Database, Writer } from "../db/database.ts";
import type { UnitKind } from "../db/schema.ts";
import { listClosure } from "./closure.ts";
import { commitVersion } from "./membership.ts";
import { ContentError } from "./content-error.ts";
import { lockRepository } from "./repositories.ts";

/** Milliseconds that content is spared after it was last touched. A client that found a blob here pushes its manifest well within. */
export const DEFAULT_GRACE_MS: number = 60 * 60 * 1_000;
/** Milliseconds that an upload is kept after its last byte: a client that resumes does so the same day. */
const UPLOAD_TIME_MS = 24 * 60 * 60 * 1_000;
/** Rows of one transaction: some milliseconds, so that pushes hardly wait. */
const BATCH = 500;
/** Rows that one transaction looks at, most of which are held: some milliseconds. */
const WINDOW = 2_000;

/** What a collection did. */
export interface Collected {
  /** Pending manifests that were made part of a version, since nothing had named them. */
  readonly committedManifests: number;
  readonly expiredUploads: number;
  readonly manifests: number;
  readonly signatures: number;
  readonly blobs: number;
  /** Bytes of these blobs. */
  readonly bytes: number;
  /** Places in the blob store that no row named. */
  readonly strays: number;
}

export interface CollectionOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Milliseconds; default {@link DEFAULT_GRACE_MS}. 0 only where nothing else runs. */
  readonly graceMs?: number;
  /** Also looks through the whole blob store for places that no row names, as a crash leaves them. */
  readonly withStrays: boolean;
  readonly signal?: AbortSignal;
}

/** Collects once through everything. */
export async function collectGarbage(
  database: Database,
  store: BlobStore,
  options: CollectionOptions,
): Promise<Collected> {
  const { now, signal } = options;
  const before = now - (options.graceMs ?? DEFAULT_GRACE_MS);
  const committedManifests = await settlePending(database, before, now, signal);
  const expiredUploads = await expireUploads(database, store, now - UPLOAD_TIME_MS, signal);
  await deleteUnheld(database, "tag", before, signal);
  const signatures = await deleteUnheld(database, "signature", before, signal);
  const manifests = await deleteUnheld(database, "manifest", before, signal);
  let bytes = 0;
  const blobs = await deleteUnheld(database, "blob", before, signal, async ({ location, size }) => {
    await store.remove(location);
    bytes += size;
  });
  const strays = options.withStrays ? await removeStrays(database, store, before - UPLOAD_TIME_MS, signal) : 0;
  return { committedManifests, expiredUploads, manifests, signatures, blobs, bytes, strays };
}

/**
 * Pending manifests that nothing named in time become part of a version: whoever pushes by digest alone wants to keep what was pushed. Pending blobs that no manifest
 * names by then are given up.
 */
async function settlePending(
  database: Database,
  before: number,
  now: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const repositories = await database.read
    .selectFrom("pending")
    .select("repository_id")
    .distinct()
    .where("added_at", "<", before)
    .execute();
  let committed = 0;
  for (const { repository_id: id } of repositories) {
    signal?.throwIfAborted();
    const settled = database.write(async (writer) => {
      const repository = await lockRepository(writer, id);
      const rows = await writer
        .selectFrom("pending")
        .select("unit_key")
        .where("repository_id", "=", id)
        .where("unit_kind", "=", "manifest")
        .where("added_at", "<", before)
        .limit(BATCH)
        .execute();
      const add = [];
      for (const { unit_key: digest } of rows) add.push(...(await listClosure(writer, repository, digest)));
      if (add.length > 0) await commitVersion(writer, repository, { add, remove: [] }, "maintenance", now);
      if (rows.length < BATCH) await dropPendingBlobs(writer, id, before, now);
      return rows.length;
    });
    committed += await settled.catch((error: unknown) => {
      // Deleted meanwhile: nothing of it waits any more.
      if (error instanceof ContentError && error.problem === "repository-unknown") return 0;
      throw error;
    });
  }
  return committed;
}

/**
 * A blob that a younger pending manifest names stays. So do all while somebody pushes to the repository, up to the time that an upload has: a large layer may take longer to come than the others of its image
 * are spared, and a client that finds a blob here does not send it again.
 */
async function dropPendingBlobs(writer: Writer, repositoryId: number, before: number, now: number): Promise<void> {
  await sql`
    delete from pending where repository_id = ${repositoryId} and unit_kind = 'blob' and added_at < ${before}
    and (added_at < ${now - UPLOAD_TIME_MS} or not (
      exists (select 1 from upload where repository_id = ${repositoryId})
      or exists (select 1 from pending young where young.repository_id = ${repositoryId} and young.added_at >= ${before})))
    and not exists (select 1 from manifest_blob
      join pending named on named.unit_key = manifest_blob.manifest_digest
      where manifest_blob.blob_digest = pending.unit_key
      and named.repository_id = ${repositoryId} and named.unit_kind = 'manifest')`.execute(writer);
}

async function expireUploads(
  database: Database,
  store: BlobStore,
  before: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let expired = 0;
  for (;;) {
    signal?.throwIfAborted();
    const gone = await database.write(async (writer) => {
      const rows = await writer
        .selectFrom("upload")
        .select("id")
        .where("updated_at", "<", before)
        .limit(BATCH)
        .execute();
      if (rows.length === 0) return [];
      return await writer
        .deleteFrom("upload")
        .where(
          "id",
          "in",
          rows.map((row) => row.id),
        )
        .where("updated_at", "<", before)
        .returning(["received", "state"])
        .execute();
    });
    for (const { received, state } of gone) await store.abort({ received, details: state });
    expired += gone.length;
    if (gone.length < BATCH) return expired;
  }
}

/** Where each kind of unit has its rows, and what of a deleted row is of use. */
const unitTables = {
  blob: { table: "blob", key: "digest", returns: ["location", "size"] },
  manifest: { table: "manifest", key: "digest", returns: ["digest"] },
  signature: { table: "signature", key: "digest", returns: ["digest"] },
  tag: { table: "tag", key: "key", returns: ["key"] },
} as const satisfies Record<UnitKind, { table: string; key: string; returns: readonly string[] }>;

interface UnheldRow {
  readonly location: string;
  readonly size: number;
}

/**
 * Deletes the rows of one kind that nothing holds, by windows of their keys, each a transaction: in a large registry nearly all is held, and to look through it takes seconds.
 * @param remove is told of each row, once it is gone for good
 * @returns how many they were
 */
async function deleteUnheld(
  database: Database,
  kind: UnitKind,
  before: number,
  signal: AbortSignal | undefined,
  remove?: (row: UnheldRow) => Promise<void>,
): Promise<number> {
  const { table, key } = unitTables[kind];
  let count = 0;
  for (let after: string | undefined = ""; after !== undefined;) {
    signal?.throwIfAborted();
    const { rows }: { rows: readonly { key: string }[] } = await sql<{ key: string }>`
      select ${sql.ref(key)} as key from ${sql.table(table)} where ${sql.ref(key)} > ${after}
      order by ${sql.ref(key)} limit 1 offset ${WINDOW - 1}`.execute(database.read);
    const last: string | undefined = rows[0]?.key;
    const gone = await deleteWindow(database, kind, before, after, last);
    for (const row of gone) await remove?.(row);
    count += gone.length;
    after = last;
    // SQLite answers without ever going through the event loop: requests must come between two windows.
    await setImmediate();
  }
  return count;
}

/**
 * Deletes what nothing holds of the rows behind one key, up to another where there is one. The age is compared twice: a row that another transaction touches meanwhile is looked at again by
 * PostgreSQL when that one has committed, and then is young; what held it then is in no snapshot yet.
 */
async function deleteWindow(
  database: Database,
  kind: UnitKind,
  before: number,
  after: string,
  last: string | undefined,
): Promise<readonly UnheldRow[]> {
  const { table, key, returns } = unitTables[kind];
  const unheld = sql`
    select ${sql.ref(`${table}.${key}`)} from ${sql.table(table)}
    where ${sql.ref(`${table}.${key}`)} > ${after}
    and ${last === undefined ? sql`1 = 1` : sql`${sql.ref(`${table}.${key}`)} <= ${last}`}
    and touched_at < ${before}
    and not exists (select 1 from membership where unit_kind = ${kind} and unit_key = ${sql.ref(`${table}.${key}`)})
    and not exists (select 1 from pending where unit_kind = ${kind} and unit_key = ${sql.ref(`${table}.${key}`)})
    limit ${WINDOW}`;
  return await database.write(async (writer) => {
    const { rows } = await sql<UnheldRow>`
      delete from ${sql.table(table)}
      where ${sql.ref(key)} in (${unheld}) and touched_at < ${before}
      returning ${sql.join(returns.map((column) => sql.ref(column)))}`.execute(writer);
    return rows;
  });
}

/**
 * Places that no row names, such as those of an upload whose process was killed before its row was written. Young ones may be about to get their row, or be parts of an
 * upload: so they must be older than any upload can be.
 */
async function removeStrays(
  database: Database,
  store: BlobStore,
  before: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let strays = 0;
  let batch: string[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return;
    // As a transaction: that a row is gone must be durable before its bytes go.
    const rows = await database.write((writer) =>
      writer.selectFrom("blob").select("location").where("location", "in", batch).execute(),
    );
    const known = new Set(rows.map((row) => row.location));
    for (const location of batch) {
      if (known.has(location)) continue;
      await store.remove(location);
      strays += 1;
    }
    batch = [];
  };
  for await (const { location, modifiedAt } of store.list()) {
    signal?.throwIfAborted();
    if (modifiedAt.getTime() >= before) continue;
    batch.push(location);
    if (batch.length === BATCH) await flush();
  }
  await flush();
  strays += await store.removeStaleUploads(new Date(before), async (mark) => {
    const row = await database.read
      .selectFrom("upload")
      .select("id")
      .where("state", "like", `%${mark}%`)
      .executeTakeFirst();
    return row !== undefined;
  });
  return strays;
}
