import type { Engine } from "../bytes/engine.ts";
import { MAX_KEYRING_BYTES } from "../bytes/limits.ts";
import { FormatError } from "../errors.ts";
import { readArmorBlocks } from "../formats/openpgp/armor.ts";
import { MAX_CERTIFICATES, MAX_STRAY_REVOCATIONS, parseCertificates } from "../formats/openpgp/certificate-packets.ts";
import type { UntrustedCertificate, UntrustedStrayRevocation } from "../formats/openpgp/certificate-packets.ts";
import type { Certificate, CertificateKey } from "./certificate.ts";
import { mergeCertificates } from "./merge.ts";
import { certify, revokeCertificate } from "./self-signatures.ts";

/** What a keyring file holds. */
export interface ParsedKeyring {
  /** In the order of the file; the same certificate twice stands here twice. */
  readonly certificates: readonly Certificate[];
  /**
   * Key revocations that do not stand directly behind their key. Those about certificates of this file count in them already; {@link revokeCertificates} makes
   * them count in certificates of other files.
   */
  readonly strayRevocations: readonly UntrustedStrayRevocation[];
  /** What was left out and why, one line each. Untrusted texts. */
  readonly warnings: readonly string[];
}

/** A key that may have made a signature, and the certificate it stands in. */
export interface KeyCandidate {
  readonly certificate: Certificate;
  readonly key: CertificateKey;
}

/** The keys that are trusted for one decision. */
export interface Keyring {
  /** Each fingerprint once. */
  readonly certificates: readonly Certificate[];
  /** Every key and subkey with this key id and, where given, this fingerprint. Key ids can collide, and one subkey may stand under several primary keys. */
  find(keyId: string, fingerprint: string | undefined): readonly KeyCandidate[];
}

const keyBlocks: ReadonlySet<string> = new Set(["PUBLIC KEY BLOCK", "PRIVATE KEY BLOCK"]);

/**
 * Reads a keyring: binary packets, or armored blocks with any text around them. Secret keys are read for their public half. A certificate that cannot be read is
 * left out with a warning that names it; so is an armored block whose checksum is wrong. Every self-signature is verified.
 *
 * Not checked here: expiry, revocation and use, which depend on the time (see `assessCertificate`), and whether anybody trusts the keys.
 *
 * @param bytes a file's content; no certificates and a warning for content of another kind
 * @throws FormatError `input-too-large` beyond {@link MAX_KEYRING_BYTES} or {@link MAX_CERTIFICATES}
 */
export function parseKeyring(bytes: Uint8Array, engine: Engine): ParsedKeyring {
  if (bytes.length > MAX_KEYRING_BYTES) {
    throw new FormatError("input-too-large", `the keyring has more than ${MAX_KEYRING_BYTES} octets`);
  }
  const certificates: Certificate[] = [];
  const strayRevocations: UntrustedStrayRevocation[] = [];
  const warnings: string[] = [];
  const add = (part: Uint8Array, what: string): void => {
    const read = parseCertificates(part, what, engine);
    warnings.push(...read.warnings);
    for (const untrusted of read.certificates) addCertificate(untrusted, engine, certificates, warnings);
    strayRevocations.push(...read.strayRevocations);
    if (strayRevocations.length > MAX_STRAY_REVOCATIONS) {
      throw new FormatError("input-too-large", `more than ${MAX_STRAY_REVOCATIONS} revocations apart from their keys`);
    }
    if (certificates.length > MAX_CERTIFICATES) {
      throw new FormatError("input-too-large", `the keyring holds more than ${MAX_CERTIFICATES} certificates`);
    }
  };
  if ((bytes[0] ?? 0) >= 0x80) add(bytes, "the keyring");
  else {
    let blocks = 0;
    for (const block of readArmorBlocks(bytes)) {
      const what = `the armored block at line ${block.line}`;
      if (!keyBlocks.has(block.type)) warnings.push(`${what} is not a key block but ${JSON.stringify(block.type)}`);
      else if (block.bytes === undefined) warnings.push(`${what} was skipped: ${block.problem}`);
      else add(block.bytes, what);
      blocks++;
    }
    if (blocks === 0) warnings.push("there is no OpenPGP key block in it");
  }
  return { certificates: revokeCertificates(certificates, strayRevocations, engine), strayRevocations, warnings };
}

/**
 * The certificates, with every revocation that one of them made of itself and that stood apart from it, such as in a file of its own.
 *
 * @param revocations from {@link parseKeyring}; those of other keys are passed over
 */
export function revokeCertificates(
  certificates: readonly Certificate[],
  revocations: readonly UntrustedStrayRevocation[],
  engine: Engine,
): readonly Certificate[] {
  if (revocations.length === 0) return certificates;
  return certificates.map((certificate) =>
    revocations.reduce((known, revocation) => revokeCertificate(known, revocation, engine) ?? known, certificate),
  );
}

function addCertificate(
  untrusted: UntrustedCertificate,
  engine: Engine,
  into: Certificate[],
  warnings: string[],
): void {
  const { fingerprint } = untrusted.primary;
  try {
    const certificate = certify(untrusted, engine);
    into.push(certificate);
    for (const warning of certificate.warnings) warnings.push(`${fingerprint}: ${warning}`);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    warnings.push(`${fingerprint} was skipped: ${error.message}`);
  }
}

/** A keyring of these certificates. Several copies of one certificate become one, so that a revocation in any of them counts. */
export function makeKeyring(certificates: readonly Certificate[]): Keyring {
  const byFingerprint = new Map<string, Certificate>();
  for (const certificate of certificates) {
    const known = byFingerprint.get(certificate.fingerprint);
    byFingerprint.set(
      certificate.fingerprint,
      known === undefined ? certificate : mergeCertificates(known, certificate),
    );
  }
  const byKeyId = new Map<string, KeyCandidate[]>();
  for (const certificate of byFingerprint.values()) {
    for (const key of [certificate.primary, ...certificate.subkeys]) {
      const others = byKeyId.get(key.keyId);
      if (others === undefined) byKeyId.set(key.keyId, [{ certificate, key }]);
      else others.push({ certificate, key });
    }
  }
  return {
    certificates: [...byFingerprint.values()],
    find(keyId, fingerprint) {
      const candidates = byKeyId.get(keyId);
      if (candidates === undefined) return [];
      if (fingerprint === undefined || candidates.every(({ key }) => key.fingerprint === fingerprint))
        return candidates;
      return candidates.filter(({ key }) => key.fingerprint === fingerprint);
    },
  };
}
