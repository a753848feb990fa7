/** What the tables say of a signature beside its bytes. Doors list by these rows, and whoever withdraws a key finds its signatures by them. */
import { readUntrustedClaims, tryParseDigest } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { sql } from "kysely";
import type { Reader, Writer } from "../db/database.ts";
import type { SignatureFormat } from "../db/schema.ts";
import { nameCarried } from "./carried-index.ts";
import { ContentError } from "./content-error.ts";
import { noteArrival } from "./signature-arrivals.ts";
import { lockRepository } from "./repositories.ts";
import { readSignature, signatureColumns } from "./signatures.ts";

/** A signature as its row has it. */
export interface SignatureRow extends ReturnType<typeof signatureColumns> {
  readonly digest: string;
  readonly manifest_digest: string;
  readonly format: SignatureFormat;
  readonly bytes: Uint8Array;
}

/** The column that is not what the signature's bytes say; undefined where there is none. Of signatures that manifests carry nothing is asked: those rows are about all their carriers. */
export function findRowProblem(row: SignatureRow): keyof SignatureRow | undefined {
  const said = row.format === "simple-signing" ? readColumns(row.bytes) : undefined;
  if (said === undefined) return undefined;
  return (Object.keys(said) as (keyof typeof said)[]).find((column) => said[column] !== row[column]);
}

/**
 * Writes a signature's columns anew from its bytes.
 * @returns false where it is gone, or its bytes do not say
 */
export async function rewriteSignatureRow(writer: Writer, digest: string): Promise<boolean> {
  const row = await writer
    .selectFrom("signature")
    .select(["bytes", "format"])
    .where("digest", "=", digest)
    .executeTakeFirst();
  const said = row?.format === "simple-signing" ? readColumns(row.bytes) : undefined;
  if (said === undefined) return false;
  // Each counts the change, so that answers that are kept are not given again.
  const holders = await writer
    .selectFrom("membership")
    .select("repository_id")
    .distinct()
    .where("unit_kind", "=", "signature")
    .where("unit_key", "=", digest)
    .orderBy("repository_id")
    .execute();
  for (const { repository_id: id } of holders) await lockRepository(writer, id);
  await writer.updateTable("signature").set(said).where("digest", "=", digest).execute();
  return true;
}

/** What bytes say that were checked on arrival; undefined for what could not be stored today. */
function readColumns(
  bytes: Uint8Array,
): ({ readonly manifest_digest: string } & ReturnType<typeof signatureColumns>) | undefined {
  const manifest = tryParseDigest(readUntrustedClaims(bytes, nodeEngine).manifestDigest ?? "");
  if (manifest === undefined) return undefined;
  try {
    return { manifest_digest: manifest, ...signatureColumns(readSignature(bytes, manifest)) };
  } catch (error) {
    if (error instanceof ContentError) return undefined;
    throw error;
  }
}

/** Signatures of latest versions of which no row says how they came: no door shows them. */
export async function listUnarrived(
  reader: Reader,
): Promise<readonly { readonly repository_id: number; readonly unit_key: string }[]> {
  const { rows } = await sql<{ repository_id: number; unit_key: string }>`
    select m.repository_id, m.unit_key from membership m
    where m.unit_kind = 'signature' and m.version_removed is null
    and exists (select 1 from signature where digest = m.unit_key)
    and not exists (select 1 from signature_arrival a
      where a.repository_id = m.repository_id and a.signature_digest = m.unit_key)`.execute(reader);
  return rows;
}

/**
 * Writes such a row, with the name that the server gives where a client gave none.
 * @returns false where the signature is gone
 */
export async function rewriteArrival(
  writer: Writer,
  repositoryId: number,
  digest: string,
  now: number,
): Promise<boolean> {
  const row = await writer
    .selectFrom("signature")
    .select(["manifest_digest", "created_at"])
    .where("digest", "=", digest)
    .executeTakeFirst();
  if (row === undefined) return false;
  const known = await writer
    .selectFrom("signature_arrival")
    .select("name")
    .where("repository_id", "=", repositoryId)
    .where("signature_digest", "=", digest)
    .executeTakeFirst();
  if (known === undefined)
    await noteArrival(writer, { repositoryId, digest, name: nameCarried(row.manifest_digest, digest) }, now);
  return true;
}
