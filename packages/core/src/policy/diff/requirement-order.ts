/** Which requirements accept no more than others: the rules by which a policy is called stricter. */
import type { KeySource, Requirement, Requirements, SigstoreSignedRequirement, SigstoreTrust } from "../policy.ts";
import { type Certainty, type KeyComparison, isEmptySource } from "./compared-keys.ts";
import { isIdentityWithin } from "./identity-order.ts";

/**
 * Whether every image that all of `a` accept is accepted by all of `b`. False when it is not so, and when it cannot be told.
 *
 * Sound, not complete: true only if `a` has a requirement that accepts nothing, or if for each requirement of `b` there is one of `a` that accepts no more than it.
 * Signatures are what an attacker may choose, and times and registries are the same for both.
 */
export function areWithin(a: Requirements, b: Requirements, keys: KeyComparison, certainty: Certainty): boolean {
  if (a.some(acceptsNothing)) return true;
  return b.every((outer) => a.some((inner) => isWithin(inner, outer, keys, certainty)));
}

/** What no image can satisfy, in any tool. */
export function acceptsNothing(requirement: Requirement): boolean {
  switch (requirement.type) {
    case "reject":
    case "signedBaseLayer":
      return true;
    case "signedBy":
      return requirement.keyType !== "GPGKeys" || isEmptySource(requirement.keys);
    default:
      return false;
  }
}

function isWithin(a: Requirement, b: Requirement, keys: KeyComparison, certainty: Certainty): boolean {
  if (b.type === "insecureAcceptAnything" || acceptsNothing(a)) return true;
  if (acceptsNothing(b)) return false;
  if (a.type === "signedBy" && b.type === "signedBy") {
    return isIdentityWithin(a.signedIdentity, b.signedIdentity) && keys.isWithin(a.keys, b.keys, "openpgp", certainty);
  }
  if (a.type === "sigstoreSigned" && b.type === "sigstoreSigned") return isSigstoreWithin(a, b, keys, certainty);
  return false;
}

function isSigstoreWithin(
  a: SigstoreSignedRequirement,
  b: SigstoreSignedRequirement,
  keys: KeyComparison,
  certainty: Certainty,
): boolean {
  if (!isIdentityWithin(a.signedIdentity, b.signedIdentity)) return false;
  if (!isTrustWithin(a.trust, b.trust, keys, certainty)) return false;
  // A transparency log is a further demand; with more logs an entry of any one of them will do.
  if (b.rekor === undefined) return true;
  return a.rekor !== undefined && keys.isWithin(a.rekor, b.rekor, "pem", certainty);
}

function isTrustWithin(a: SigstoreTrust, b: SigstoreTrust, keys: KeyComparison, certainty: Certainty): boolean {
  const within = (inner: KeySource, outer: KeySource): boolean => keys.isWithin(inner, outer, "pem", certainty);
  if (a.kind === "keys" && b.kind === "keys") return within(a.keys, b.keys);
  if (a.kind === "fulcio" && b.kind === "fulcio") {
    const isSameSubject = a.oidcIssuer === b.oidcIssuer && a.subjectEmail === b.subjectEmail;
    return isSameSubject && within(a.authorities, b.authorities);
  }
  if (a.kind !== "pki" || b.kind !== "pki") return false;
  // Each subject that is named is a further demand; further intermediates only make chains that were not there.
  if (b.subjectEmail !== undefined && a.subjectEmail !== b.subjectEmail) return false;
  if (b.subjectHostname !== undefined && a.subjectHostname !== b.subjectHostname) return false;
  if (!within(a.roots, b.roots)) return false;
  if (a.intermediates === undefined) return true;
  return b.intermediates !== undefined && within(a.intermediates, b.intermediates);
}
