/** Signatures of an image or a repository with what is known of them: what each claims, unverified, and how the server judged it. */
import { type SqlBool, sql } from "kysely";
import type { Reader } from "../db/database.ts";
import type { SignatureFormat } from "../db/schema.ts";
import { nameCarried } from "./carried-index.ts";
import { inVersion } from "./membership.ts";
import type { ServedRepository } from "./repositories.ts";
import { carrying, signaturesOf } from "./signature-carriers.ts";

/** One signature as it is listed. */
export interface ListedSignature {
  readonly digest: string;
  readonly manifest: string;
  readonly format: SignatureFormat;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Manifests that carry it, at most {@link MAX_LISTED_CARRIERS}; none for one that came by itself. */
  readonly carriers: readonly ListedCarrier[];
  /** Milliseconds since 1970, UTC. */
  readonly createdAt: number;
  readonly unverifiedClaims: {
    readonly reference: string | undefined;
    /** Milliseconds since 1970, UTC. */
    readonly signedAt: number | undefined;
    readonly creator: string | undefined;
    readonly keyId: string | undefined;
    readonly fingerprint: string | undefined;
  };
  /** The newest judgement; undefined for formats that the server does not verify. */
  readonly judgement: ListedJudgement | undefined;
}

/** A manifest that carries a signature. */
export interface ListedCarrier {
  readonly digest: string;
  /** The image that it is a signature of there. */
  readonly image: string;
  /** Where it is one by its tag. */
  readonly tag: string | undefined;
}

/** Carriers that are named with one signature: genuine ones have one or two. Whoever deletes those that are named is told of the others. */
export const MAX_LISTED_CARRIERS = 16;

export interface ListedJudgement {
  readonly verdict: "accepted" | "rejected" | "unknown-key";
  /** Fingerprint of the primary key; only when accepted. */
  readonly signer: string | undefined;
  readonly keyringVersion: number;
  /** Milliseconds since 1970, UTC. */
  readonly verifiedAt: number;
  readonly validUntil: number | undefined;
  /** JSON: the checks that were made, and why it was rejected. */
  readonly evidence: string;
}

/**
 * The signatures under a path, each once, in the order of their digests, after `last`.
 * @param manifest only those of this manifest, and their carriers as such
 */
export async function listSignatureFacts(
  reader: Reader,
  served: ServedRepository,
  manifest: string | undefined,
  last: string,
  limit: number,
): Promise<readonly ListedSignature[]> {
  const found: ListedSignature[] = [];
  for (let after = last; found.length < limit;) {
    const wanted = limit - found.length;
    const batch = await readFacts(reader, served, manifest, after, wanted);
    // What no manifest of the version carries any more, such as beside one that was withdrawn from a pinned version, is nobody's signature.
    found.push(...batch.filter((one) => one.format === "simple-signing" || one.carriers.length > 0));
    if (batch.length < wanted) break;
    after = batch.at(-1)!.digest;
  }
  return found;
}

async function readFacts(
  reader: Reader,
  served: ServedRepository,
  manifest: string | undefined,
  last: string,
  limit: number,
): Promise<readonly ListedSignature[]> {
  const { repositoryId, version } = served;
  const among =
    manifest === undefined ? sql<SqlBool>`1 = 1` : sql<SqlBool>`signature_carrier.image_digest = ${manifest}`;
  const carriers = sql<string | null>`(
    select string_agg(named.entry, ',') from (
      select signature_carrier.carrier_digest || ' ' || signature_carrier.image_digest
        || case when signature_carrier.unit_kind = 'tag' then ' ' || signature_carrier.unit_key else '' end as entry
      from ${carrying(repositoryId, version, sql<SqlBool>`signature_carrier.signature_digest = signature.digest and ${among}`)}
      order by signature_carrier.carrier_digest, signature_carrier.unit_kind, signature_carrier.unit_key
      limit ${MAX_LISTED_CARRIERS}
    ) as named)`;
  const ofManifest = sql<SqlBool>`membership.unit_key in (${signaturesOf(served, manifest ?? "")})`;
  const rows = await reader
    .selectFrom("membership")
    .innerJoin("signature", "signature.digest", "membership.unit_key")
    .innerJoin("signature_arrival", (join) =>
      join
        .onRef("signature_arrival.signature_digest", "=", "signature.digest")
        .onRef("signature_arrival.repository_id", "=", "membership.repository_id"),
    )
    .leftJoin("verification", (join) =>
      join.on("verification.id", "=", (expression) =>
        expression
          .selectFrom("verification as newest")
          .select("newest.id")
          .whereRef("newest.signature_digest", "=", "signature.digest")
          .orderBy("newest.id", "desc")
          .limit(1),
      ),
    )
    .select([
      "signature.digest",
      "signature.manifest_digest",
      "signature.format",
      "signature_arrival.name",
      "signature_arrival.arrived_at",
      "signature.claimed_reference",
      "signature.claimed_at",
      "signature.claimed_creator",
      "signature.claimed_key_id",
      "signature.claimed_fingerprint",
      "verification.verdict",
      "verification.signer",
      "verification.keyring_version",
      "verification.verified_at",
      "verification.valid_until",
      "verification.evidence",
    ])
    .select(sql<number>`length(signature.bytes)`.as("size"))
    .select(carriers.as("carriers"))
    .where("membership.repository_id", "=", repositoryId)
    .where("membership.unit_kind", "=", "signature")
    .where("membership.unit_key", ">", last)
    .where(inVersion(version))
    .$if(manifest !== undefined, (query) => query.where(ofManifest))
    .orderBy("membership.unit_key")
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    digest: row.digest,
    ...describeCarried(row),
    format: row.format,
    size: row.size,
    createdAt: row.arrived_at,
    unverifiedClaims: {
      reference: row.claimed_reference ?? undefined,
      signedAt: row.claimed_at ?? undefined,
      creator: row.claimed_creator ?? undefined,
      keyId: row.claimed_key_id ?? undefined,
      fingerprint: row.claimed_fingerprint ?? undefined,
    },
    judgement:
      row.verdict === null
        ? undefined
        : {
            verdict: row.verdict,
            signer: row.signer ?? undefined,
            keyringVersion: row.keyring_version!,
            // One that was made for another repository counts from the arrival here: nobody learns that there is one.
            verifiedAt: Math.max(row.verified_at!, row.arrived_at),
            validUntil: row.valid_until ?? undefined,
            evidence: row.evidence!,
          },
  }));
}

/** What a signature that manifests carry is about, and its name, say the carriers in this repository: whatever it was first in another one. */
function describeCarried(row: {
  readonly digest: string;
  readonly manifest_digest: string;
  readonly name: string;
  readonly carriers: string | null;
}): Pick<ListedSignature, "carriers" | "manifest" | "name"> {
  const entries = row.carriers?.split(",").toSorted() ?? [];
  const carriers = entries.map((entry) => {
    const [digest = "", image = "", tag] = entry.split(" ");
    return { digest, image, tag };
  });
  const image = carriers[0]?.image;
  if (image === undefined) return { manifest: row.manifest_digest, name: row.name, carriers };
  return { manifest: image, name: nameCarried(image, row.digest), carriers };
}

/** The bytes of some signatures, by digest. Which of them a path serves was asked before. */
export async function readSignatureBytes(
  reader: Reader,
  digests: readonly string[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  if (digests.length === 0) return new Map();
  const rows = await reader
    .selectFrom("signature")
    .select(["digest", "bytes"])
    .where("digest", "in", digests)
    .execute();
  return new Map(rows.map((row) => [row.digest, row.bytes]));
}
