/** Signatures that manifests of a repository carry and that it does not list: their carriers came before the server knew the form, or the rows of the index were lost. */
import { StoreError } from "@signet/core";
import { sql } from "kysely";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Database, Reader } from "../db/database.ts";
import { holdTrust } from "../trust/trust-change.ts";
import { planCarried } from "./carried-index.ts";
import {
  type CarriedSignature,
  SIGNATURE_ARTIFACT_TYPES,
  attachmentSubject,
  readCarried,
} from "./carried-signatures.ts";
import { ContentError } from "./content-error.ts";
import { readManifestFacts } from "./manifest-facts.ts";
import { commitVersion, isServed } from "./membership.ts";
import { splitTagKey } from "./names.ts";
import { type HeldVersion, lockRepository } from "./repositories.ts";
import type { CarryingUnit } from "./signature-carriers.ts";
import type { Unit } from "./units.ts";

/** Rows read at once. */
const BATCH = 100;

/** A unit of a repository's latest version with signatures that hang on it and are not listed. */
export interface UnindexedCarrier {
  readonly repositoryId: number;
  readonly unit: CarryingUnit;
  /** Digests. */
  readonly signatures: readonly string[];
}

/**
 * Yields every unit of a latest version that carries signatures which are not listed. What is malformed, about another image or withdrawn is passed over: a push of it would be refused, and
 * it is served as any manifest.
 */
export async function* listUnindexed(database: Database, store: BlobStore): AsyncGenerator<UnindexedCarrier> {
  for await (const { repositoryId, version, unit } of listCarrying(database.read)) {
    const held = { repositoryId, version, isPinned: false };
    const carried = await readUnit(database.read, store, held, unit);
    const signatures: string[] = [];
    for (const { digest } of carried)
      if (!(await isSettled(database.read, held, unit, digest))) signatures.push(digest);
    if (signatures.length > 0) yield { repositoryId, unit, signatures };
  }
}

/**
 * Lists the signatures that hang on a unit, in a new version.
 * @returns false when the unit is gone, or a rule forbids one of them
 */
export async function indexCarrier(
  database: Database,
  store: BlobStore,
  repositoryId: number,
  unit: Unit,
  now: number,
): Promise<boolean> {
  if (unit.kind !== "manifest" && unit.kind !== "tag") return false;
  const carrying: CarryingUnit = { kind: unit.kind, key: unit.key };
  try {
    const row = await database.read
      .selectFrom("repository")
      .select("latest_version")
      .where("id", "=", repositoryId)
      .executeTakeFirst();
    if (row === undefined) return false;
    const before = { repositoryId, version: row.latest_version, isPinned: false };
    const carried = await readUnit(database.read, store, before, carrying);
    return await database.write(async (writer) => {
      await holdTrust(writer);
      const repository = await lockRepository(writer, repositoryId);
      const held = { repositoryId, version: repository.latestVersion, isPinned: false };
      if (carried.length === 0 || !(await isServed(writer, held, unit))) return false;
      const add = await planCarried(writer, repository, carrierOf(carrying), carried, now);
      await commitVersion(writer, repository, { add, remove: [] }, "maintenance", now);
      return true;
    });
  } catch (error) {
    if (error instanceof ContentError) return false;
    throw error;
  }
}

interface CarryingRow {
  readonly repositoryId: number;
  readonly version: number;
  readonly unit: CarryingUnit;
}

/** Units of latest versions on which signatures may hang: tags by their name, referrers by their type. */
async function* listCarrying(reader: Reader): AsyncGenerator<CarryingRow> {
  const pages = [
    (key: string, id: number) => sql<{ repository_id: number; unit_key: string; latest_version: number }>`
      select m.repository_id, m.unit_key, r.latest_version from membership m join repository r on r.id = m.repository_id
      where m.unit_kind = 'tag' and m.version_removed is null and m.unit_key >= 'sha256-' and m.unit_key < 'sha256.'
      and (m.unit_key > ${key} or (m.unit_key = ${key} and m.repository_id > ${id}))
      order by m.unit_key, m.repository_id limit ${BATCH}`,
    (key: string, id: number) => sql<{ repository_id: number; unit_key: string; latest_version: number }>`
      select m.repository_id, m.unit_key, r.latest_version
      from manifest join membership m on m.unit_kind = 'manifest' and m.unit_key = manifest.digest
      join repository r on r.id = m.repository_id
      where manifest.subject_digest is not null and manifest.artifact_type in (${sql.join(SIGNATURE_ARTIFACT_TYPES)})
      and m.version_removed is null
      and (m.unit_key > ${key} or (m.unit_key = ${key} and m.repository_id > ${id}))
      order by m.unit_key, m.repository_id limit ${BATCH}`,
  ];
  for (const [index, page] of pages.entries()) {
    const kind = index === 0 ? "tag" : "manifest";
    for (let last: readonly [string, number] = ["", 0]; ;) {
      const { rows } = await page(...last).execute(reader);
      for (const row of rows) {
        if (kind === "tag" && attachmentSubject(splitTagKey(row.unit_key).name) === undefined) continue;
        yield { repositoryId: row.repository_id, version: row.latest_version, unit: { kind, key: row.unit_key } };
      }
      if (rows.length < BATCH) break;
      const { unit_key: key, repository_id: id } = rows.at(-1)!;
      last = [key, id];
    }
  }
}

function carrierOf(unit: CarryingUnit): string {
  return unit.kind === "tag" ? splitTagKey(unit.key).digest : unit.key;
}

/** The signatures that hang on a unit; none where a push of it would be refused, or where bytes are missing, which is a fault of its own. */
async function readUnit(
  reader: Reader,
  store: BlobStore,
  held: HeldVersion,
  unit: CarryingUnit,
): Promise<readonly CarriedSignature[]> {
  const digest = carrierOf(unit);
  const row = await reader
    .selectFrom("manifest")
    .select(["bytes", "media_type"])
    .where("digest", "=", digest)
    .executeTakeFirst();
  if (row === undefined) return [];
  try {
    const facts = readManifestFacts(row.bytes, row.media_type, digest);
    if (facts.kind !== "image") return [];
    const tags = unit.kind === "tag" ? [splitTagKey(unit.key).name] : [];
    const carried = await readCarried(reader, store, held, facts, tags);
    return carried.filter(({ tag }) => (tag === undefined) === (unit.kind === "manifest"));
  } catch (error) {
    if (error instanceof ContentError) return [];
    if (error instanceof StoreError && error.code === "blob-missing") return [];
    throw error;
  }
}

/** True for a signature that is listed by this unit, or that never will be. */
async function isSettled(reader: Reader, held: HeldVersion, unit: CarryingUnit, digest: string): Promise<boolean> {
  const withdrawn = await reader
    .selectFrom("tombstone")
    .select("subject")
    .where("kind", "=", "signature")
    .where("subject", "=", digest)
    .executeTakeFirst();
  if (withdrawn !== undefined) return true;
  const noted = await reader
    .selectFrom("signature_carrier")
    .select("signature_digest")
    .where("repository_id", "=", held.repositoryId)
    .where("signature_digest", "=", digest)
    .where("unit_kind", "=", unit.kind)
    .where("unit_key", "=", unit.key)
    .executeTakeFirst();
  return noted !== undefined && (await isServed(reader, held, { kind: "signature", key: digest }));
}
