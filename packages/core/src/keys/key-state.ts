import type { Certificate, CertificateKey, CertificateUserId, Revocation, SelfSignature } from "./certificate.ts";
import { MAX_CLOCK_SKEW_MS } from "./switches.ts";

/** What holds for one key at one time, by the newest self-signatures. */
export interface KeyState {
  /** The self-signature that describes the key; undefined: none holds, and the key must not be used. */
  readonly selfSignature: SelfSignature | undefined;
  /** True when the key may sign messages. */
  readonly canSign: boolean;
  /** Milliseconds since 1970 UTC. */
  readonly expiresAt: number | undefined;
  /** The revocation that weighs most: a hard one, else the earliest. */
  readonly revocation: Revocation | undefined;
}

/** First octet of the key flags: this key may sign data. RFC 9580 section 5.2.3.29. */
const SIGN_FLAG = 0x02;

/**
 * What holds for the primary key at `now`. Flags and expiry come from its newest direct-key signature where that has them, else from the newest
 * self-certification that has them, over all user ids that are not revoked: the same choice as GnuPG's.
 *
 * @param now milliseconds since 1970 UTC
 */
export function primaryKeyState(certificate: Certificate, now: number): KeyState {
  const direct = newest(certificate.primary.selfSignatures, now);
  let described = direct;
  let flagged = direct?.keyFlags === undefined ? undefined : direct;
  let expiring = direct?.keyExpiresAt === undefined ? undefined : direct;
  const directFlags = flagged !== undefined;
  const directExpiry = expiring !== undefined;
  for (const identity of certificate.identities) {
    const certification = currentCertification(identity, now);
    if (certification === undefined) continue;
    if (direct === undefined && isNewer(certification, described)) described = certification;
    if (!directFlags && certification.keyFlags !== undefined && isNewer(certification, flagged))
      flagged = certification;
    if (!directExpiry && certification.keyExpiresAt !== undefined && isNewer(certification, expiring)) {
      expiring = certification;
    }
  }
  return {
    selfSignature: described,
    canSign: maySign(certificate.primary, certificate.version, flagged?.keyFlags),
    expiresAt: expiring?.keyExpiresAt,
    revocation: heaviest(certificate.primary.revocations),
  };
}

/**
 * What holds for a subkey at `now`, by its newest binding. A revocation is for good, also when a binding is newer. A subkey that did not sign back cannot sign.
 *
 * @param now milliseconds since 1970 UTC
 */
export function subkeyState(certificate: Certificate, subkey: CertificateKey, now: number): KeyState {
  const binding = newest(subkey.selfSignatures, now);
  return {
    selfSignature: binding,
    canSign: binding?.isSignedBack === true && maySign(subkey, certificate.version, binding.keyFlags),
    expiresAt: binding?.keyExpiresAt,
    revocation: heaviest(subkey.revocations),
  };
}

/** Old version 4 keys carry no flags and may do whatever their algorithm can; version 6 keys must say what they are for. */
function maySign(key: CertificateKey, version: 4 | 6, keyFlags: number | undefined): boolean {
  if (key.prepared.length === 0) return false;
  return keyFlags === undefined ? version === 4 : (keyFlags & SIGN_FLAG) !== 0;
}

/** The newest one that has begun and not expired. */
function newest(signatures: readonly SelfSignature[], now: number): SelfSignature | undefined {
  let found: SelfSignature | undefined;
  for (const signature of signatures) {
    if (signature.created > now + MAX_CLOCK_SKEW_MS) continue;
    if (signature.expiresAt !== undefined && signature.expiresAt <= now) continue;
    if (isNewer(signature, found)) found = signature;
  }
  return found;
}

function isNewer(signature: SelfSignature, than: SelfSignature | undefined): boolean {
  return than === undefined || signature.created > than.created;
}

/** The certification of a user id that holds; undefined when it was revoked since. */
function currentCertification(identity: CertificateUserId, now: number): SelfSignature | undefined {
  const certification = newest(identity.selfSignatures, now);
  if (certification === undefined || identity.revocations.length === 0) return certification;
  return identity.revocations.some((revocation) => revocation.created >= certification.created)
    ? undefined
    : certification;
}

function heaviest(revocations: readonly Revocation[]): Revocation | undefined {
  let found: Revocation | undefined;
  for (const revocation of revocations) {
    if (
      found === undefined ||
      (revocation.isHard && !found.isHard) ||
      (revocation.isHard === found.isHard && revocation.created < found.created)
    ) {
      found = revocation;
    }
  }
  return found;
}

/** Texts of the user ids that have a self-signature newer than any revocation, the primary one first, whatever the time. */
export function orderUserIds(identities: readonly CertificateUserId[]): readonly string[] {
  const valid = identities
    .map((identity) => ({ text: identity.text, certification: currentCertification(identity, Infinity) }))
    .filter((entry) => entry.certification !== undefined);
  return valid
    .toSorted((a, b) => Number(b.certification!.isPrimaryUserId) - Number(a.certification!.isPrimaryUserId))
    .map((entry) => entry.text);
}
