/** Holds everything that is stored against everything that the database says of it. Reads only; `repair.ts` mends what can be. */
import { createHash } from "node:crypto";
import { sql } from "kysely";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Database, Reader } from "../db/database.ts";
import type { UnitKind } from "../db/schema.ts";
import { digestOf } from "./blob-repair.ts";
import { ContentError } from "./content-error.ts";
import { type ManifestFacts, readManifestFacts } from "./manifest-facts.ts";
import { type UnitRow, listDangling } from "./dangling.ts";
import { findLinkProblem } from "./manifest-links.ts";
import { findRowProblem, listUnarrived } from "./signature-rows.ts";
import { listUnindexed } from "./unindexed-signatures.ts";

/** Rows read at once: manifests of 4 MiB each stay below what a small machine has. */
const BATCH = 100;

/** What can be wrong. */
export type Fault =
  /** A row points at bytes that are not there. */
  | "blob-bytes-missing"
  /** Bytes are there, and are others. */
  | "blob-bytes-wrong"
  /** A version or pending list holds a unit that has no row. */
  | "unit-missing"
  /** A manifest's bytes are not those of its digest, or cannot be read. */
  | "manifest-wrong"
  /** The rows of what a manifest names, or is, are not what its bytes say: collection would take its blobs. */
  | "manifest-links-wrong"
  /** A signature's bytes are not those of its digest. */
  | "signature-wrong"
  /** What a row says of a signature, such as its image or its key, is not what its bytes say. */
  | "signature-row-wrong"
  /** A version holds a signature that no door shows, since the row is lost that says how it came. */
  | "signature-unlisted"
  /** The row of a tag that a version holds is lost, or is not what its key says. */
  | "tag-wrong"
  /** A version holds a manifest without a blob that it names. */
  | "image-incomplete"
  /** A version holds a tag or a signature without its manifest, or without one that carries it. */
  | "reference-dangling"
  /** A version holds a manifest that carries a signature, and not the signature: it came before the server knew its form. */
  | "signature-unindexed"
  /** An auditor's result is kept for a repository of which no version holds the signature. */
  | "recorded-result-dangling"
  /** A repository's latest version has no row or is not complete. */
  | "version-missing"
  /** Bytes in the blob store that no row names. Harmless: collection removes them. */
  | "stray-bytes";

/** One fault, with the thing that it is about. */
export interface Finding {
  readonly fault: Fault;
  /** A digest, a place in the blob store, or a repository with a unit. */
  readonly subject: string;
  readonly message: string;
  /** What a repair needs to know. */
  readonly location?: string;
  readonly repository?: number;
  readonly unit?: { readonly kind: UnitKind; readonly key: string };
}

export interface CheckOptions {
  /** Reads every blob and computes its digest, and what manifests carry; without it only sizes are compared. */
  readonly withContent: boolean;
  /** Milliseconds since 1970: bytes without a row are strays only when older. */
  readonly straysBefore: number;
  readonly onProgress?: (what: string, done: number) => void;
}

/** Yields every fault as it is found. While others write, a finding may be about a state that has passed: check again before repairing. */
export async function* checkContent(
  database: Database,
  store: BlobStore,
  options: CheckOptions,
): AsyncGenerator<Finding> {
  yield* checkBlobs(database, store, options);
  yield* checkManifests(database, options);
  yield* checkSignatures(database, options);
  yield* checkTags(database);
  yield* checkUnits(database);
  yield* checkImages(database);
  if (options.withContent) yield* checkCarried(database, store);
  yield* checkRecorded(database);
  yield* checkVersions(database);
  yield* checkStrays(database, store, options.straysBefore);
}

async function* checkBlobs(database: Database, store: BlobStore, options: CheckOptions): AsyncGenerator<Finding> {
  let last = "";
  for (let done = 0; ;) {
    const rows = await database.read
      .selectFrom("blob")
      .select(["digest", "size", "location"])
      .where("digest", ">", last)
      .orderBy("digest")
      .limit(BATCH)
      .execute();
    for (const row of rows) {
      const { digest: subject, location } = row;
      const size = await store.size(location);
      if (size === undefined) {
        yield { fault: "blob-bytes-missing", subject, location, message: `no bytes at ${location}` };
      } else if (size !== row.size) {
        const message = `${size} bytes at ${location} instead of ${row.size}`;
        yield { fault: "blob-bytes-wrong", subject, location, message };
      } else if (options.withContent) {
        const found = await digestOf(store, location, subject);
        if (found !== subject) {
          const message = `the bytes at ${location} have the digest ${found ?? "of no known kind"}`;
          yield { fault: "blob-bytes-wrong", subject, location, message };
        }
      }
    }
    done += rows.length;
    options.onProgress?.("blobs", done);
    if (rows.length < BATCH) return;
    last = rows.at(-1)!.digest;
  }
}

async function* checkManifests(database: Database, options: CheckOptions): AsyncGenerator<Finding> {
  let last: string | undefined = "";
  for (let done = 0; last !== undefined;) {
    const after: string = last;
    // One moment: a manifest that goes meanwhile takes its rows along.
    const batch = await database.snapshot((reader) => checkManifestBatch(reader, after));
    yield* batch.findings;
    done += batch.count;
    options.onProgress?.("manifests", done);
    last = batch.last;
  }
}

/** @returns with the digest behind which the next batch begins, where there is one */
async function checkManifestBatch(
  reader: Reader,
  after: string,
): Promise<{ readonly findings: readonly Finding[]; readonly count: number; readonly last: string | undefined }> {
  const rows = await reader
    .selectFrom("manifest")
    .select(["digest", "bytes", "media_type"])
    .where("digest", ">", after)
    .orderBy("digest")
    .limit(BATCH)
    .execute();
  const findings: Finding[] = [];
  for (const { digest: subject, bytes, media_type: mediaType } of rows) {
    const facts = tryReadFacts(subject, bytes, mediaType);
    if (typeof facts === "string") {
      findings.push({ fault: "manifest-wrong", subject, message: facts });
      continue;
    }
    const message = await findLinkProblem(reader, facts);
    if (message !== undefined) findings.push({ fault: "manifest-links-wrong", subject, message });
  }
  return { findings, count: rows.length, last: rows.length < BATCH ? undefined : rows.at(-1)!.digest };
}

/** What a manifest's bytes say, or what is wrong with them. */
function tryReadFacts(digest: string, bytes: Uint8Array, mediaType: string): ManifestFacts | string {
  try {
    return readManifestFacts(bytes, mediaType, digest);
  } catch (error) {
    if (error instanceof ContentError) return error.message;
    throw error;
  }
}

async function* checkSignatures(database: Database, options: CheckOptions): AsyncGenerator<Finding> {
  let last = "";
  for (let done = 0; ;) {
    const rows = await database.read
      .selectFrom("signature")
      .selectAll()
      .where("digest", ">", last)
      .orderBy("digest")
      .limit(BATCH)
      .execute();
    for (const row of rows) {
      const { digest } = row;
      const found = `sha256:${createHash("sha256").update(row.bytes).digest("hex")}`;
      const column = found === digest ? findRowProblem(row) : undefined;
      if (found !== digest) {
        yield { fault: "signature-wrong", subject: digest, message: `its bytes have the digest ${found}` };
      } else if (column !== undefined) {
        const message = `the column ${column} is not what its bytes say`;
        yield { fault: "signature-row-wrong", subject: digest, message };
      }
    }
    done += rows.length;
    options.onProgress?.("signatures", done);
    if (rows.length < BATCH) break;
    last = rows.at(-1)!.digest;
  }
  for (const one of await listUnarrived(database.read)) {
    const row = { ...one, unit_kind: "signature" as const };
    yield finding("signature-unlisted", row, "holds a signature that no door shows: no row says how it came");
  }
}

/** Tags, by which deletions find what goes with a manifest. */
async function* checkTags(database: Database): AsyncGenerator<Finding> {
  const { rows } = await sql<{ unit_key: string }>`
    select distinct m.unit_key from membership m left join tag t on t.key = m.unit_key
    where m.unit_kind = 'tag' and (t.key is null or t.key <> t.name || ' ' || t.manifest_digest)`.execute(
    database.read,
  );
  for (const { unit_key: subject } of rows)
    yield { fault: "tag-wrong", subject, message: "its row is missing, or names something else" };
}

/** Units that versions or pending lists hold and that have no row. */
async function* checkUnits(database: Database): AsyncGenerator<Finding> {
  for (const holder of ["membership", "pending"] as const) {
    const { rows } = await sql<UnitRow>`
      select distinct repository_id, unit_kind, unit_key from ${sql.table(holder)}
      where (unit_kind = 'blob' and not exists (select 1 from blob where digest = unit_key))
      or (unit_kind = 'manifest' and not exists (select 1 from manifest where digest = unit_key))
      or (unit_kind = 'signature' and not exists (select 1 from signature where digest = unit_key))`.execute(
      database.read,
    );
    for (const row of rows) {
      yield finding(
        "unit-missing",
        row,
        `${holder} holds a ${row.unit_kind} that is not stored; pushing its image again brings it back`,
      );
    }
  }
}

/** What the latest versions hold must be whole: blobs of manifests, manifests of tags and signatures. */
async function* checkImages(database: Database): AsyncGenerator<Finding> {
  const blobs = await sql<UnitRow & { blob_digest: string }>`
    select m.repository_id, m.unit_kind, m.unit_key, b.blob_digest
    from membership m join manifest_blob b on b.manifest_digest = m.unit_key
    where m.unit_kind = 'manifest' and m.version_removed is null
    and not exists (select 1 from membership h where h.repository_id = m.repository_id and h.unit_kind = 'blob'
      and h.unit_key = b.blob_digest and h.version_removed is null)`.execute(database.read);
  for (const row of blobs.rows) yield finding("image-incomplete", row, `lacks the blob ${row.blob_digest}`);
  for await (const { row, message } of listDangling(database.read)) yield finding("reference-dangling", row, message);
}

/** What manifests carry must be listed as signatures. */
async function* checkCarried(database: Database, store: BlobStore): AsyncGenerator<Finding> {
  for await (const { repositoryId, unit, signatures } of listUnindexed(database, store)) {
    const row = { repository_id: repositoryId, unit_kind: unit.kind, unit_key: unit.key };
    yield finding("signature-unindexed", row, `carries signatures that are not listed: ${signatures.join(", ")}`);
  }
}

/** What auditors recorded goes with the signature from the repository. */
async function* checkRecorded(database: Database): AsyncGenerator<Finding> {
  const { rows } = await sql<UnitRow>`
    select distinct r.repository_id, 'signature' as unit_kind, r.signature_digest as unit_key
    from recorded_verification r where not exists (select 1 from membership m
      where m.repository_id = r.repository_id and m.unit_kind = 'signature' and m.unit_key = r.signature_digest)`.execute(
    database.read,
  );
  for (const row of rows) {
    yield finding("recorded-result-dangling", row, "has recorded results of a signature that it does not hold");
  }
}

async function* checkVersions(database: Database): AsyncGenerator<Finding> {
  const { rows } = await sql<{ id: number; name: string; latest_version: number }>`
    select id, name, latest_version from repository r where latest_version > 0 and not exists
      (select 1 from repository_version v where v.repository_id = r.id and v.number = r.latest_version and complete = 1)`.execute(
    database.read,
  );
  for (const row of rows) {
    yield {
      fault: "version-missing",
      subject: row.name,
      message: `version ${row.latest_version} has no complete row`,
      repository: row.id,
    };
  }
}

async function* checkStrays(database: Database, store: BlobStore, before: number): AsyncGenerator<Finding> {
  for await (const { location, size, modifiedAt } of store.list()) {
    if (modifiedAt.getTime() >= before) continue;
    const row = await database.read
      .selectFrom("blob")
      .select("digest")
      .where("location", "=", location)
      .executeTakeFirst();
    if (row === undefined)
      yield { fault: "stray-bytes", subject: location, message: `${size} bytes that no row names` };
  }
}

function finding(fault: Fault, row: UnitRow, message: string): Finding {
  return {
    fault,
    subject: row.unit_key,
    message: `repository ${row.repository_id}: ${message}`,
    repository: row.repository_id,
    unit: { kind: row.unit_kind, key: row.unit_key },
  };
}
