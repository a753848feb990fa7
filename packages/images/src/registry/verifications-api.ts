/** Results of verification that a Signet server keeps, `/extensions/v2/<name>/verifications/<digest>`, on the wire. No other registry has them. */
import { type Digest, StoreError } from "@signet/core";
import type { RegistrySession } from "./session.ts";

/** What was found of one signature. */
export interface VerificationResult {
  readonly verdict: "accepted" | "rejected";
  /** The image name that the signature was to be for; 1 to 512 characters. */
  readonly expectedIdentity: string;
  /** Fingerprint or key id in upper-case hex, 16, 40 or 64 digits; required when accepted. */
  readonly signingKey?: string;
  /** The image name that the signature says it is for; 1 to 512 characters. */
  readonly signedIdentity?: string;
  /** 1 to 1,024 printable characters; required when rejected. */
  readonly reason?: string;
  /** ISO 8601, UTC. */
  readonly verifiedAt: string;
}

/** The header, and its value, on every answer of this API. */
const DOOR_HEADER = "x-signet-verifications";
const DOOR_VALUE = "1";

/** How registries without this API answer a path that they do not know. */
const unknownPath: readonly number[] = [400, 404, 405, 501];

function apiPath(repository: string, digest: Digest): string {
  return `/extensions/v2/${repository}/verifications/${digest}`;
}

function label(session: RegistrySession, repository: string, digest: Digest): string {
  return `${session.registry}/${repository}@${digest}`;
}

/**
 * True when the registry is a Signet server that keeps results; asked with the right to pull.
 * @throws StoreError `image-missing` when it is one and does not have the image; `registry-…`
 */
export async function keepsVerifications(
  session: RegistrySession,
  repository: string,
  digest: Digest,
): Promise<boolean> {
  const what = `verification results of ${label(session, repository, digest)}`;
  const answer = await session.open({
    method: "GET",
    path: `${apiPath(repository, digest)}?n=0`,
    access: [{ repository, actions: "pull" }],
    headers: { accept: "application/json" },
    expect: [200, ...unknownPath],
    what,
  });
  await answer.discard();
  if (answer.header(DOOR_HEADER) !== DOOR_VALUE) return false;
  if (answer.status === 200) return true;
  throw new StoreError("image-missing", `${what}: the server does not have this image (HTTP ${answer.status})`, {
    side: "destination",
    status: answer.status,
  });
}

/**
 * Records a result in the name of whoever is logged in. The same again changes its times alone, so that it may be repeated.
 * @param signature of the signature's own bytes
 * @returns false when the server does not have the signature, or the image
 * @throws StoreError `registry-…`
 */
export async function recordVerification(
  session: RegistrySession,
  repository: string,
  digest: Digest,
  signature: Digest,
  result: VerificationResult,
): Promise<boolean> {
  const answer = await session.open({
    method: "POST",
    path: `${apiPath(repository, digest)}/${signature}`,
    access: [{ repository, actions: "pull,audit" }],
    headers: { "content-type": "application/json" },
    body: new TextEncoder().encode(JSON.stringify(result)),
    repeatable: true,
    expect: [201, 404],
    what: `recording a verification result of ${label(session, repository, digest)}`,
  });
  await answer.discard();
  return answer.status === 201;
}

/**
 * Takes back all results that whoever is logged in recorded of an image's signatures; also where there are none.
 * @throws StoreError `image-missing`, `registry-…`
 */
export async function removeVerifications(session: RegistrySession, repository: string, digest: Digest): Promise<void> {
  const answer = await session.open({
    method: "DELETE",
    path: apiPath(repository, digest),
    access: [{ repository, actions: "pull,audit" }],
    expect: [204],
    what: `removing verification results of ${label(session, repository, digest)}`,
  });
  await answer.discard();
}
