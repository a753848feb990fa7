import type { PreparedKey } from "../bytes/engine.ts";
import type { UntrustedPublicKey } from "../formats/openpgp/public-key.ts";

/** A self-signature that verified: what the holder of the primary key says of a key or user id. Times are milliseconds since 1970 UTC. */
export interface SelfSignature {
  readonly created: number;
  /** From this time on it says nothing any more. */
  readonly expiresAt: number | undefined;
  /** When the key it is about expires. */
  readonly keyExpiresAt: number | undefined;
  /** First octet of the key flags: 1 certify, 2 sign. Undefined: it does not say. */
  readonly keyFlags: number | undefined;
  readonly isPrimaryUserId: boolean;
  /** As people write it: `SHA-256`. */
  readonly hash: string;
  /** True for SHA-1 and RIPEMD-160: good enough for a key that was pinned by hand, with a warning. */
  readonly isHashWeak: boolean;
  /** Subkey bindings: true when the subkey signed back, so that nobody can claim another's subkey. */
  readonly isSignedBack: boolean;
}

/** A revocation by the primary key. */
export interface Revocation {
  /** Milliseconds since 1970 UTC; 0 when it does not say. */
  readonly created: number;
  /** 0 none given, 1 superseded, 2 compromised, 3 retired, 32 user id no longer valid. */
  readonly code: number;
  readonly reason: string;
  /** True unless the key was superseded or retired: then nothing it ever signed can be relied on. */
  readonly isHard: boolean;
}

/** A primary key or subkey with what its holder says of it. */
export interface CertificateKey {
  /** Upper-case hex. */
  readonly fingerprint: string;
  /** 16 upper-case hex digits; never an identity. */
  readonly keyId: string;
  /** Milliseconds since 1970 UTC. */
  readonly created: number;
  /** As people write it: `RSA-4096`, `Ed25519`. */
  readonly algorithm: string;
  readonly publicKey: UntrustedPublicKey;
  /** Ready for the engine that read the keyring; empty for keys that only encrypt. */
  readonly prepared: readonly PreparedKey[];
  /** Primary key: direct-key signatures. Subkey: bindings. */
  readonly selfSignatures: readonly SelfSignature[];
  readonly revocations: readonly Revocation[];
}

/** A user id with the self-signatures that verified. */
export interface CertificateUserId {
  /** Untrusted text: whoever prints it removes control characters. */
  readonly text: string;
  readonly selfSignatures: readonly SelfSignature[];
  readonly revocations: readonly Revocation[];
}

/**
 * An OpenPGP certificate whose self-signatures were verified. That it exists says nothing about whether anybody should trust it: the caller pins it, by
 * naming its file or its fingerprint. Certifications by others are not read.
 */
export interface Certificate {
  /** Full fingerprint of the primary key, upper-case hex: the identity. 40 digits for version 4, 64 for version 6. */
  readonly fingerprint: string;
  readonly version: 4 | 6;
  /** User ids with a verified self-signature that was not revoked since, the primary one first. Untrusted texts. */
  readonly userIds: readonly string[];
  readonly primary: CertificateKey;
  readonly identities: readonly CertificateUserId[];
  readonly subkeys: readonly CertificateKey[];
  /** Its public packets, binary. Secret keys that stood in the file are not in here. */
  readonly raw: Uint8Array;
  /** What was left out of it. */
  readonly warnings: readonly string[];
}
