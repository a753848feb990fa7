/**
 * Which manifests of a repository carry a signature. Each row hangs on a unit, the referrer or the tag, and counts in those versions that hold the unit; so what a tag or a manifest that comes or
 * goes means for signatures follows from membership, and no row has to be removed with it.
 */
import { type RawBuilder, type SqlBool, sql } from "kysely";
import type { Writer } from "../db/database.ts";
import { inVersion } from "./membership.ts";
import type { HeldVersion, LockedRepository } from "./repositories.ts";
import { type Unit, batches } from "./units.ts";

/** A unit that signatures can hang on. */
export interface CarryingUnit extends Unit {
  readonly kind: "manifest" | "tag";
}

/** One signature in one manifest. */
export interface SignatureCarrier {
  readonly signature: string;
  readonly unit: CarryingUnit;
  readonly image: string;
  readonly carrier: string;
}

/** Notes a carrier, in the transaction that makes its unit part of the repository. */
export async function noteCarrier(writer: Writer, repositoryId: number, noted: SignatureCarrier): Promise<void> {
  await writer
    .insertInto("signature_carrier")
    .values({
      repository_id: repositoryId,
      signature_digest: noted.signature,
      unit_kind: noted.unit.kind,
      unit_key: noted.unit.key,
      image_digest: noted.image,
      carrier_digest: noted.carrier,
    })
    .onConflict((conflict) =>
      conflict.columns(["repository_id", "signature_digest", "unit_kind", "unit_key"]).doNothing(),
    )
    .execute();
}

/**
 * Rows of `signature_carrier` of one repository with the memberships that make them count in a version, to be selected from. Written as a cross join, since that is the order in which SQLite then joins:
 * few rows carry a signature or are about an image, and many units are in a version.
 */
export function carrying(repositoryId: number, version: number, condition: RawBuilder<SqlBool>): RawBuilder<unknown> {
  return sql`signature_carrier cross join membership as holder
    where signature_carrier.repository_id = ${repositoryId} and ${condition}
    and holder.repository_id = signature_carrier.repository_id
    and holder.unit_kind = signature_carrier.unit_kind and holder.unit_key = signature_carrier.unit_key
    and holder.version_added <= ${version} and (holder.version_removed is null or holder.version_removed > ${version})`;
}

/** A query for the digests of the signatures that are of an image in a version; those of simple signing from whichever repository, so that membership is to be asked for besides. */
export function signaturesOf(
  { repositoryId, version }: Pick<HeldVersion, "repositoryId" | "version">,
  image: string,
): RawBuilder<unknown> {
  const among = sql<SqlBool>`signature_carrier.image_digest = ${image}`;
  return sql`select digest from signature where manifest_digest = ${image} and format = 'simple-signing'
    union all select signature_digest from ${carrying(repositoryId, version, among)}`;
}

/** Signatures that the latest version holds because of these units, and of no others. */
export async function listUncarried(
  writer: Writer,
  repository: LockedRepository,
  leaving: readonly Unit[],
): Promise<readonly Unit[]> {
  const gone = new Set(leaving.map(unitName));
  const candidates = new Set<string>();
  for (const kind of ["manifest", "tag"] as const) {
    for (const batch of batches(leaving.filter((unit) => unit.kind === kind).map((unit) => unit.key))) {
      const rows = await writer
        .selectFrom("signature_carrier")
        .crossJoin("membership")
        // The second column is of no use here: without it the primary key holds all that is asked for, and SQLite would look through all carriers of the repository there.
        .select(["signature_carrier.signature_digest", "signature_carrier.image_digest"])
        .whereRef("membership.repository_id", "=", "signature_carrier.repository_id")
        .whereRef("membership.unit_key", "=", "signature_carrier.signature_digest")
        .where("signature_carrier.repository_id", "=", repository.id)
        .where("signature_carrier.unit_kind", "=", kind)
        .where("signature_carrier.unit_key", "in", batch)
        .where("membership.unit_kind", "=", "signature")
        .where(inVersion(repository.latestVersion))
        .execute();
      for (const row of rows) candidates.add(row.signature_digest);
    }
  }
  for (const batch of batches([...candidates])) {
    const others = await listCarrying(writer, repository, batch);
    for (const { signature, unit } of others) if (!gone.has(unitName(unit))) candidates.delete(signature);
  }
  return [...candidates].map((key) => ({ kind: "signature", key }));
}

/** The units of the latest version on which these signatures hang. */
async function listCarrying(
  writer: Writer,
  repository: LockedRepository,
  signatures: readonly string[],
): Promise<readonly { readonly signature: string; readonly unit: CarryingUnit }[]> {
  const { rows } = await sql<{ signature_digest: string; unit_kind: "manifest" | "tag"; unit_key: string }>`
    select signature_carrier.signature_digest, signature_carrier.unit_kind, signature_carrier.unit_key
    from ${carrying(repository.id, repository.latestVersion, sql`signature_carrier.signature_digest in (${sql.join(signatures)})`)}`.execute(
    writer,
  );
  return rows.map((row) => ({
    signature: row.signature_digest,
    unit: { kind: row.unit_kind, key: row.unit_key },
  }));
}

/** How many units of the latest version each of these signatures hangs on, without those of `except`. */
export async function countCarriers(
  writer: Writer,
  repository: LockedRepository,
  signatures: readonly string[],
  except: readonly Unit[],
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  const passed = new Set(except.map(unitName));
  for (const { signature, unit } of await listCarrying(writer, repository, signatures))
    if (!passed.has(unitName(unit))) counts.set(signature, (counts.get(signature) ?? 0) + 1);
  return counts;
}

/** How many signatures of an image manifests of the latest version carry, without those of `except`. */
export async function countCarried(
  writer: Writer,
  repository: LockedRepository,
  image: string,
  except: readonly string[],
): Promise<number> {
  const { rows } = await sql<{ count: number | string }>`
    select count(distinct signature_carrier.signature_digest) as count
    from ${carrying(
      repository.id,
      repository.latestVersion,
      sql`signature_carrier.image_digest = ${image} and signature_carrier.signature_digest not in (${sql.join(except)})`,
    )}`.execute(writer);
  return Number(rows[0]?.count ?? 0);
}

function unitName(unit: Unit): string {
  return `${unit.kind} ${unit.key}`;
}
