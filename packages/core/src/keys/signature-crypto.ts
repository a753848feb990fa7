import { concatBytes } from "../bytes/concat.ts";
import type { Engine, HashAlgorithm, PreparedKey, PublicKeyMaterial } from "../bytes/engine.ts";
import { findHash, findSignatureAlgorithm } from "../formats/openpgp/algorithms.ts";
import { OpenPgpFault } from "../formats/openpgp/fault.ts";
import { OctetReader, padLeft } from "../formats/openpgp/octets.ts";
import type { UntrustedPublicKey } from "../formats/openpgp/public-key.ts";
import { fieldOctetsOf } from "../formats/openpgp/public-key.ts";
import type { UntrustedSignature } from "../formats/openpgp/signature.ts";

/** A public key and what its engine made of it. */
export interface VerifyingKey {
  readonly publicKey: UntrustedPublicKey;
  readonly prepared: readonly PreparedKey[];
}

/**
 * How the cryptography of one signature went. `version-mismatch`, `algorithm-mismatch`: this key cannot have made it. `hash-unknown`, `hash-too-short`: the hash is
 * unknown, or too short for the algorithm. `malformed`: not the octets of the algorithm. `digest-start`: the data is not what was signed, by the
 * first two octets already. `bad`: the signature does not verify.
 */
export type CryptoResult =
  | "good"
  | "version-mismatch"
  | "algorithm-mismatch"
  | "hash-unknown"
  | "hash-too-short"
  | "malformed"
  | "digest-start"
  | "bad";

/**
 * Checks that `key` made `signature` over `data`. Nothing but the cryptography: not times, types, issuers, strength of the hash, or whether the key may sign.
 * Both halves of a composite key must verify. RFC 9580 sections 5.2.3 and 5.2.4.
 */
export function verifySignature(
  signature: UntrustedSignature,
  key: VerifyingKey,
  data: readonly Uint8Array[],
  engine: Pick<Engine, "hash" | "verifyHashed" | "verifyPure">,
): CryptoResult {
  const { publicKey, prepared } = key;
  if ((signature.version === 6) !== (publicKey.version === 6)) return "version-mismatch";
  const algorithm = findSignatureAlgorithm(signature.algorithm);
  if (algorithm === undefined || signature.algorithm !== publicKey.algorithm || prepared.length === 0) {
    return "algorithm-mismatch";
  }
  const hash = findHash(signature.hash);
  if (hash === undefined) return "hash-unknown";
  if (hash.bits < algorithm.minHashBits) return "hash-too-short";
  // One array, so that hashing and verifying each cross into the library once.
  const signed = concatBytes([signature.salt, ...data, signature.trailer]);
  const digest = engine.hash(hash.name, [signed]);
  if (digest[0]! * 256 + digest[1]! !== signature.digestStart) return "digest-start";
  const halves = splitSignature(signature.material, publicKey);
  if (halves === undefined) return "malformed";
  for (let i = 0; i < prepared.length; i++) {
    if (!verifyHalf(prepared[i]!, hash.name, signed, digest, halves[i]!, engine)) return "bad";
  }
  return "good";
}

function verifyHalf(
  key: PreparedKey,
  hash: HashAlgorithm,
  signed: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
  engine: Pick<Engine, "verifyHashed" | "verifyPure">,
): boolean {
  return key.type === "rsa" || key.type === "dsa" || key.type === "ecdsa"
    ? engine.verifyHashed(key, hash, signed, digest, signature)
    : engine.verifyPure(key, digest, signature);
}

/** Octets of the signature of each kind of key whose signatures have one size. */
const pureSignatureOctets: Readonly<Record<"ed25519" | "ed448" | "ml-dsa-65" | "ml-dsa-87", number>> = {
  ed25519: 64,
  ed448: 114,
  "ml-dsa-65": 3309,
  "ml-dsa-87": 4627,
};

/** The signature as the engine wants it, one part for each of the key's materials; undefined when its octets are not those of the algorithm. */
function splitSignature(material: Uint8Array, key: UntrustedPublicKey): readonly Uint8Array[] | undefined {
  const reader = new OctetReader(material, "the signature packet", "signature-malformed");
  try {
    const parts = key.materials.map((half) => readPart(reader, half, key.algorithm));
    reader.end();
    return parts.some((part) => part === undefined) ? undefined : (parts as Uint8Array[]);
  } catch (error) {
    if (error instanceof OpenPgpFault) return undefined;
    throw error;
  }
}

/** EdDSA signatures as integers, which only keys of algorithm 22 make. */
const LEGACY_EDDSA = 22;

function readPart(reader: OctetReader, half: PublicKeyMaterial, algorithm: number): Uint8Array | undefined {
  switch (half.type) {
    case "rsa":
      return padLeft(reader.integer(), half.n.length);
    case "dsa":
      return readPair(reader, half.q.length);
    case "ecdsa":
      return readPair(reader, fieldOctetsOf(half.curve));
    default:
      return algorithm === LEGACY_EDDSA ? readPair(reader, 32) : reader.take(pureSignatureOctets[half.type]);
  }
}

function readPair(reader: OctetReader, octets: number): Uint8Array | undefined {
  const first = padLeft(reader.integer(), octets);
  const second = padLeft(reader.integer(), octets);
  return first === undefined || second === undefined ? undefined : concatBytes([first, second]);
}
