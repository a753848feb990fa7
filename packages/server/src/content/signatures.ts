/** Signatures as content: one object each, whatever door it came through, held by repositories beside the manifest that it is about. */
import { createHash } from "node:crypto";
import {
  MAX_SIGNATURES_PER_MANIFEST,
  MAX_SIGNATURE_BYTES,
  type UntrustedClaims,
  type UntrustedSignedMessage,
  inspectSignedMessage,
  parseSignatureBlob,
  readUntrustedClaims,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { Database, Reader, Writer } from "../db/database.ts";
import { holdTrust } from "../trust/trust-change.ts";
import type { SignatureVerifier } from "../trust/verification.ts";
import { claimColumns } from "./claim-columns.ts";
import { listClosure } from "./closure.ts";
import { ContentError } from "./content-error.ts";
import { commitVersion, inVersion, isServed } from "./membership.ts";
import type { Unit } from "./units.ts";
import { findCarrier } from "./carried-index.ts";
import { refuseOverQuota } from "./quotas.ts";
import { noteArrival } from "./signature-arrivals.ts";
import { type ServedRepository, lockServed } from "./repositories.ts";
import { refuseWithdrawn } from "./tombstones.ts";

/**
 * Bytes of all signatures of one manifest as clients read them in one answer: they stop at 4 MiB, and base64 with its frame takes a third more. A repository that let
 * more in would make every signature of the image unreadable.
 */
const MAX_TOTAL_BYTES = 2_900_000;

/** A signature that a path serves. */
export interface StoredSignature {
  readonly digest: string;
  /** Its name at the signatures extension: `DIGEST@…`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A signature of simple signing as it arrives. What it claims is unverified. */
export interface ArrivedSignature {
  readonly digest: string;
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly claims: UntrustedClaims;
  readonly fingerprint: string | undefined;
}

/**
 * Takes a signature apart as it arrives: an OpenPGP message with a payload of simple signing about just this manifest. Not checked: whether it verifies.
 *
 * @param name for the signatures extension; made from the content where undefined
 * @throws ContentError `signature-invalid` with the reason
 */
export function readSignature(bytes: Uint8Array, manifestDigest: string, name?: string): ArrivedSignature {
  if (bytes.length === 0) throw new ContentError("signature-invalid", "the signature is empty");
  if (bytes.length > MAX_SIGNATURE_BYTES) {
    throw new ContentError("signature-invalid", `a signature may have ${MAX_SIGNATURE_BYTES} bytes at most`);
  }
  const claims = readUntrustedClaims(bytes, nodeEngine);
  const message = claims.manifestDigest === undefined ? undefined : readMessage(bytes);
  if (message === undefined) {
    throw new ContentError("signature-invalid", "not an OpenPGP message that signs a container image (simple signing)");
  }
  if (message.trailingOctets > 0) {
    throw new ContentError("signature-invalid", `${message.trailingOctets} bytes follow the OpenPGP message`);
  }
  if (claims.manifestDigest !== manifestDigest) {
    throw new ContentError("signature-invalid", `the signature is about another image, ${claims.manifestDigest}`, {
      digest: manifestDigest,
    });
  }
  // Without containers/image's frame, which old clients do not know.
  const hex = createHash("sha256").update(message.raw).digest("hex");
  return {
    digest: `sha256:${hex}`,
    name: name ?? `${manifestDigest}@${hex.slice(0, 32)}`,
    bytes: message.raw,
    claims,
    fingerprint: message.fingerprint,
  };
}

/** The columns of the table `signature` that its bytes decide, but for the image. */
export function signatureColumns({ claims, fingerprint }: ArrivedSignature): {
  claimed_reference: string | null;
  claimed_creator: string | null;
  claimed_at: number | null;
  claimed_key_id: string | null;
  claimed_fingerprint: string | null;
} {
  return {
    ...claimColumns({ ...claims, reference: claims.dockerReference }),
    claimed_key_id: claims.keyId ?? null,
    claimed_fingerprint: fingerprint ?? null,
  };
}

function readMessage(bytes: Uint8Array): UntrustedSignedMessage | undefined {
  const blob = parseSignatureBlob(bytes);
  return blob.format === "simple-signing" ? inspectSignedMessage(blob.message, nodeEngine) : undefined;
}

/** The signatures of simple signing of a manifest that this path serves, oldest first; the order does not change as others come. */
export async function listSignatures(
  reader: Reader | Writer,
  served: ServedRepository,
  manifestDigest: string,
): Promise<readonly StoredSignature[]> {
  return await reader
    .selectFrom("signature")
    .crossJoin("membership")
    .innerJoin("signature_arrival", (join) =>
      join
        .onRef("signature_arrival.signature_digest", "=", "signature.digest")
        .onRef("signature_arrival.repository_id", "=", "membership.repository_id"),
    )
    .select(["signature.digest", "signature_arrival.name", "signature.bytes"])
    .whereRef("membership.unit_key", "=", "signature.digest")
    .where("signature.manifest_digest", "=", manifestDigest)
    .where("signature.format", "=", "simple-signing")
    .where("membership.repository_id", "=", served.repositoryId)
    .where("membership.unit_kind", "=", "signature")
    .where(inVersion(served.version))
    .orderBy("membership.version_added")
    .orderBy("signature_arrival.arrived_at")
    .orderBy("signature.digest")
    .execute();
}

/**
 * Adds a signature to a manifest of a repository: with both in the repository's next version and a first judgement, durable when this resolves.
 *
 * @throws ContentError `manifest-unknown` when the repository lacks the manifest; `signature-exists` for the same content or name; `signature-withdrawn` when the
 *   signature or its key is never to be stored again; `signatures-too-many`; `quota-exceeded`
 */
export async function putSignature(
  database: Database,
  served: ServedRepository,
  manifestDigest: string,
  signature: ArrivedSignature,
  by: string,
  now: number,
  verifier: SignatureVerifier,
): Promise<void> {
  await database.write(async (writer) => {
    await holdTrust(writer);
    const { repository, latest } = await lockServed(writer, served);
    if (!(await isServed(writer, latest, { kind: "manifest", key: manifestDigest }))) {
      throw new ContentError("manifest-unknown", `the repository has no manifest ${manifestDigest}`, {
        digest: manifestDigest,
      });
    }
    const present = await listSignatures(writer, latest, manifestDigest);
    const isTaken = present.some((one) => one.digest === signature.digest || one.name === signature.name);
    if (isTaken || (await findCarrier(writer, latest, manifestDigest, signature.name)) !== undefined) {
      throw new ContentError("signature-exists", `${signature.name} already exists`, { name: signature.name });
    }
    const total = present.reduce((sum, one) => sum + one.bytes.length, signature.bytes.length);
    if (present.length >= MAX_SIGNATURES_PER_MANIFEST || total > MAX_TOTAL_BYTES) {
      throw new ContentError("signatures-too-many", "clients could not read one more signature of this image");
    }
    await refuseWithdrawn(writer, signature.digest, signature.fingerprint ?? signature.claims.keyId);
    await insertSignature(writer, manifestDigest, signature, now);
    const { digest, name } = signature;
    await noteArrival(writer, { repositoryId: repository.id, digest, name }, now);
    await verifier.record(writer, { ...signature, manifestDigest, format: "simple-signing" }, "server", now);
    const add = await listClosure(writer, repository, manifestDigest);
    await commitVersion(
      writer,
      repository,
      { add: [...add, { kind: "signature", key: signature.digest }], remove: [] },
      by,
      now,
    );
    await refuseOverQuota(writer, repository.id);
  });
}

/**
 * Removes a signature of simple signing from a repository.
 * @throws ContentError `signature-unknown`
 */
export async function deleteSignature(
  database: Database,
  served: ServedRepository,
  manifestDigest: string,
  select: (present: readonly StoredSignature[]) => StoredSignature | undefined,
  by: string,
  now: number,
): Promise<void> {
  await database.write(async (writer) => {
    const { repository, latest } = await lockServed(writer, served);
    const found = select(await listSignatures(writer, latest, manifestDigest));
    if (found === undefined) throw new ContentError("signature-unknown", "there is no such signature");
    const remove: Unit[] = [{ kind: "signature", key: found.digest }];
    await commitVersion(writer, repository, { add: [], remove }, by, now);
  });
}

async function insertSignature(
  writer: Writer,
  manifestDigest: string,
  signature: ArrivedSignature,
  now: number,
): Promise<void> {
  await writer
    .insertInto("signature")
    .values({
      digest: signature.digest,
      manifest_digest: manifestDigest,
      format: "simple-signing",
      ...signatureColumns(signature),
      bytes: signature.bytes,
      created_at: now,
      touched_at: now,
    })
    .onConflict((conflict) => conflict.column("digest").doUpdateSet({ touched_at: now }))
    .execute();
}
