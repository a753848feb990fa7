/** From a manifest and a reference to a signature that can be stored (simple signing, section 3). */
import type { Digest } from "../bytes/digest.ts";
import type { Engine } from "../bytes/engine.ts";
import { FormatError, UsageError } from "../errors.ts";
import { computeManifestDigest } from "../formats/manifest/manifest-digest.ts";
import { writeSimpleSigningPayload } from "../formats/simple-signing/payload.ts";
import type { Signer } from "../keys/signer.ts";
import { type Reference, formatReference, isNameOnly } from "../reference/reference.ts";
import { checkNewSignature } from "./new-signature.ts";

/** What a payload names as its maker unless the caller says otherwise. */
export const DEFAULT_CREATOR = "signet 0.1.0";

export interface SigningOptions {
  readonly engine: Engine;
  /** Milliseconds since 1970 UTC. The payload carries it in whole seconds. */
  readonly now: number;
  /** `optional.creator` of the payload. Default {@link DEFAULT_CREATOR}. */
  readonly creator?: string;
}

/** A signature that was made and then verified. */
export interface CreatedSignature {
  /** What is stored: the bare OpenPGP message. */
  readonly bytes: Uint8Array;
  readonly manifestDigest: Digest;
  readonly dockerReference: string;
  /** Full fingerprint of the primary key, upper-case hex. */
  readonly fingerprint: string;
  /** Full fingerprint of the key that made it: the primary key or a subkey. */
  readonly signingFingerprint: string;
}

/**
 * Signs a manifest for a reference, and verifies the result with the signer's own public key before returning it: the form, the cryptography, the content octet
 * for octet, strong algorithms, and that the key may sign now. What does not hold is never returned.
 *
 * Not checked: the reference, which is signed as it stands, even if it is none. Whoever signs an image at the place where it lies uses {@link signingReference}.
 *
 * @param manifestBytes as stored
 * @param dockerReference what the signature shall be valid for
 * @throws FormatError `signing-failed`, `manifest-malformed` for a schema 1 manifest without a digest; UsageError `payload-incomplete` for an empty reference; what the
 *   signer throws
 */
export async function createSignature(
  manifestBytes: Uint8Array,
  dockerReference: string,
  signer: Signer,
  options: SigningOptions,
): Promise<CreatedSignature> {
  const { engine, now, creator = DEFAULT_CREATOR } = options;
  const manifestDigest = computeManifestDigest(manifestBytes, engine);
  const timestamp = Math.floor(now / 1000);
  const payload = writeSimpleSigningPayload({ manifestDigest, dockerReference, creator, timestamp });
  if (!dockerReference.isWellFormed()) {
    throw new FormatError("reference-malformed", "the reference holds half a character (a lone surrogate)");
  }
  const bytes = await signer.sign(payload, now);
  const signingFingerprint = checkNewSignature(bytes, payload, signer, options);
  return { bytes, manifestDigest, dockerReference, fingerprint: signer.fingerprint, signingFingerprint };
}

/**
 * The text that is signed for an image at the place where it lies: the reference in full, normal form, with its tag or digest.
 * @throws UsageError `reference-incomplete` for a reference with neither
 */
export function signingReference(reference: Reference): string {
  const text = formatReference(reference);
  if (!isNameOnly(reference)) return text;
  throw new UsageError("reference-incomplete", `${text} cannot be signed: it has neither a tag nor a digest`, {
    hint: `name it with a tag, such as ${text}:latest`,
  });
}
