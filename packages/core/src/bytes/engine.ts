/**
 * What core needs from a cryptography and compression library. Core itself names none: `node-engine.ts` implements this on
 * node:crypto and node:zlib, a browser build may put another beside it. All calls are synchronous: the hot path stays so.
 */

/** Hash names as used inside Signet. */
export type HashAlgorithm =
  | "md5"
  | "sha1"
  | "ripemd160"
  | "sha224"
  | "sha256"
  | "sha384"
  | "sha512"
  | "sha3-256"
  | "sha3-512";

/** A running hash. `digest` may be called once. */
export interface RunningHash {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
}

/** Compressed forms that OpenPGP knows. */
export type Compression = "deflate-raw" | "zlib" | "bzip2";

export interface Inflated {
  readonly bytes: Uint8Array;
  /** Octets of the input that stand after the end of the stream; whoever wants the input consumed whole refuses any. */
  readonly trailing: number;
}

/**
 * A public key in the shape its algorithm has on the wire, already checked for lengths.
 * Points and integers are big-endian, without leading zeros for RSA and DSA.
 */
export type PublicKeyMaterial =
  | { readonly type: "rsa"; readonly n: Uint8Array; readonly e: Uint8Array }
  | {
      readonly type: "dsa";
      readonly p: Uint8Array;
      readonly q: Uint8Array;
      readonly g: Uint8Array;
      readonly y: Uint8Array;
    }
  | { readonly type: "ecdsa"; readonly curve: EcdsaCurve; readonly point: Uint8Array }
  | { readonly type: "ed25519"; readonly publicKey: Uint8Array }
  | { readonly type: "ed448"; readonly publicKey: Uint8Array }
  | { readonly type: "ml-dsa-65"; readonly publicKey: Uint8Array }
  | { readonly type: "ml-dsa-87"; readonly publicKey: Uint8Array };

export type EcdsaCurve = "P-256" | "P-384" | "P-521" | "brainpoolP256r1" | "brainpoolP384r1" | "brainpoolP512r1";

/** A key prepared for many verifications; only the engine that made it can use it. */
export interface PreparedKey {
  readonly type: PublicKeyMaterial["type"];
}

export interface Engine {
  /** Digest of `parts` one after the other. */
  hash(algorithm: HashAlgorithm, parts: readonly Uint8Array[]): Uint8Array;
  createHash(algorithm: HashAlgorithm): RunningHash;
  /**
   * Inflates the one stream that `data` begins with. Never produces or allocates more than about `maxBytes` of output.
   * @throws FormatError `input-too-large` beyond `maxBytes`; `compression-malformed` for data that is damaged or ends too early
   */
  inflate(form: Compression, data: Uint8Array, maxBytes: number): Inflated;
  /** @throws FormatError `key-malformed` when the library refuses the key */
  prepareKey(material: PublicKeyMaterial): PreparedKey;
  /**
   * RSA PKCS#1 v1.5, DSA or ECDSA over `message` hashed with `hash`. `digest` is that hash, which every caller has at hand: an engine uses whichever of the two its
   * library takes. `signature`: RSA, the integer padded to the modulus; DSA and ECDSA, r‖s, each padded to the size of q or of the field.
   * A malformed signature is false, not an exception.
   */
  verifyHashed(
    key: PreparedKey,
    hash: HashAlgorithm,
    message: Uint8Array,
    digest: Uint8Array,
    signature: Uint8Array,
  ): boolean;
  /** Ed25519, Ed448 or ML-DSA (pure form, empty context) over `message` as it stands. A malformed signature is false. */
  verifyPure(key: PreparedKey, message: Uint8Array, signature: Uint8Array): boolean;
}
