/** Looking at stored signatures: verified with the server's keyring, each judgement kept with its evidence. */
import {
  type Reason,
  type SignedMessageOutcome,
  FormatError,
  parseSignatureBlob,
  parseSimpleSigningPayload,
  verifySignedMessage,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { Writer } from "../db/database.ts";
import type { SignatureFormat, VerificationTable } from "../db/schema.ts";
import type { KeyringReader, ServerKeyring } from "./server-keyring.ts";

/**
 * Milliseconds until a signature is looked at again that was rejected for its time alone: it may have been made by a clock that runs ahead of ours.
 */
const FUTURE_RETRY_MS = 60 * 60 * 1_000;

/** A signature as far as judging it depends on it. */
export interface SignatureToVerify {
  readonly digest: string;
  readonly manifestDigest: string;
  readonly format: SignatureFormat;
  readonly bytes: Uint8Array;
}

/** What was found. */
export interface SignatureVerdict extends Pick<VerificationTable, "verdict" | "signer" | "valid_until"> {
  readonly evidence: object;
}

/** Judges signatures as they arrive. One for a database: it keeps the parsed keyring. */
export class SignatureVerifier {
  readonly #keyrings: KeyringReader;

  constructor(keyrings: KeyringReader) {
    this.#keyrings = keyrings;
  }

  /**
   * Judges a signature that was inserted in this transaction, or already was there, and keeps the judgement. Formats that the server cannot verify get none.
   * @param by the account, or `server`
   */
  async record(writer: Writer, signature: SignatureToVerify, by: string, now: number): Promise<void> {
    if (signature.format !== "simple-signing") return;
    const keyring = await this.#keyrings.read(writer);
    const newest = await writer
      .selectFrom("verification")
      .select(["keyring_version", "valid_until"])
      .where("signature_digest", "=", signature.digest)
      .orderBy("id", "desc")
      .limit(1)
      .executeTakeFirst();
    if (newest !== undefined && !isOutdated(newest, keyring.version, now)) return;
    const found = verifyStored(signature, keyring, now);
    await writer
      .insertInto("verification")
      .values({
        signature_digest: signature.digest,
        keyring_version: keyring.version,
        verdict: found.verdict,
        signer: found.signer,
        evidence: JSON.stringify(found.evidence),
        verified_at: now,
        verified_by: by,
        valid_until: found.valid_until,
      })
      .execute();
  }
}

/** True when a judgement was made with other keys, or time has taken it back. */
export function isOutdated(
  judgement: Pick<VerificationTable, "keyring_version" | "valid_until">,
  keyringVersion: number,
  now: number,
): boolean {
  return judgement.keyring_version !== keyringVersion || (judgement.valid_until ?? Infinity) <= now;
}

/**
 * Judges a signature of simple signing: the message with the trusted keys, then whether what was signed is about its manifest.
 *
 * Not checked: which image name it is for. That is a policy's matter.
 */
export function verifyStored(signature: SignatureToVerify, keyring: ServerKeyring, now: number): SignatureVerdict {
  const outcome = verifyMessage(signature.bytes, keyring, now);
  if (outcome.verdict === "rejected") return rejected(outcome, outcome.reasons, now);
  const problem = checkContent(outcome.content, signature.manifestDigest);
  if (problem !== undefined) return rejected(outcome, [problem], now);
  return {
    verdict: "accepted",
    signer: outcome.certificate.fingerprint,
    valid_until: outcome.validUntil ?? null,
    evidence: { checks: outcome.checks, reasons: [], signingKey: outcome.signingFingerprint },
  };
}

function verifyMessage(bytes: Uint8Array, { keyring }: ServerKeyring, now: number): SignedMessageOutcome {
  try {
    const blob = parseSignatureBlob(bytes);
    if (blob.format === "simple-signing")
      return verifySignedMessage(blob.message, keyring, { engine: nodeEngine, now });
    return malformed("it is no signature of simple signing");
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return malformed(error.message);
  }
}

function malformed(message: string): SignedMessageOutcome {
  return { verdict: "rejected", reasons: [{ code: "signature-format", message }], checks: [] };
}

function checkContent(content: Uint8Array, manifestDigest: string): Reason | undefined {
  try {
    const found = parseSimpleSigningPayload(content).manifestDigest;
    if (found === manifestDigest) return undefined;
    return { code: "manifest-digest", message: `the signature is for digest ${found}, not for ${manifestDigest}` };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { code: "payload-json", message: `what was signed is not a container signature: ${error.message}` };
  }
}

function rejected(
  { checks }: Pick<SignedMessageOutcome, "checks">,
  reasons: readonly Reason[],
  now: number,
): SignatureVerdict {
  const isUnknown = reasons.some(({ code }) => code === "signer-known");
  const isEarly = reasons.some(({ code }) => code.endsWith("-creation-time"));
  return {
    verdict: isUnknown ? "unknown-key" : "rejected",
    signer: null,
    valid_until: isEarly ? now + FUTURE_RETRY_MS : null,
    evidence: { checks, reasons },
  };
}
