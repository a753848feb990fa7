/** Keys, signatures and images for tests of trust. For tests only. */
import { type Signer, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { Selectable } from "kysely";
import { readManifestFacts } from "../content/manifest-facts.ts";
import { putManifest } from "../content/manifests.ts";
import { findServed } from "../content/repositories.ts";
import { putSignature, readSignature } from "../content/signatures.ts";
import type { Database } from "../db/database.ts";
import type { VerificationTable } from "../db/schema.ts";
import { KeyringReader } from "./server-keyring.ts";
import type { TrustAuthor, TrustChange } from "./trust-change.ts";
import { SignatureVerifier } from "./verification.ts";

/** Milliseconds: the moment of these tests. */
export const NOW: number = Date.parse("2026-06-01T00:00:00Z");

export interface TestSigner {
  readonly fingerprint: string;
  readonly publicKey: Uint8Array;
  /** Signs an image under a name; each call makes another signature. */
  sign(manifest: Uint8Array, reference: string, at?: number): Promise<Uint8Array>;
}

/** A new key. @param expiresAfterSeconds default: never */
export async function makeSigner(expiresAfterSeconds?: number, now: number = NOW): Promise<TestSigner> {
  const key = await generateKey({
    engine: nodeEngine,
    now: now - 1_000_000,
    userIds: ["Test <test@example.com>"],
    algorithm: "ed25519",
    ...(expiresAfterSeconds === undefined ? {} : { expiresInSeconds: expiresAfterSeconds }),
  });
  const signer: Signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now });
  let count = 0;
  return {
    fingerprint: key.fingerprint,
    publicKey: new TextEncoder().encode(key.publicKey),
    sign: async (manifest, reference, at = now) => {
      count += 1;
      const options = { engine: nodeEngine, now: at - count * 1_000, creator: `test ${count}` };
      return (await createSignature(manifest, reference, signer, options)).bytes;
    },
  };
}

/** Whoever changes trust in tests, and what was written down of it. */
export function makeAuthor(now: number = NOW): TrustAuthor & { readonly changes: TrustChange[] } {
  const changes: TrustChange[] = [];
  return {
    by: "ann",
    now,
    changes,
    audit: (_writer, change) => {
      changes.push(change);
      return Promise.resolve();
    },
  };
}

/** A list of no platforms: the smallest manifest that makes a version. */
export async function pushImage(
  database: Database,
  path: string,
  seed: number,
): Promise<{ readonly digest: string; readonly bytes: Uint8Array }> {
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType, manifests: [], annotations: { seed: String(seed) } }),
  );
  const manifest = readManifestFacts(bytes, mediaType, undefined);
  await putManifest(database, { path, manifest, tags: ["1"], by: "ann", now: NOW });
  return { digest: manifest.digest, bytes };
}

/** Stores a signature as the doors do. */
export async function storeSignature(
  database: Database,
  path: string,
  digest: string,
  bytes: Uint8Array,
  verifier: SignatureVerifier = new SignatureVerifier(new KeyringReader()),
  now: number = NOW,
): Promise<string> {
  const served = await findServed(database.read, path);
  const signature = readSignature(bytes, digest);
  await putSignature(database, served!, digest, signature, "ann", now, verifier);
  return signature.digest;
}

/** The newest judgement of a signature, or undefined. */
export async function findVerdict(
  database: Database,
  digest: string,
): Promise<
  | Pick<
      Selectable<VerificationTable>,
      "evidence" | "keyring_version" | "signer" | "valid_until" | "verdict" | "verified_by"
    >
  | undefined
> {
  return await database.read
    .selectFrom("verification")
    .select(["verdict", "signer", "keyring_version", "valid_until", "evidence", "verified_by"])
    .where("signature_digest", "=", digest)
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
}
