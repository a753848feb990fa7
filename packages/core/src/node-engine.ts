import { createHash, createPublicKey, hash as hashOnce, publicDecrypt, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { decompressBzip2 } from "./bytes/bzip2.ts";
import { encodeSubjectPublicKey } from "./bytes/der.ts";
import type { Engine, HashAlgorithm, PreparedKey, PublicKeyMaterial } from "./bytes/engine.ts";
import { FormatError, InternalError } from "./errors.ts";

class NodeKey implements PreparedKey {
  readonly type: PublicKeyMaterial["type"];
  /** RSA, Ed25519, Ed448 and ML-DSA take the bare key (an options object costs ten microseconds); DSA and ECDSA need their encoding named. */
  readonly verifier: Parameters<typeof verify>[2];

  constructor(type: PublicKeyMaterial["type"], key: KeyObject) {
    this.type = type;
    this.verifier = type === "dsa" || type === "ecdsa" ? { key, dsaEncoding: "ieee-p1363" } : key;
  }
}

function verifierOf(key: PreparedKey): Parameters<typeof verify>[2] {
  if (key instanceof NodeKey) return key.verifier;
  throw new InternalError("a key prepared by one engine was given to another");
}

/** What zlib says when the output cap is reached. */
const TOO_LARGE = "ERR_BUFFER_TOO_LARGE";

/** The engine of Node.js: node:crypto and node:zlib. The only place in core that names them. */
export const nodeEngine: Engine = {
  hash(algorithm, parts) {
    if (parts.length === 1) return hashOnce(algorithm, parts[0]!, "buffer");
    const hash = createHash(algorithm);
    for (const part of parts) hash.update(part);
    return hash.digest();
  },

  createHash(algorithm) {
    const hash = createHash(algorithm);
    return {
      update(bytes) {
        hash.update(bytes);
      },
      digest: () => hash.digest(),
    };
  },

  inflate(form, data, maxBytes) {
    if (form === "bzip2") return decompressBzip2(data, maxBytes);
    // Loaded with the first compressed message: it takes two milliseconds of a cold start.
    const { inflateRawSync, inflateSync } = process.getBuiltinModule("node:zlib");
    const inflate = form === "zlib" ? inflateSync : inflateRawSync;
    let result: { buffer: Uint8Array; engine: { bytesWritten: number } };
    try {
      // With `info`, Node returns the stream object beside the output; its `bytesWritten` counts the octets that the stream took. The typings lack this form.
      result = inflate(data, { maxOutputLength: maxBytes, info: true }) as unknown as typeof result;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === TOO_LARGE) {
        throw new FormatError("input-too-large", `compressed data inflates to more than ${maxBytes} octets`, { cause });
      }
      throw new FormatError("compression-malformed", `compressed data is damaged: ${(cause as Error).message}`, {
        cause,
      });
    }
    return { bytes: result.buffer, trailing: data.length - result.engine.bytesWritten };
  },

  prepareKey(material) {
    try {
      const key = createPublicKey({ key: encodeSubjectPublicKey(material) as Buffer, format: "der", type: "spki" });
      return new NodeKey(material.type, key);
    } catch (cause) {
      throw new FormatError("key-malformed", `the ${material.type} key is not usable: ${(cause as Error).message}`, {
        cause,
      });
    }
  },

  verifyHashed(key, hash, message, digest, signature) {
    const verifier = verifierOf(key);
    if (key.type === "rsa") return verifyRsa(verifier, hash, digest, signature);
    return attempt(() => verify(hash, message, verifier, signature));
  },

  verifyPure(key, message, signature) {
    const verifier = verifierOf(key);
    return attempt(() => verify(null, message, verifier, signature));
  },
};

/** The octets that stand before the digest in a PKCS#1 v1.5 signature: RFC 8017 section 9.2, note 1; RFC 9580 section 5.2.3.1. */
const digestInfoPrefixes: ReadonlyMap<HashAlgorithm, Uint8Array> = new Map(
  (
    [
      ["md5", "2A864886F70D0205", 16],
      ["sha1", "2B0E03021A", 20],
      ["ripemd160", "2B24030201", 20],
      ["sha224", "608648016503040204", 28],
      ["sha256", "608648016503040201", 32],
      ["sha384", "608648016503040202", 48],
      ["sha512", "608648016503040203", 64],
      ["sha3-256", "608648016503040208", 32],
      ["sha3-512", "60864801650304020A", 64],
    ] as const
  ).map(([hash, oid, length]) => {
    const identifier = [0x06, oid.length / 2, ...Buffer.from(oid, "hex"), 0x05, 0x00];
    const total = 2 + identifier.length + 2 + length;
    return [hash, Uint8Array.from([0x30, total, 0x30, identifier.length, ...identifier, 0x04, length])];
  }),
);

/**
 * PKCS#1 v1.5 with the digest at hand: hashing the message again would cost the time of the whole rest of a verdict. OpenSSL removes the padding, strictly;
 * what is left must be the one DigestInfo and nothing more.
 */
function verifyRsa(
  verifier: NodeKey["verifier"],
  hash: HashAlgorithm,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  const prefix = digestInfoPrefixes.get(hash);
  if (prefix === undefined) return false;
  let recovered: Uint8Array;
  try {
    recovered = publicDecrypt(verifier as KeyObject, signature);
  } catch {
    return false;
  }
  if (recovered.length !== prefix.length + digest.length) return false;
  for (let i = 0; i < prefix.length; i++) if (recovered[i] !== prefix[i]) return false;
  for (let i = 0; i < digest.length; i++) if (recovered[prefix.length + i] !== digest[i]) return false;
  return true;
}

/** OpenSSL throws for some malformed signatures and for digests a key cannot take; both mean "does not verify". */
function attempt(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}
