import type { KeyObject } from "node:crypto";
import { createHash, generateKeyPairSync, sign } from "node:crypto";

/** OpenPGP keys made with node:crypto, for tests. */

/** Hash algorithms by OpenPGP's number, with Node's name and the octets of salt that version 6 signatures use. */
export const testHashes = {
  MD5: { id: 1, name: "md5", saltSize: 16 },
  "SHA-1": { id: 2, name: "sha1", saltSize: 16 },
  "RIPEMD-160": { id: 3, name: "ripemd160", saltSize: 16 },
  "SHA-256": { id: 8, name: "sha256", saltSize: 16 },
  "SHA-384": { id: 9, name: "sha384", saltSize: 24 },
  "SHA-512": { id: 10, name: "sha512", saltSize: 32 },
  "SHA-224": { id: 11, name: "sha224", saltSize: 16 },
  "SHA3-256": { id: 12, name: "sha3-256", saltSize: 16 },
  "SHA3-512": { id: 14, name: "sha3-512", saltSize: 32 },
} as const;

export type TestHash = keyof typeof testHashes;

export type TestKeyAlgorithm =
  | "rsa-1024"
  | "rsa-2048"
  | "rsa-4096"
  | "dsa-2048"
  | "P-256"
  | "P-384"
  | "P-521"
  | "brainpoolP256r1"
  | "brainpoolP384r1"
  | "brainpoolP512r1"
  | "ed25519-legacy"
  | "ed25519"
  | "ed448"
  | "ml-dsa-65+ed25519"
  | "ml-dsa-87+ed448";

export interface TestOpenPgpKey {
  readonly version: 4 | 6;
  /** Public-key algorithm number. */
  readonly algorithm: number;
  /** Seconds since 1970 UTC. */
  readonly created: number;
  /** Body of its public-key packet. */
  readonly body: Uint8Array;
  /** What signatures over it hash. */
  readonly hashedForm: Uint8Array;
  /** Upper-case hex. */
  readonly fingerprint: string;
  readonly keyId: string;
  readonly defaultHash: TestHash;
  /** The algorithm's octets of a signature over `data`. */
  sign(hash: TestHash, data: Uint8Array): Uint8Array;
}

/** 2024-01-01T00:00:00Z, when test keys are made unless said otherwise. Seconds. */
export const TEST_KEY_CREATED = 1_704_067_200;

/** A new key pair. RSA-4096 takes about a second. */
export function makeTestKey(
  algorithm: TestKeyAlgorithm,
  options: { readonly version?: 4 | 6; readonly created?: number } = {},
): TestOpenPgpKey {
  const version = options.version ?? (algorithm.startsWith("ml-dsa") ? 6 : 4);
  const created = options.created ?? TEST_KEY_CREATED;
  const made = materials[algorithm]();
  const head = Buffer.alloc(version === 6 ? 10 : 6);
  head[0] = version;
  head.writeUInt32BE(created, 1);
  head[5] = made.id;
  if (version === 6) head.writeUInt32BE(made.material.length, 6);
  const body = Buffer.concat([head, made.material]);
  const prefix = Buffer.alloc(version === 6 ? 5 : 3);
  prefix[0] = version === 6 ? 0x9b : 0x99;
  prefix.writeUIntBE(body.length, 1, version === 6 ? 4 : 2);
  const hashedForm = Buffer.concat([prefix, body]);
  const fingerprint = createHash(version === 6 ? "sha256" : "sha1")
    .update(hashedForm)
    .digest("hex")
    .toUpperCase();
  return {
    version,
    algorithm: made.id,
    created,
    body,
    hashedForm,
    fingerprint,
    keyId: version === 6 ? fingerprint.slice(0, 16) : fingerprint.slice(-16),
    defaultHash: algorithm.includes("448") ? "SHA-512" : "SHA-256",
    sign: (hash, data) => made.sign(hash, data),
  };
}

interface Material {
  readonly id: number;
  readonly material: Buffer;
  sign(hash: TestHash, data: Uint8Array): Uint8Array;
}

function integer(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start++;
  const value = Buffer.from(bytes.subarray(start));
  const bits = value.length === 0 ? 0 : value.length * 8 - Math.clz32(value[0]!) + 24;
  return Buffer.concat([Uint8Array.of(bits >> 8, bits & 255), value]);
}

function hashOf(hash: TestHash, data: Uint8Array): Buffer {
  return createHash(testHashes[hash].name).update(data).digest();
}

/** The last `octets` of the key's SubjectPublicKeyInfo: the bare key, where the form has nothing behind it. */
function tail(key: KeyObject, octets: number): Buffer {
  return key.export({ format: "der", type: "spki" }).subarray(-octets);
}

function rsa(modulusLength: number): Material {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength });
  const { n, e } = publicKey.export({ format: "jwk" });
  return {
    id: 1,
    material: Buffer.concat([integer(Buffer.from(n!, "base64url")), integer(Buffer.from(e!, "base64url"))]),
    sign: (hash, data) => integer(sign(testHashes[hash].name, data, privateKey)),
  };
}

/** r and s as integers. */
function signPair(hash: TestHash, data: Uint8Array, key: KeyObject): Buffer {
  const pair = sign(testHashes[hash].name, data, { key, dsaEncoding: "ieee-p1363" });
  const half = pair.length / 2;
  return Buffer.concat([integer(pair.subarray(0, half)), integer(pair.subarray(half))]);
}

function ecdsa(name: string, oid: string, fieldOctets: number): Material {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: name });
  const oidBytes = Buffer.from(oid, "hex");
  const point = tail(publicKey, 1 + 2 * fieldOctets);
  return {
    id: 19,
    material: Buffer.concat([Uint8Array.of(oidBytes.length), oidBytes, integer(point)]),
    sign: (hash, data) => signPair(hash, data, privateKey),
  };
}

function dsa(): Material {
  const { publicKey, privateKey } = generateKeyPairSync("dsa", { modulusLength: 2048, divisorLength: 256 });
  const integers = readIntegers(publicKey.export({ format: "der", type: "spki" }));
  return {
    id: 17,
    material: Buffer.concat(integers.map(integer)),
    sign: (hash, data) => signPair(hash, data, privateKey),
  };
}

/** All integers of a DER document in order: for DSA p, q, g and, inside the bit string, y. */
function readIntegers(der: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < der.length;) {
    const tag = der[at++]!;
    let length = der[at++]!;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      length = der.readUIntBE(at, octets);
      at += octets;
    }
    if (tag === 0x30) continue;
    if (tag === 0x03) {
      at++;
      continue;
    }
    if (tag === 0x02) found.push(der.subarray(at, at + length));
    at += length;
  }
  return found;
}

function edwards(type: "ed25519" | "ed448"): { readonly raw: Buffer; readonly privateKey: KeyObject } {
  const { publicKey, privateKey } = type === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ed448");
  return { raw: tail(publicKey, type === "ed25519" ? 32 : 57), privateKey };
}

function plainEdwards(type: "ed25519" | "ed448"): Material {
  const { raw, privateKey } = edwards(type);
  return {
    id: type === "ed25519" ? 27 : 28,
    material: raw,
    sign: (hash, data) => sign(null, hashOf(hash, data), privateKey),
  };
}

function legacyEd25519(): Material {
  const { raw, privateKey } = edwards("ed25519");
  return {
    id: 22,
    material: Buffer.concat([
      Buffer.from("092B06010401DA470F01", "hex"),
      integer(Buffer.concat([Uint8Array.of(0x40), raw])),
    ]),
    sign(hash, data) {
      const signature = sign(null, hashOf(hash, data), privateKey);
      return Buffer.concat([integer(signature.subarray(0, 32)), integer(signature.subarray(32))]);
    },
  };
}

function composite(id: number, curve: "ed25519" | "ed448", lattice: "ml-dsa-65" | "ml-dsa-87"): Material {
  const first = edwards(curve);
  const { publicKey, privateKey } =
    lattice === "ml-dsa-65" ? generateKeyPairSync("ml-dsa-65") : generateKeyPairSync("ml-dsa-87");
  return {
    id,
    material: Buffer.concat([first.raw, tail(publicKey, lattice === "ml-dsa-65" ? 1952 : 2592)]),
    sign(hash, data) {
      const digest = hashOf(hash, data);
      return Buffer.concat([sign(null, digest, first.privateKey), sign(null, digest, privateKey)]);
    },
  };
}

const materials: Readonly<Record<TestKeyAlgorithm, () => Material>> = {
  "rsa-1024": () => rsa(1024),
  "rsa-2048": () => rsa(2048),
  "rsa-4096": () => rsa(4096),
  "dsa-2048": dsa,
  "P-256": () => ecdsa("prime256v1", "2A8648CE3D030107", 32),
  "P-384": () => ecdsa("secp384r1", "2B81040022", 48),
  "P-521": () => ecdsa("secp521r1", "2B81040023", 66),
  brainpoolP256r1: () => ecdsa("brainpoolP256r1", "2B2403030208010107", 32),
  brainpoolP384r1: () => ecdsa("brainpoolP384r1", "2B240303020801010B", 48),
  brainpoolP512r1: () => ecdsa("brainpoolP512r1", "2B240303020801010D", 64),
  "ed25519-legacy": legacyEd25519,
  ed25519: () => plainEdwards("ed25519"),
  ed448: () => plainEdwards("ed448"),
  "ml-dsa-65+ed25519": () => composite(30, "ed25519", "ml-dsa-65"),
  "ml-dsa-87+ed448": () => composite(31, "ed448", "ml-dsa-87"),
};
