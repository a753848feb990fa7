/** Why an image is accepted or not, as data: every fact that the verdict depends on, in the order in which it was found. */
import type {
  CertificateAssessment,
  Digest,
  Examination,
  Fix,
  Platform,
  Requirement,
  ScopeCandidate,
  SignetError,
  UntrustedClaims,
} from "@signet/core";
import type { StoreAttempt } from "../stores/signature-store.ts";
import type { EndpointAttempt } from "../transports/transport.ts";
import type { ManifestRole } from "../verify/verify-image.ts";

export type ExplainedVerdict = "accepted" | "rejected" | "undetermined";

/** A scope of the look-up order. */
export interface ScopeExplanation extends ScopeCandidate {
  /** What it says, in one line; undefined when the policy has no such scope. */
  readonly summary?: string;
  /**
   * What the verdict would be if it governed. For the governing one that is the verdict. `unknown`: it asks for signatures, and they were not read.
   * Undefined for scopes that the policy does not have, and for more specific ones than that which governs.
   */
  readonly verdict?: ExplainedVerdict | "unknown";
}

/** One place that a requirement names for keys. */
export interface KeyExplanation {
  /** A path as the policy has it, or `keyData`. */
  readonly source: string;
  readonly certificates: readonly CertificateAssessment[];
  /** Why nothing could be read. */
  readonly error?: SignetError;
  readonly warnings: readonly string[];
}

/** What one requirement of the governing scope asks for, before any signature is looked at. */
export interface DemandExplanation {
  readonly index: number;
  readonly requirement: Requirement;
  /** In one line. */
  readonly summary: string;
  /** Only of signedBy. */
  readonly keys: readonly KeyExplanation[];
  /** The identity rule with what it is told, and the reference or repository that signatures are compared with; only of signedBy. */
  readonly identity?: { readonly rule: string; readonly expected: string };
}

/** Which store is asked for signatures, and why. */
export interface StoreExplanation {
  /** `folder`: beside a dir: image. `given`: the place that was named. `none`: there is no place. */
  readonly kind: "lookaside" | "extension" | "folder" | "given" | "none";
  readonly label: string;
  /** One line each. */
  readonly why: readonly string[];
  /** False when nothing names it. */
  readonly isConfigured: boolean;
  /** Sigstore attachments in the registry; undefined for images that are in none. */
  readonly attachments?: { readonly enabled: boolean; readonly why: string };
}

/** A signature that was found and not judged. */
export interface UnjudgedSignature {
  readonly location: string;
  readonly claims: UntrustedClaims;
}

/** What a store answered for one manifest. */
export interface LookupExplanation {
  readonly store: string;
  readonly attempts: readonly StoreAttempt[];
  readonly found: number;
  readonly warnings: readonly string[];
  /** Reading ended with it. */
  readonly error?: SignetError;
}

/** How one manifest was judged. */
export interface ManifestExplanation {
  readonly role: ManifestRole;
  readonly digest: Digest;
  /** What the list says of an instance. Untrusted text. */
  readonly platform?: Platform;
  readonly verdict: ExplainedVerdict;
  /** Undefined when it could not be fetched. */
  readonly examination?: Examination;
  /** Undefined when no signatures were read: nothing asked for them. */
  readonly lookup?: LookupExplanation;
  /** Signatures that were found while no requirement could judge them. */
  readonly unjudged: readonly UnjudgedSignature[];
  /** Of an instance without an acceptable signature: how many signatures its list has. */
  readonly listSignatures?: number;
  /** Sigstore signatures attached to it in the registry; looked for only where no simple signature was found. */
  readonly attachments?: { readonly tag: string; readonly count: number };
  readonly error?: SignetError;
}

/** The whole story of one image. */
export interface ImageExplanation {
  /** Canonical name with its transport. */
  readonly image: string;
  readonly transport: string;
  readonly verdict: ExplainedVerdict;
  /** File name of the policy; undefined for one that no document holds. */
  readonly policy: string | undefined;
  /** Most specific first; the policy's default last. */
  readonly scopes: readonly ScopeExplanation[];
  readonly demands: readonly DemandExplanation[];
  /** The places of a registry image that were tried, in order; the one that served it is the last. Empty where its name is the only place. */
  readonly endpoints: readonly EndpointAttempt[];
  readonly store: StoreExplanation;
  /** Of the image's own manifest; undefined when it could not be fetched. */
  readonly digest: Digest | undefined;
  /** When the image is a list: its instances, and the platform for which one was chosen. */
  readonly list?: {
    readonly platforms: readonly { readonly digest: Digest; readonly platform?: Platform }[];
    readonly wanted: Platform;
    readonly all: boolean;
  };
  readonly manifests: readonly ManifestExplanation[];
  /** What kept the image from being judged at all. */
  readonly error?: SignetError;
  /** Undefined when the image is accepted. */
  readonly fix?: Fix;
}
