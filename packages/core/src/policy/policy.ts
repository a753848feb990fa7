/** What a policy.json says, parsed and frozen. Made by `parsePolicy` or `signedByPolicy`; the readers in this folder take it apart. */
import type { Reference } from "../reference/reference.ts";

/** A whole policy. Nothing in it can be changed; an edit makes a new document. */
export interface Policy {
  /** File name or other origin, for messages. */
  readonly source: string | undefined;
  /** The document as it came, byte for byte; undefined for a policy that no document holds. */
  readonly raw: Uint8Array | undefined;
  /** What governs images that no scope matches. Never empty. */
  readonly default: Requirements;
  /** Transport name → scope → requirements. Scope `""` is the transport's own default. */
  readonly transports: ReadonlyMap<string, PolicyScopes>;
}

/** The scopes of one transport, in document order. */
export type PolicyScopes = ReadonlyMap<string, Requirements>;

/** Requirements of one scope, ANDed in order. Never empty when a document was parsed. */
export type Requirements = readonly Requirement[];

/** One requirement (policy-json, section 4). */
export type Requirement =
  | AcceptAnythingRequirement
  | RejectRequirement
  | SignedByRequirement
  | SignedBaseLayerRequirement
  | SigstoreSignedRequirement;

/** Accepts every image, signed or not. */
export interface AcceptAnythingRequirement {
  readonly type: "insecureAcceptAnything";
}

/** Rejects every image. */
export interface RejectRequirement {
  readonly type: "reject";
}

/** What the keys of a `signedBy` requirement are. Only `GPGKeys` can be satisfied; the others parse and reject, as in the reference. */
export type KeyType = "GPGKeys" | "signedByGPGKeys" | "X509Certificates" | "signedByX509CAs";

/** At least one simple signature, made by one of the keys, over the image's digest and for the right identity. */
export interface SignedByRequirement {
  readonly type: "signedBy";
  readonly keyType: KeyType;
  readonly keys: KeySource;
  readonly signedIdentity: SignedIdentity;
}

/** Parses and always rejects: the reference never implemented it. */
export interface SignedBaseLayerRequirement {
  readonly type: "signedBaseLayer";
  readonly baseLayerIdentity: SignedIdentity;
}

/** At least one sigstore signature. */
export interface SigstoreSignedRequirement {
  readonly type: "sigstoreSigned";
  readonly trust: SigstoreTrust;
  /** Public keys of the transparency logs; absent when none is demanded. */
  readonly rekor: KeySource | undefined;
  readonly signedIdentity: SignedIdentity;
}

/** Whom a sigstore signature must come from. */
export type SigstoreTrust = { readonly kind: "keys"; readonly keys: KeySource } | FulcioTrust | PkiTrust;

/** Certificates of a Fulcio instance. */
export interface FulcioTrust {
  readonly kind: "fulcio";
  readonly authorities: KeySource;
  /** Compared exactly. */
  readonly oidcIssuer: string;
  /** Compared exactly. */
  readonly subjectEmail: string;
}

/** Certificates of an own authority. At least one of the two subjects is there. */
export interface PkiTrust {
  readonly kind: "pki";
  readonly roots: KeySource;
  readonly intermediates: KeySource | undefined;
  readonly subjectEmail: string | undefined;
  readonly subjectHostname: string | undefined;
}

/** Where key material comes from: files, read when it is needed, or octets that the policy itself holds. A list may be empty. */
export type KeySource =
  | { readonly kind: "files"; readonly paths: readonly string[] }
  | { readonly kind: "data"; readonly blobs: readonly Uint8Array[] };

/** Which identity a signature must be for (policy-json, section 5). */
export type SignedIdentity =
  | { readonly type: "matchExact" }
  | { readonly type: "matchRepoDigestOrExact" }
  | { readonly type: "matchRepository" }
  | ExactReferenceIdentity
  | ExactRepositoryIdentity
  | RemapIdentity;

/** The configured reference stands in for the image's own. It has a tag or a digest. */
export interface ExactReferenceIdentity {
  readonly type: "exactReference";
  /** As written. */
  readonly dockerReference: string;
  readonly reference: Reference;
}

/** The configured repository stands in for the image's own. */
export interface ExactRepositoryIdentity {
  readonly type: "exactRepository";
  /** As written; a tag or digest in it is passed over. */
  readonly dockerRepository: string;
  /** `host/path` in normal form. */
  readonly repository: string;
}

/** Images of a mirror carry signatures for the place they were mirrored from. */
export interface RemapIdentity {
  readonly type: "remapIdentity";
  readonly prefix: string;
  readonly signedPrefix: string;
}

/**
 * All files that the policy names as keys or certificates, each once, in the order of the document.
 * Paths are as written: a relative one is relative to the process. None is opened.
 */
export function keyFilesOf(policy: Policy): readonly string[] {
  const paths = new Set<string>();
  const add = (source: KeySource | undefined): void => {
    if (source?.kind === "files") for (const path of source.paths) paths.add(path);
  };
  const addAll = (requirements: Requirements): void => {
    for (const requirement of requirements) for (const source of keySourcesOf(requirement)) add(source);
  };
  addAll(policy.default);
  for (const scopes of policy.transports.values()) for (const requirements of scopes.values()) addAll(requirements);
  return [...paths];
}

function keySourcesOf(requirement: Requirement): readonly (KeySource | undefined)[] {
  if (requirement.type === "signedBy") return [requirement.keys];
  if (requirement.type !== "sigstoreSigned") return [];
  const { trust, rekor } = requirement;
  if (trust.kind === "keys") return [trust.keys, rekor];
  return trust.kind === "fulcio" ? [trust.authorities, rekor] : [trust.roots, trust.intermediates];
}
