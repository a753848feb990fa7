/** Signatures of an image or a repository with what is known of them: what each claims, unverified, and how the server judged it. */
import { sql } from "kysely";
import type { Reader } from "../db/database.ts";
import type { SignatureFormat } from "../db/schema.ts";
import { inVersion } from "./membership.ts";
import type { ServedRepository } from "./repositories.ts";

/** One signature as it is listed. */
export interface ListedSignature {
  readonly digest: string;
  readonly manifest: string;
  readonly format: SignatureFormat;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The manifest that carries it, where it came as one. */
  readonly carrier: string | undefined;
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
 * The signatures under a path, in the order of their digests, after `last`.
 * @param manifest only those of this manifest
 */
export async function listSignatureFacts(
  reader: Reader,
  served: ServedRepository,
  manifest: string | undefined,
  last: string,
  limit: number,
): Promise<readonly ListedSignature[]> {
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
      "signature_arrival.carrier_digest",
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
    .where("membership.repository_id", "=", served.repositoryId)
    .where("membership.unit_kind", "=", "signature")
    .where("membership.unit_key", ">", last)
    .where(inVersion(served.version))
    .$if(manifest !== undefined, (query) => query.where("signature.manifest_digest", "=", manifest!))
    .orderBy("membership.unit_key")
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    digest: row.digest,
    manifest: row.manifest_digest,
    format: row.format,
    name: row.name,
    size: row.size,
    carrier: row.carrier_digest ?? undefined,
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
