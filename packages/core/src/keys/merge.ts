import type { Certificate, CertificateKey, CertificateUserId } from "./certificate.ts";
import { orderUserIds } from "./key-state.ts";

/**
 * One certificate out of two copies of it, with what each of them says: a revocation in one must count although the other lacks it. Both have the same primary
 * key, so everything in them was said by its holder.
 */
export function mergeCertificates(a: Certificate, b: Certificate): Certificate {
  const identities = mergeUserIds([...a.identities, ...b.identities]);
  return {
    ...a,
    userIds: orderUserIds(identities),
    primary: mergeStatements(a.primary, b.primary),
    identities,
    subkeys: mergeSubkeys([...a.subkeys, ...b.subkeys]),
    warnings: [...new Set([...a.warnings, ...b.warnings])],
  };
}

/** Each user id once. */
export function mergeUserIds(userIds: readonly CertificateUserId[]): readonly CertificateUserId[] {
  return mergeByName(userIds, ({ text }) => text);
}

/** Each subkey once. */
export function mergeSubkeys(subkeys: readonly CertificateKey[]): readonly CertificateKey[] {
  return mergeByName(subkeys, ({ fingerprint }) => fingerprint);
}

function mergeByName<T extends CertificateKey | CertificateUserId>(
  items: readonly T[],
  nameOf: (item: T) => string,
): readonly T[] {
  const merged = new Map<string, T>();
  for (const item of items) {
    const known = merged.get(nameOf(item));
    merged.set(nameOf(item), known === undefined ? item : mergeStatements(known, item));
  }
  return [...merged.values()];
}

function mergeStatements<T extends CertificateKey | CertificateUserId>(a: T, b: T): T {
  return {
    ...a,
    selfSignatures: [...a.selfSignatures, ...b.selfSignatures],
    revocations: [...a.revocations, ...b.revocations],
  };
}
