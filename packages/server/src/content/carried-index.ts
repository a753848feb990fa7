/** Membership of signatures that manifests carry: a version holds one as long as it holds a tag or a referrer that carries it. */
import { type SqlBool, sql } from "kysely";
import type { Reader, Writer } from "../db/database.ts";
import type { CarriedSignature } from "./carried-signatures.ts";
import { claimColumns } from "./claim-columns.ts";
import { ContentError } from "./content-error.ts";
import type { Unit } from "./units.ts";
import { tagKey } from "./names.ts";
import type { HeldVersion, LockedRepository } from "./repositories.ts";
import { noteArrival } from "./signature-arrivals.ts";
import { type CarryingUnit, carrying, countCarried, countCarriers, noteCarrier } from "./signature-carriers.ts";
import { refuseWithdrawn } from "./tombstones.ts";

/** Signatures of one image that come as manifests: several times what clients read. */
const MAX_CARRIED = 512;
/** Manifests of one repository that carry the same signature: cosign's older form repeats all earlier signatures in each new manifest, so as many as an image may have signatures. */
const MAX_CARRIERS: number = MAX_CARRIED;

/** Characters of a digest that a name of a carried signature has at its end, as in the names that containers/image makes. */
const NAME_DIGITS = 32;

/** The name of a signature of an image that a manifest carries. */
export function nameCarried(image: string, signature: string): string {
  return `${image}@${signature.slice("sha256:".length, "sha256:".length + NAME_DIGITS)}`;
}

/** A manifest that carries the signature of an image with this name, in what is served; undefined when no manifest does. */
export async function findCarrier(
  reader: Reader | Writer,
  { repositoryId, version }: HeldVersion,
  image: string,
  name: string,
): Promise<string | undefined> {
  const digits = name.slice(`${image}@`.length);
  if (name !== `${image}@${digits}` || digits.length !== NAME_DIGITS || !/^[0-9a-f]+$/.test(digits)) return undefined;
  const [from, to] = [`sha256:${digits}`, `sha256:${digits}g`];
  const { rows } = await sql<{ carrier_digest: string }>`
    select signature_carrier.carrier_digest from ${carrying(
      repositoryId,
      version,
      sql<SqlBool>`signature_carrier.image_digest = ${image}
        and signature_carrier.signature_digest >= ${from} and signature_carrier.signature_digest < ${to}`,
    )} order by signature_carrier.carrier_digest limit 1`.execute(reader);
  return rows[0]?.carrier_digest;
}

/**
 * Notes the signatures that a manifest carries, which is about to be part of the repository.
 *
 * @param carrier the manifest
 * @returns what comes into the next version with it
 * @throws ContentError `signature-withdrawn`, `signatures-too-many`
 */
export async function planCarried(
  writer: Writer,
  repository: LockedRepository,
  carrier: string,
  carried: readonly CarriedSignature[],
  now: number,
): Promise<readonly Unit[]> {
  if (carried.length === 0) return [];
  const add: Unit[] = [];
  const units: CarryingUnit[] = [];
  for (const signature of carried) {
    await refuseWithdrawn(writer, signature.digest, undefined);
    if (!(await insertCarried(writer, signature, now))) continue;
    const { digest, manifestDigest: image, tag } = signature;
    const name = nameCarried(image, digest);
    await noteArrival(writer, { repositoryId: repository.id, digest, name }, now);
    const unit: CarryingUnit =
      tag === undefined ? { kind: "manifest", key: carrier } : { kind: "tag", key: tagKey(tag, carrier) };
    await noteCarrier(writer, repository.id, { signature: digest, unit, image, carrier });
    units.push(unit);
    add.push({ kind: "signature", key: digest });
  }
  if (add.length === 0) return [];
  const digests = [...new Set(add.map((unit) => unit.key))];
  for (const image of new Set(carried.map((one) => one.manifestDigest))) {
    if ((await countCarried(writer, repository, image, digests)) + digests.length > MAX_CARRIED) {
      throw new ContentError("signatures-too-many", `the image has ${MAX_CARRIED} signatures in manifests already`);
    }
  }
  for (const [digest, count] of await countCarriers(writer, repository, digests, units)) {
    if (count >= MAX_CARRIERS) {
      throw new ContentError("signatures-too-many", `${MAX_CARRIERS} manifests carry the signature ${digest} already`);
    }
  }
  return add;
}

/**
 * Returns false where the same bytes are known as a signature of another format. What makes a format's bytes excludes those of OpenPGP signatures; of two that are both carried, the first counts.
 */
async function insertCarried(writer: Writer, signature: CarriedSignature, now: number): Promise<boolean> {
  const { digest, manifestDigest, format, bytes, claims } = signature;
  const row = await writer
    .insertInto("signature")
    .values({
      digest,
      manifest_digest: manifestDigest,
      format,
      ...claimColumns(claims),
      claimed_key_id: null,
      claimed_fingerprint: null,
      bytes,
      created_at: now,
      touched_at: now,
    })
    .onConflict((conflict) => conflict.column("digest").doUpdateSet({ touched_at: now }))
    .returning("format")
    .executeTakeFirstOrThrow();
  return row.format === format;
}
