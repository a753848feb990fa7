import { concatBytes } from "../bytes/concat.ts";
import type { Engine } from "../bytes/engine.ts";
import { describeHash, findHash } from "../formats/openpgp/algorithms.ts";
import type { UntrustedCertificate, UntrustedStrayRevocation } from "../formats/openpgp/certificate-packets.ts";
import { OpenPgpFault } from "../formats/openpgp/fault.ts";
import type { UntrustedSignature } from "../formats/openpgp/signature.ts";
import { parseSignature, signatureTypes } from "../formats/openpgp/signature.ts";
import type { Certificate, CertificateKey, CertificateUserId, Revocation, SelfSignature } from "./certificate.ts";
import { orderUserIds } from "./key-state.ts";
import { mergeSubkeys, mergeUserIds } from "./merge.ts";
import type { VerifyingKey } from "./signature-crypto.ts";
import { verifySignature } from "./signature-crypto.ts";

/** Reasons for revocation after which earlier signatures can still be relied on: superseded, retired. RFC 9580 section 5.2.3.31. */
const softReasons: ReadonlySet<number> = new Set([1, 3]);

/** The signatures that count for one key or user id. */
interface Verified {
  readonly selfSignatures: SelfSignature[];
  readonly revocations: Revocation[];
}

/**
 * Verifies every signature by which the primary key describes itself, its user ids and its subkeys. What does not verify is left out with a warning;
 * signatures by other keys are passed over. Revocations count even where other signatures would not: with a weak hash, or with critical parts that are unknown.
 *
 * @throws FormatError `key-malformed` when the engine refuses the primary key
 */
export function certify(untrusted: UntrustedCertificate, engine: Engine): Certificate {
  const warnings = [...untrusted.warnings];
  const { primary } = untrusted;
  const verifier: VerifyingKey = {
    publicKey: primary,
    prepared: primary.materials.map((material) => engine.prepareKey(material)),
  };
  const check = new SelfSignatureCheck(verifier, engine, warnings);

  const direct = check.component(
    untrusted.signatures,
    (type) => type === signatureTypes.directKey,
    signatureTypes.keyRevocation,
    () => [primary.hashedForm],
    "the primary key",
    primary.created,
  );
  const userIds = untrusted.userIds.map(({ bytes, signatures }): CertificateUserId => {
    const text = new TextDecoder().decode(bytes);
    const verified = check.component(
      signatures,
      (type) => type >= signatureTypes.genericCertification && type <= signatureTypes.positiveCertification,
      signatureTypes.certificationRevocation,
      (signature) => [primary.hashedForm, hashedUserId(bytes, signature.version)],
      `user id ${JSON.stringify(text.slice(0, MAX_SHOWN_USER_ID))}`,
      primary.created,
    );
    return { text, ...verified };
  });
  const subkeys: CertificateKey[] = [];
  for (const { key, signatures } of untrusted.subkeys) {
    const subkey = check.prepareSubkey(key);
    if (subkey === undefined) continue;
    if (key.fingerprint === primary.fingerprint) {
      warnings.push("the primary key stands among its own subkeys, which was passed over");
      continue;
    }
    const data = [primary.hashedForm, key.hashedForm];
    const verified = check.component(
      signatures,
      (type) => type === signatureTypes.subkeyBinding,
      signatureTypes.subkeyRevocation,
      () => data,
      `subkey ${key.fingerprint}`,
      key.created,
      (signature) => check.isSignedBack(signature, subkey, data),
    );
    subkeys.push(certificateKey(subkey, verified));
  }
  const identities = mergeUserIds(userIds);
  return {
    fingerprint: primary.fingerprint,
    version: primary.version,
    userIds: orderUserIds(identities),
    primary: certificateKey(verifier, direct),
    identities,
    subkeys: mergeSubkeys(subkeys),
    raw: untrusted.raw,
    warnings: shortened(warnings),
  };
}

/**
 * The certificate with a key revocation that stood apart from it, or undefined when that revocation is not one by its primary key. One that names no issuer
 * is nobody's.
 */
export function revokeCertificate(
  certificate: Certificate,
  { signature, raw }: UntrustedStrayRevocation,
  engine: Engine,
): Certificate | undefined {
  const { primary } = certificate;
  const warnings: string[] = [];
  const check = new SelfSignatureCheck(primary, engine, warnings);
  if (signature.keyId === undefined || !check.isOwn(signature)) return undefined;
  const revocation = check.revocation(signature, [primary.publicKey.hashedForm], "the primary key");
  if (revocation === undefined) {
    return { ...certificate, warnings: shortened([...new Set([...certificate.warnings, ...warnings])]) };
  }
  // Copies say nothing new; only the key's holder can make different ones.
  if (primary.revocations.some((known) => isSameRevocation(known, revocation))) return certificate;
  return {
    ...certificate,
    primary: { ...primary, revocations: [...primary.revocations, revocation] },
    raw: concatBytes([certificate.raw, raw]),
    warnings: shortened([...new Set([...certificate.warnings, ...warnings])]),
  };
}

function isSameRevocation(a: Revocation, b: Revocation): boolean {
  return a.created === b.created && a.code === b.code && a.reason === b.reason;
}

/** Warnings that are kept for one certificate; a hostile one can give cause for thousands. */
const MAX_WARNINGS = 20;

function shortened(warnings: readonly string[]): readonly string[] {
  return warnings.length <= MAX_WARNINGS
    ? warnings
    : [...warnings.slice(0, MAX_WARNINGS), `and ${warnings.length - MAX_WARNINGS} more`];
}

/** Characters of a user id that a warning repeats. */
const MAX_SHOWN_USER_ID = 100;

function certificateKey(key: VerifyingKey, verified: Verified): CertificateKey {
  const { publicKey, prepared } = key;
  return {
    fingerprint: publicKey.fingerprint,
    keyId: publicKey.keyId,
    created: publicKey.created * 1000,
    algorithm: publicKey.label,
    publicKey,
    prepared,
    ...verified,
  };
}

/** A user id as certifications hash it: version 3 without the header. RFC 9580 section 5.2.4; RFC 4880 section 5.2.4. */
function hashedUserId(bytes: Uint8Array, version: 3 | 4 | 6): Uint8Array {
  if (version === 3) return bytes;
  const { length } = bytes;
  return concatBytes([Uint8Array.of(0xb4, length >>> 24, length >> 16, length >> 8, length), bytes]);
}

class SelfSignatureCheck {
  readonly #primary: VerifyingKey;
  readonly #engine: Engine;
  readonly #warnings: string[];

  constructor(primary: VerifyingKey, engine: Engine, warnings: string[]) {
    this.#primary = primary;
    this.#engine = engine;
    this.#warnings = warnings;
  }

  /**
   * @param isStatement which signature types say something of this component
   * @param dataOf what such a signature hashes before its own trailer
   * @param keyCreated seconds since 1970 UTC: key expiration counts from here
   */
  component(
    signatures: readonly UntrustedSignature[],
    isStatement: (type: number) => boolean,
    revocationType: number,
    dataOf: (signature: UntrustedSignature) => readonly Uint8Array[],
    what: string,
    keyCreated: number,
    isSignedBack: (signature: UntrustedSignature) => boolean = () => false,
  ): Verified {
    const verified: Verified = { selfSignatures: [], revocations: [] };
    for (const signature of signatures) {
      if (signature.type === revocationType) {
        if (this.isOwn(signature)) {
          const revocation = this.revocation(signature, dataOf(signature), what);
          if (revocation !== undefined) verified.revocations.push(revocation);
        } else this.#warnings.push(`a revocation of ${what} by another key was passed over`);
      } else if (isStatement(signature.type) && this.isOwn(signature)) {
        if (!this.#isUsable(signature, dataOf(signature), what)) continue;
        verified.selfSignatures.push(selfSignature(signature, keyCreated, isSignedBack(signature)));
      }
    }
    return verified;
  }

  prepareSubkey(publicKey: VerifyingKey["publicKey"]): VerifyingKey | undefined {
    try {
      return { publicKey, prepared: publicKey.materials.map((material) => this.#engine.prepareKey(material)) };
    } catch (error) {
      this.#warnings.push(`subkey ${publicKey.fingerprint} was left out: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** True when the binding holds a signature by the subkey over both keys. RFC 9580 section 5.2.1.9. */
  isSignedBack(binding: UntrustedSignature, subkey: VerifyingKey, data: readonly Uint8Array[]): boolean {
    return binding.fields.embedded.some((body) => {
      let signature: UntrustedSignature;
      try {
        signature = parseSignature(body);
      } catch (error) {
        if (error instanceof OpenPgpFault) return false;
        throw error;
      }
      return (
        signature.type === signatureTypes.primaryKeyBinding &&
        signature.fields.problem === undefined &&
        signature.created !== undefined &&
        findHash(signature.hash)?.strength !== "never" &&
        verifySignature(signature, subkey, data, this.#engine) === "good"
      );
    });
  }

  /** Signatures that name no issuer are tried: the cryptography decides. */
  isOwn(signature: UntrustedSignature): boolean {
    const { fingerprint, keyId } = this.#primary.publicKey;
    return signature.fingerprint === undefined
      ? signature.keyId === undefined || signature.keyId === keyId
      : signature.fingerprint === fingerprint;
  }

  #isUsable(signature: UntrustedSignature, data: readonly Uint8Array[], what: string): boolean {
    const problem =
      signature.fields.problem?.message ??
      (signature.created === undefined
        ? "it has no creation time"
        : findHash(signature.hash)?.strength === "never"
          ? `it uses ${describeHash(signature.hash)}`
          : undefined);
    if (problem !== undefined) {
      this.#warnings.push(`a self-signature of ${what} does not count: ${problem}`);
      return false;
    }
    const result = verifySignature(signature, this.#primary, data, this.#engine);
    if (result !== "good") this.#warnings.push(`a self-signature of ${what} does not verify (${result})`);
    return result === "good";
  }

  /** What a revocation by the primary key says; undefined, with a warning, when it does not verify. */
  revocation(signature: UntrustedSignature, data: readonly Uint8Array[], what: string): Revocation | undefined {
    const result = verifySignature(signature, this.#primary, data, this.#engine);
    if (result === "hash-unknown") {
      // Fail closed: what cannot be checked may be genuine.
      this.#warnings.push(
        `a revocation of ${what} uses ${describeHash(signature.hash)}, cannot be checked, and counts`,
      );
    } else if (result !== "good") {
      this.#warnings.push(`a revocation of ${what} does not verify (${result}) and was passed over`);
      return undefined;
    }
    const reason = signature.fields.revocationReason;
    const code = reason?.code ?? 0;
    return {
      created: (signature.created ?? 0) * 1000,
      code,
      reason: reason?.text ?? "",
      isHard: !softReasons.has(code),
    };
  }
}

function selfSignature(signature: UntrustedSignature, keyCreated: number, isSignedBack: boolean): SelfSignature {
  const created = signature.created ?? 0;
  const { expiresAfter, keyExpiresAfter, keyFlags, primaryUserId } = signature.fields;
  return {
    created: created * 1000,
    expiresAt: expiryOf(created, expiresAfter),
    keyExpiresAt: expiryOf(keyCreated, keyExpiresAfter),
    keyFlags,
    isPrimaryUserId: primaryUserId,
    hash: describeHash(signature.hash),
    isHashWeak: findHash(signature.hash)?.strength !== "good",
    isSignedBack,
  };
}

/** Milliseconds since 1970 UTC; undefined for never. */
function expiryOf(start: number, after: number | undefined): number | undefined {
  return after === undefined || after === 0 ? undefined : (start + after) * 1000;
}
