import type { HashAlgorithm } from "../../bytes/engine.ts";

/** A hash algorithm as OpenPGP numbers it. RFC 9580 section 9.5. */
export interface HashInfo {
  readonly id: number;
  readonly name: HashAlgorithm;
  /** As people write it. */
  readonly label: string;
  /** Bits of the digest. */
  readonly bits: number;
  /** Octets of salt in a version 6 signature; undefined where the algorithm is not allowed there. */
  readonly saltSize: number | undefined;
  /** `never`: broken, no switch allows it. `switch`: off unless switched on. */
  readonly strength: "good" | "switch" | "never";
}

const hashes: ReadonlyMap<number, HashInfo> = new Map(
  (
    [
      { id: 1, name: "md5", label: "MD5", bits: 128, saltSize: undefined, strength: "never" },
      { id: 2, name: "sha1", label: "SHA-1", bits: 160, saltSize: undefined, strength: "switch" },
      { id: 3, name: "ripemd160", label: "RIPEMD-160", bits: 160, saltSize: undefined, strength: "switch" },
      { id: 8, name: "sha256", label: "SHA-256", bits: 256, saltSize: 16, strength: "good" },
      { id: 9, name: "sha384", label: "SHA-384", bits: 384, saltSize: 24, strength: "good" },
      { id: 10, name: "sha512", label: "SHA-512", bits: 512, saltSize: 32, strength: "good" },
      { id: 11, name: "sha224", label: "SHA-224", bits: 224, saltSize: 16, strength: "good" },
      { id: 12, name: "sha3-256", label: "SHA3-256", bits: 256, saltSize: 16, strength: "good" },
      { id: 14, name: "sha3-512", label: "SHA3-512", bits: 512, saltSize: 32, strength: "good" },
    ] satisfies readonly HashInfo[]
  ).map((info) => [info.id, info]),
);

/** What is known of hash algorithm `id`; undefined when it is unknown. */
export function findHash(id: number): HashInfo | undefined {
  return hashes.get(id);
}

/** A public-key algorithm that can sign. RFC 9580 section 9.1. */
export interface SignatureAlgorithm {
  readonly id: number;
  readonly label: string;
  /** Key versions that may use it. */
  readonly keyVersions: readonly (4 | 6)[];
  /** Bits: the shortest digest it may sign. */
  readonly minHashBits: number;
}

const both = [4, 6] as const;
const signatureAlgorithms: ReadonlyMap<number, SignatureAlgorithm> = new Map(
  (
    [
      { id: 1, label: "RSA", keyVersions: both, minHashBits: 0 },
      { id: 3, label: "RSA", keyVersions: both, minHashBits: 0 },
      { id: 17, label: "DSA", keyVersions: [4], minHashBits: 0 },
      { id: 19, label: "ECDSA", keyVersions: both, minHashBits: 0 },
      { id: 22, label: "Ed25519 (legacy)", keyVersions: [4], minHashBits: 256 },
      { id: 27, label: "Ed25519", keyVersions: both, minHashBits: 256 },
      { id: 28, label: "Ed448", keyVersions: both, minHashBits: 512 },
      { id: 30, label: "ML-DSA-65+Ed25519", keyVersions: [6], minHashBits: 256 },
      { id: 31, label: "ML-DSA-87+Ed448", keyVersions: [6], minHashBits: 256 },
    ] satisfies readonly SignatureAlgorithm[]
  ).map((info) => [info.id, info]),
);

/** The signing algorithm `id`; undefined when it is unknown or cannot sign. */
export function findSignatureAlgorithm(id: number): SignatureAlgorithm | undefined {
  return signatureAlgorithms.get(id);
}

const encryptionAlgorithms: ReadonlyMap<number, string> = new Map([
  [2, "RSA (encrypt only)"],
  [16, "Elgamal"],
  [18, "ECDH"],
  [25, "X25519"],
  [26, "X448"],
  [35, "ML-KEM-768+X25519"],
  [36, "ML-KEM-1024+X448"],
]);

/** The name of an algorithm that only encrypts, or undefined. */
export function findEncryptionAlgorithm(id: number): string | undefined {
  return encryptionAlgorithms.get(id);
}

/** A name for any public-key algorithm number. */
export function describeAlgorithm(id: number): string {
  return findSignatureAlgorithm(id)?.label ?? findEncryptionAlgorithm(id) ?? `public-key algorithm ${id}`;
}

/** A name for any hash algorithm number. */
export function describeHash(id: number): string {
  return findHash(id)?.label ?? `hash algorithm ${id}`;
}
