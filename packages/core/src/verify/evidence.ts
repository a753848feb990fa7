import type { Digest } from "../bytes/digest.ts";
import type { GoverningScope } from "../policy/scope-lookup.ts";

export type { GoverningScope };

/**
 * How one check ended. `warning`: it did not pass by the strict rule, but a switch or a rule for pinned keys lets it stand.
 * `undetermined`: it could not be evaluated; never counts as passed.
 */
export type CheckOutcome = "passed" | "failed" | "warning" | "skipped" | "undetermined";

/** One piece of evidence: what was compared with what. Texts may hold untrusted data; whoever prints them removes control characters. */
export interface Check {
  /** Stable, kebab-case name, such as `message-grammar`, `signature-crypto`, `key-expiry`, `payload-json`, `manifest-digest`, `identity`. */
  readonly name: string;
  readonly outcome: CheckOutcome;
  /** One sentence for people. */
  readonly message: string;
  readonly expected?: string;
  readonly found?: string;
  /** Where the rule stands, such as `RFC 9580 section 5.2.3`. */
  readonly clause?: string;
}

/** Why something was rejected; `code` is the name of the failed check. */
export interface Reason {
  readonly code: string;
  readonly message: string;
  /** The one-line fix, where one is known. */
  readonly hint?: string;
}

/** What a signature claims. Nothing in here is verified; shown only where that is said. */
export interface UntrustedClaims {
  readonly format: "simple-signing" | "sigstore-json" | "unrecognized";
  readonly manifestDigest?: string;
  readonly dockerReference?: string;
  readonly creator?: string;
  /** Seconds since 1970 UTC, as the payload says. */
  readonly timestamp?: number;
  /** Upper-case hex, 16 digits. */
  readonly keyId?: string;
}

/** Everything that was looked at in one signature, for one requirement. */
export interface SignatureEvidence {
  /** Where it was found: a path, a URL, or a position such as `signature 2`. */
  readonly location: string;
  readonly verdict: "accepted" | "rejected" | "undetermined";
  readonly claims: UntrustedClaims;
  /** Only when accepted. */
  readonly signer?: VerifiedSigner;
  readonly checks: readonly Check[];
  /** Empty when accepted. */
  readonly reasons: readonly Reason[];
}

/** A signer whose signature verified and was accepted. */
export interface VerifiedSigner {
  /** Full fingerprint of the primary key, upper-case hex: the identity. */
  readonly fingerprint: string;
  /** Full fingerprint of the key that made the signature; the primary or a subkey. */
  readonly signingFingerprint: string;
  readonly userIds: readonly string[];
  /** ISO 8601, UTC: the time inside the signature packet, authenticated by it, claimed by the signer. */
  readonly signedAt: string;
  /** `docker-reference` of the payload. */
  readonly dockerReference: string;
  readonly manifestDigest: Digest;
  readonly creator?: string;
  readonly timestamp?: number;
  /** ISO 8601, UTC: the earliest expiry of signature, signing key and primary, where one is set. */
  readonly validUntil?: string;
}

/** How one requirement of the policy was judged. */
export interface RequirementEvidence {
  /** Position in the scope's array, from 0. */
  readonly index: number;
  readonly type: string;
  readonly verdict: "accepted" | "rejected" | "undetermined" | "not-reached";
  readonly message: string;
  readonly signatures: readonly SignatureEvidence[];
  readonly reasons: readonly Reason[];
  readonly warnings: readonly string[];
}

export interface Evidence {
  readonly digest: Digest;
  readonly scope: GoverningScope;
  readonly requirements: readonly RequirementEvidence[];
  readonly warnings: readonly string[];
}

/** The verdict on one image. The signers exist only in the accepted arm. */
export type Verdict =
  | { readonly verdict: "accepted"; readonly signers: readonly VerifiedSigner[]; readonly evidence: Evidence }
  | { readonly verdict: "rejected"; readonly reasons: readonly Reason[]; readonly evidence: Evidence };
