import { concatBytes } from "../../bytes/concat.ts";
import type { EcdsaCurve, Engine, PublicKeyMaterial } from "../../bytes/engine.ts";
import { encodeHexUpper } from "../../bytes/hex.ts";
import { describeAlgorithm, findEncryptionAlgorithm, findSignatureAlgorithm } from "./algorithms.ts";
import { OpenPgpFault } from "./fault.ts";
import { OctetReader, bitLength } from "./octets.ts";
import { keyIdOf } from "./signature.ts";

/** A public key or subkey as read; that anybody trusts it is not said. */
export interface UntrustedPublicKey {
  readonly version: 4 | 6;
  /** Seconds since 1970 UTC. */
  readonly created: number;
  /** Public-key algorithm number. */
  readonly algorithm: number;
  /** As people write it: `RSA-4096`, `ECDSA P-256`, `Ed25519`. */
  readonly label: string;
  /** Upper-case hex, 40 digits for version 4, 64 for version 6. */
  readonly fingerprint: string;
  /** 16 upper-case hex digits. */
  readonly keyId: string;
  /** One key, or the two halves of a composite, elliptic curve first. Empty for keys that only encrypt. */
  readonly materials: readonly PublicKeyMaterial[];
  /** The packet's body, its secret part left out. */
  readonly body: Uint8Array;
  /** What signatures over this key hash. RFC 9580 section 5.2.4. */
  readonly hashedForm: Uint8Array;
}

/** Bits: smaller RSA and DSA keys can be broken with an ordinary computer. */
const MIN_MODULUS_BITS = 1024;
/** Bits: OpenSSL verifies with nothing larger, and larger ones cost seconds. */
const MAX_MODULUS_BITS = 16_384;
/** Bits: OpenSSL's own bound for large moduli; every genuine exponent is 65537 or smaller. */
const MAX_EXPONENT_BITS = 64;

/** Curves by the octets of their object identifier. RFC 9580 section 9.2. */
const curves: readonly { readonly oid: string; readonly curve: EcdsaCurve; readonly fieldOctets: number }[] = [
  { oid: "2A8648CE3D030107", curve: "P-256", fieldOctets: 32 },
  { oid: "2B81040022", curve: "P-384", fieldOctets: 48 },
  { oid: "2B81040023", curve: "P-521", fieldOctets: 66 },
  { oid: "2B2403030208010107", curve: "brainpoolP256r1", fieldOctets: 32 },
  { oid: "2B240303020801010B", curve: "brainpoolP384r1", fieldOctets: 48 },
  { oid: "2B240303020801010D", curve: "brainpoolP512r1", fieldOctets: 64 },
];
const legacyEd25519Oid = "2B06010401DA470F01";

/** Octets of a coordinate, and so of each half of a signature, on `curve`. */
export function fieldOctetsOf(curve: EcdsaCurve): number {
  return curves.find((entry) => entry.curve === curve)!.fieldOctets;
}

/**
 * Reads the body of a public-key packet of version 4 or 6, or the public half of a secret-key packet. RFC 9580 section 5.5.2.
 * @param hasSecretPart true for tags 5 and 7: octets after the public part are passed over
 * @throws OpenPgpFault `key-version`, `key-algorithm`, `key-malformed`
 */
export function parsePublicKey(
  body: Uint8Array,
  hasSecretPart: boolean,
  engine: Pick<Engine, "hash">,
): UntrustedPublicKey {
  const reader = new OctetReader(body, "the key packet", "key-malformed");
  const version = reader.octet();
  if (version !== 4 && version !== 6) {
    throw new OpenPgpFault("key-version", `keys of version ${version} are not supported`);
  }
  const created = reader.uint32();
  const algorithm = reader.octet();
  const signing = findSignatureAlgorithm(algorithm);
  if (signing === undefined && findEncryptionAlgorithm(algorithm) === undefined) {
    throw new OpenPgpFault("key-algorithm", `public-key algorithm ${algorithm} is not supported`);
  }
  if (signing !== undefined && !signing.keyVersions.some((allowed) => allowed === version)) {
    throw new OpenPgpFault("key-algorithm", `${signing.label} is not allowed in keys of version ${version}`);
  }
  const materials = readMaterialArea(reader, version, algorithm, hasSecretPart);
  const publicBody = body.subarray(0, reader.at);
  const hashedForm = hashedFormOf(version, publicBody);
  const fingerprint = encodeHexUpper(engine.hash(version === 4 ? "sha1" : "sha256", [hashedForm]));
  return {
    version,
    created,
    algorithm,
    label: labelOf(algorithm, materials),
    fingerprint,
    keyId: keyIdOf(fingerprint),
    materials,
    body: publicBody,
    hashedForm,
  };
}

function readMaterialArea(
  reader: OctetReader,
  version: 4 | 6,
  algorithm: number,
  hasSecretPart: boolean,
): readonly PublicKeyMaterial[] {
  if (version === 6) {
    const area = new OctetReader(reader.take(reader.uint32()), "the key packet", "key-malformed");
    const materials = readMaterial(area, algorithm);
    area.end();
    if (!hasSecretPart) reader.end();
    return materials;
  }
  const materials = readMaterial(reader, algorithm);
  if (!hasSecretPart) reader.end();
  return materials;
}

function readMaterial(reader: OctetReader, algorithm: number): readonly PublicKeyMaterial[] {
  switch (algorithm) {
    case 1:
    case 3:
      return [readRsa(reader)];
    case 17:
      return [readDsa(reader)];
    case 19:
      return [readEcdsa(reader)];
    case 22:
      return [readLegacyEd25519(reader)];
    case 27:
      return [{ type: "ed25519", publicKey: reader.take(32) }];
    case 28:
      return [{ type: "ed448", publicKey: reader.take(57) }];
    case 30:
      return [
        { type: "ed25519", publicKey: reader.take(32) },
        { type: "ml-dsa-65", publicKey: reader.take(1952) },
      ];
    case 31:
      return [
        { type: "ed448", publicKey: reader.take(57) },
        { type: "ml-dsa-87", publicKey: reader.take(2592) },
      ];
    default:
      passOverEncryptionKey(reader, algorithm);
      return [];
  }
}

/** Keys that only encrypt are read for their length alone. */
function passOverEncryptionKey(reader: OctetReader, algorithm: number): void {
  const fixedLengths: Readonly<Record<number, number>> = { 25: 32, 26: 56, 35: 32 + 1184, 36: 56 + 1568 };
  if (algorithm === 2 || algorithm === 16) {
    for (let i = algorithm === 2 ? 2 : 3; i > 0; i--) reader.integer();
  } else if (algorithm === 18) {
    reader.take(reader.octet());
    reader.integer();
    reader.take(reader.octet());
  } else reader.take(fixedLengths[algorithm]!);
}

function readRsa(reader: OctetReader): PublicKeyMaterial {
  const n = reader.integer();
  const e = reader.integer();
  checkModulus("RSA", n);
  if (bitLength(e) > MAX_EXPONENT_BITS || bitLength(e) < 2 || (e[e.length - 1]! & 1) === 0) {
    throw new OpenPgpFault("key-malformed", "the RSA exponent is not an odd number from 3 to 2^64");
  }
  return { type: "rsa", n, e };
}

function readDsa(reader: OctetReader): PublicKeyMaterial {
  const p = reader.integer();
  const q = reader.integer();
  const g = reader.integer();
  const y = reader.integer();
  checkModulus("DSA", p);
  const qBits = bitLength(q);
  if (qBits !== 160 && qBits !== 224 && qBits !== 256) {
    throw new OpenPgpFault("key-malformed", `a DSA subgroup of ${qBits} bits`);
  }
  return { type: "dsa", p, q, g, y };
}

function checkModulus(what: string, modulus: Uint8Array): void {
  const bits = bitLength(modulus);
  if (bits < MIN_MODULUS_BITS || bits > MAX_MODULUS_BITS) {
    throw new OpenPgpFault(
      "key-malformed",
      `${what} with ${bits} bits; ${MIN_MODULUS_BITS} to ${MAX_MODULUS_BITS} are supported`,
    );
  }
}

function readEcdsa(reader: OctetReader): PublicKeyMaterial {
  const oid = encodeHexUpper(reader.take(reader.octet()));
  const entry = curves.find((candidate) => candidate.oid === oid);
  if (entry === undefined)
    throw new OpenPgpFault("key-algorithm", `the curve with object identifier ${oid} is not supported`);
  const point = reader.integer();
  if (point.length !== 1 + 2 * entry.fieldOctets || point[0] !== 4) {
    throw new OpenPgpFault("key-malformed", `not an uncompressed point on ${entry.curve}`);
  }
  return { type: "ecdsa", curve: entry.curve, point };
}

function readLegacyEd25519(reader: OctetReader): PublicKeyMaterial {
  const oid = encodeHexUpper(reader.take(reader.octet()));
  if (oid !== legacyEd25519Oid) {
    throw new OpenPgpFault("key-algorithm", `the curve with object identifier ${oid} is not supported`);
  }
  const point = reader.integer();
  if (point.length !== 33 || point[0] !== 0x40) throw new OpenPgpFault("key-malformed", "not a native Ed25519 point");
  return { type: "ed25519", publicKey: point.subarray(1) };
}

function labelOf(algorithm: number, materials: readonly PublicKeyMaterial[]): string {
  const [material] = materials;
  if (material?.type === "rsa") return `RSA-${bitLength(material.n)}`;
  if (material?.type === "dsa") return `DSA-${bitLength(material.p)}`;
  if (material?.type === "ecdsa") return `ECDSA ${material.curve}`;
  return describeAlgorithm(algorithm);
}

function hashedFormOf(version: 4 | 6, body: Uint8Array): Uint8Array {
  const length = body.length;
  if (version === 6) {
    return concatBytes([Uint8Array.of(0x9b, length >>> 24, length >> 16, length >> 8, length), body]);
  }
  if (length > 0xffff) throw new OpenPgpFault("key-malformed", "a version 4 key of more than 65,535 octets");
  return concatBytes([Uint8Array.of(0x99, length >> 8, length), body]);
}
