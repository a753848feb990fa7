import type { Certificate, CertificateKey, Revocation } from "./certificate.ts";
import type { KeyState } from "./key-state.ts";
import { primaryKeyState, subkeyState } from "./key-state.ts";
import type { OpenPgpSwitches } from "./switches.ts";
import { MAX_CLOCK_SKEW_MS } from "./switches.ts";

/** Whether a key can be relied on at one time, and if not, why. The strongest objection wins, in this order. */
export type KeyStatus = "invalid" | "revoked" | "expired" | "not-yet-valid" | "not-for-signing" | "usable";

/** What holds for one key at one time. Times are milliseconds since 1970 UTC. */
export interface KeyAssessment {
  /** Upper-case hex. */
  readonly fingerprint: string;
  readonly keyId: string;
  readonly algorithm: string;
  readonly created: number;
  readonly expiresAt?: number;
  readonly revocation?: Revocation;
  readonly isPrimary: boolean;
  /** By itself; a subkey whose primary key is not usable, or not for lack of the sign flag alone, is not usable either. */
  readonly status: KeyStatus;
  /** One sentence for people on the status. */
  readonly explanation: string;
}

/** What holds for a certificate at one time. */
export interface CertificateAssessment {
  readonly fingerprint: string;
  readonly userIds: readonly string[];
  /** The primary key first. */
  readonly keys: readonly KeyAssessment[];
  /** Fingerprints of the keys that can sign a message that would be accepted now. */
  readonly signingKeys: readonly string[];
  /** Weak self-signatures, and what was left out of the certificate. */
  readonly warnings: readonly string[];
}

/**
 * Says what of a certificate can be relied on at `now`. The same rules as in `verifySignedMessage`, for a signature that would be made now.
 *
 * @param now milliseconds since 1970 UTC
 * @param switches relaxations; of these only {@link OpenPgpSwitches.allowDsaSignatures} matters for a signature made now
 */
export function assessCertificate(
  certificate: Certificate,
  now: number,
  switches: OpenPgpSwitches = {},
): CertificateAssessment {
  const warnings = [...certificate.warnings];
  const primaryState = primaryKeyState(certificate, now);
  const primary = assessKey(certificate.primary, primaryState, true, now, switches);
  const keys = [primary];
  const states = [primaryState];
  for (const subkey of certificate.subkeys) {
    const state = subkeyState(certificate, subkey, now);
    keys.push(assessSubkey(assessKey(subkey, state, false, now, switches), primary));
    states.push(state);
  }
  keys.forEach((key, index) => {
    const selfSignature = states[index]!.selfSignature;
    if (selfSignature?.isHashWeak === true) {
      warnings.push(
        `${key.isPrimary ? "key" : "subkey"} ${key.fingerprint} is described by a signature with ${selfSignature.hash}`,
      );
    }
  });
  return {
    fingerprint: certificate.fingerprint,
    userIds: certificate.userIds,
    keys,
    signingKeys: keys.filter((key) => key.status === "usable").map((key) => key.fingerprint),
    warnings,
  };
}

const explanations: Readonly<Record<KeyStatus, string>> = {
  invalid: "no self-signature describes the key",
  revoked: "the key was revoked",
  expired: "the key has expired",
  "not-yet-valid": "the key was made in the future",
  "not-for-signing": "the key may not sign",
  usable: "the key can sign",
};

function assessKey(
  key: CertificateKey,
  state: KeyState,
  isPrimary: boolean,
  now: number,
  switches: OpenPgpSwitches,
): KeyAssessment {
  const status = statusOf(key, state, now, switches);
  return {
    fingerprint: key.fingerprint,
    keyId: key.keyId,
    algorithm: key.algorithm,
    created: key.created,
    ...(state.expiresAt === undefined ? {} : { expiresAt: state.expiresAt }),
    ...(state.revocation === undefined ? {} : { revocation: state.revocation }),
    isPrimary,
    status,
    explanation: explanations[status],
  };
}

function statusOf(key: CertificateKey, state: KeyState, now: number, switches: OpenPgpSwitches): KeyStatus {
  if (state.selfSignature === undefined) return "invalid";
  if (state.revocation !== undefined) return "revoked";
  if (state.expiresAt !== undefined && state.expiresAt <= now) return "expired";
  if (key.created > now + MAX_CLOCK_SKEW_MS) return "not-yet-valid";
  const isDsa = key.publicKey.materials[0]?.type === "dsa";
  if (!state.canSign || (isDsa && switches.allowDsaSignatures !== true)) return "not-for-signing";
  return "usable";
}

/** A subkey is never better than its primary key, which need not be for signing itself. */
function assessSubkey(subkey: KeyAssessment, primary: KeyAssessment): KeyAssessment {
  if (primary.status === "usable" || primary.status === "not-for-signing" || subkey.status === "invalid") return subkey;
  return { ...subkey, status: primary.status, explanation: `of the primary key: ${explanations[primary.status]}` };
}
