/** Keeping results of verification at a Signet server, for `verify-image-signature --save` and `--remove-all`. */
import {
  type Digest,
  FormatError,
  type Reference,
  StoreError,
  type Verdict,
  formatReference,
  parseSignatureBlob,
  sha256Digest,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { RegistryClient, VerificationResult } from "@signet/images";
import type { ImageAccess } from "../images/image-access.ts";

/** Characters of a reason that the server takes. */
const MAX_REASON_CHARACTERS = 1_024;
/** What the server takes in no text: controls, marks that turn the direction of writing, halves of characters, ends of lines. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** A server that keeps results of an image's signatures, by what whoever is logged in there says. */
export interface ResultKeeper {
  /** Records one result. @returns false when the server does not have that signature */
  record(signature: Uint8Array, result: VerificationResult): Promise<boolean>;
  /** Takes back all results that this account recorded of the image's signatures. */
  removeAll(): Promise<void>;
}

/**
 * The Signet server at the place that an image's name says, whatever mirrors it has.
 * @param option for the message
 * @throws StoreError `server-missing` when the registry is none, `registry-blocked`, `image-missing`, `registry-…`
 */
export async function openResultKeeper(
  access: ImageAccess,
  place: Reference,
  digest: Digest,
  option: string,
): Promise<ResultKeeper> {
  const client = await openClient(access, place);
  if (!(await client.keepsVerifications(place.path, digest))) {
    throw new StoreError("server-missing", `--${option} needs a Signet server, and ${place.domain} is none`, {
      side: "destination",
      hint: `leave --${option} out; nothing was changed. Servers of versions before this one keep no results`,
    });
  }
  return {
    record: (signature, result) => client.recordVerification(place.path, digest, digestOf(signature), result),
    removeAll: () => client.removeVerifications(place.path, digest),
  };
}

async function openClient({ clients, open }: ImageAccess, place: Reference): Promise<RegistryClient> {
  const endpoint = await open.docker?.resolveDestination?.(place);
  if (endpoint?.blocked !== undefined) {
    throw new StoreError("registry-blocked", `${formatReference(place)}: ${endpoint.blocked}`, {
      hint: "name another registry, or change that file",
    });
  }
  return clients.clientFor(place.domain, { insecure: endpoint?.insecure === true });
}

/** As the server has it: of the OpenPGP message itself, without the frame that stores may put around it. */
function digestOf(signature: Uint8Array): Digest {
  return sha256Digest(messageOf(signature), nodeEngine);
}

function messageOf(signature: Uint8Array): Uint8Array {
  try {
    const blob = parseSignatureBlob(signature);
    return blob.format === "simple-signing" ? blob.message : signature;
  } catch (error) {
    if (error instanceof FormatError) return signature;
    throw error;
  }
}

/** A verdict in the server's form. @param now milliseconds since 1970, UTC */
export function makeResult(verdict: Verdict, identity: Reference, now: number): VerificationResult {
  const expectedIdentity = formatReference(identity);
  const verifiedAt = new Date(now).toISOString();
  const signer = verdict.verdict === "accepted" ? verdict.signers[0] : undefined;
  if (verdict.verdict === "accepted" && signer !== undefined) {
    const { signingFingerprint: signingKey, dockerReference: signedIdentity } = signer;
    return { verdict: "accepted", expectedIdentity, signingKey, signedIdentity, verifiedAt };
  }
  const reasons = verdict.verdict === "accepted" ? [] : verdict.reasons;
  const said = reasons.map(({ message }) => message).join("; ");
  return { verdict: "rejected", expectedIdentity, reason: printable(said) || "rejected", verifiedAt };
}

/** Untrusted text, so that the server takes it. */
function printable(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim().slice(0, MAX_REASON_CHARACTERS).replaceAll(unprintable, "\uFFFD");
}
