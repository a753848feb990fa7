import {
  type Digest,
  type Keyring,
  SignetError,
  parseSignatureBlob,
  parseSimpleSigningPayload,
  verifySignedMessage,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";

/** What a signature would have to say to make another one needless. */
export interface WantedSignature {
  /** Docker reference in full form. */
  readonly identity: string;
  /** The signer's. */
  readonly keyring: Keyring;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
}

/** Whether a stored signature verifies with the signer's key now and is for this digest and identity. What cannot be read is not. */
export function isEqualSignature(blob: Uint8Array, digest: Digest, wanted: WantedSignature): boolean {
  const { identity, keyring, now } = wanted;
  try {
    const parsed = parseSignatureBlob(blob);
    if (parsed.format !== "simple-signing") return false;
    const outcome = verifySignedMessage(parsed.message, keyring, { engine: nodeEngine, now });
    if (outcome.verdict !== "accepted") return false;
    const payload = parseSimpleSigningPayload(outcome.content);
    return payload.manifestDigest === digest && payload.dockerReference === identity;
  } catch (error) {
    if (error instanceof SignetError) return false;
    throw error;
  }
}
