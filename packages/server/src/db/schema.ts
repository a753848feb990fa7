/**
 * The tables, as Kysely knows them. SQLite and PostgreSQL hold the same: times are whole milliseconds since 1970 (UTC), flags are 0 or 1, JSON is text, bytes are
 * blob or bytea. What is content (blobs, manifests, tags, signatures) is global and immutable; what a repository holds is membership.
 */
import type { Generated } from "kysely";

/** A time in milliseconds since 1970, UTC. */
type Milliseconds = number;
/** 0 or 1: SQLite has no booleans, and both databases are to behave alike. */
export type Flag = 0 | 1;

/** The kinds of content unit that a repository version holds. */
export type UnitKind = "blob" | "manifest" | "signature" | "tag";

/** Bytes that exist in the blob store. A row never points at bytes that are missing: the bytes are durable first. */
export interface BlobTable {
  digest: string;
  /** Bytes. */
  size: number;
  /** Where the blob store keeps the bytes; each upload has a place of its own, so that removing an old copy cannot hit a new one. */
  location: string;
  created_at: Milliseconds;
  /** When an upload, a mount or a manifest last named it: collection spares what was touched within its grace time. */
  touched_at: Milliseconds;
}

/** A manifest whose bytes were checked against its digest and parsed on arrival. */
export interface ManifestTable {
  digest: string;
  media_type: string;
  /** OCI 1.1: `artifactType`, or the config's media type where that is absent. */
  artifact_type: string | null;
  bytes: Uint8Array;
  size: number;
  config_digest: string | null;
  subject_digest: string | null;
  os: string | null;
  architecture: string | null;
  variant: string | null;
  /** JSON object; what the referrers list repeats. */
  annotations: string;
  /** Bytes of config and layers as the descriptors state them. */
  total_size: number;
  created_at: Milliseconds;
  touched_at: Milliseconds;
}

/** Which blobs a manifest names: its config and layers. */
export interface ManifestBlobTable {
  manifest_digest: string;
  blob_digest: string;
}

/** Which manifests a list names. */
export interface ManifestChildTable {
  manifest_digest: string;
  child_digest: string;
  position: number;
}

/** A name for a manifest: a content unit like the others. One repository version holds a name at most once. */
export interface TagTable {
  /** `NAME DIGEST`: the unit key of memberships. A space sorts before all that a name may hold, so that keys sort as names do. */
  key: string;
  name: string;
  manifest_digest: string;
  created_at: Milliseconds;
  touched_at: Milliseconds;
}

/** How a signature is framed. */
export type SignatureFormat = "simple-signing" | "sigstore-attachment" | "sigstore-bundle" | "notation";

/** One signature, whatever door it came through. What its text claims is unverified: verdicts are in {@link VerificationTable}. */
export interface SignatureTable {
  /** `sha256:` of `bytes`. */
  digest: string;
  /** What it is about; of one that manifests carry only the first image, in whichever repository: the others, and what readers are told, are in {@link SignatureCarrierTable}. */
  manifest_digest: string;
  format: SignatureFormat;
  /** The docker reference that the signature claims to be about. */
  claimed_reference: string | null;
  claimed_at: Milliseconds | null;
  claimed_creator: string | null;
  /** 16 upper-case hex digits, where the signature names its key. */
  claimed_key_id: string | null;
  /** The whole fingerprint in upper-case hex, where the signature names it. */
  claimed_fingerprint: string | null;
  /** The signature as containers/image frames it: an OpenPGP message, or `\0sigstore-json\n` and JSON. */
  bytes: Uint8Array;
  created_at: Milliseconds;
  touched_at: Milliseconds;
}

/** How a signature came into a repository. Not a part of {@link SignatureTable}: one repository's readers must not learn what was sent to another. */
export interface SignatureArrivalTable {
  repository_id: number;
  signature_digest: string;
  /** Its name at the signatures extension: `DIGEST@32 hex digits`. */
  name: string;
  arrived_at: Milliseconds;
}

/**
 * A manifest of a repository that carries a signature, and the unit on which that hangs: the manifest itself, or the tag that makes it one. It carries the signature in those versions that hold the
 * unit; one signature may have several carriers, and be about another image in each.
 */
export interface SignatureCarrierTable {
  repository_id: number;
  signature_digest: string;
  /** `manifest` for a referrer, `tag` for an attachment. */
  unit_kind: "manifest" | "tag";
  unit_key: string;
  /** What it is a signature of: the referrer's subject, or what the tag names. */
  image_digest: string;
  carrier_digest: string;
}

/** What may never be stored again: a signature by its digest, or every signature of a key. Checked in the transaction that would insert. */
export interface TombstoneTable {
  kind: "signature" | "key";
  /** The signature's digest, or the key's fingerprint. */
  subject: string;
  reason: string;
  created_by: string;
  created_at: Milliseconds;
}

/** One judgement of one signature; the newest is the present status, the others are history. */
export interface VerificationTable {
  id: Generated<number>;
  signature_digest: string;
  /** Which keys were trusted: the version of the server's keyring. */
  keyring_version: number;
  verdict: "accepted" | "rejected" | "unknown-key";
  signer: string | null;
  /** JSON: the checks that were made and their outcomes. */
  evidence: string;
  verified_at: Milliseconds;
  /** The account, or `server`. */
  verified_by: string;
  /** When time alone changes the verdict, such as by a key's expiry. */
  valid_until: Milliseconds | null;
}

/**
 * What an auditor found of a signature of an image, recorded through one repository and shown to its readers alone. An assertion of whoever is named, not a judgement of the server's: those are in
 * {@link VerificationTable}, and nothing that decides reads this table.
 */
export interface RecordedVerificationTable {
  repository_id: number;
  /** A signature that manifests carry may be about several images. */
  image_digest: string;
  signature_digest: string;
  /** The account. */
  recorded_by: string;
  /** From 1, for each image, signature and account; the largest is the present status, the others are history. */
  number: number;
  verdict: "accepted" | "rejected";
  expected_identity: string;
  /** Fingerprint or key id, in upper-case hex. */
  signing_key: string | null;
  /** What the signature says that it is for. */
  signed_identity: string | null;
  reason: string | null;
  /** Bytes of the texts, for the repository's quota. */
  size: number;
  /** When it was verified, by the clock of whoever did. */
  verified_at: Milliseconds;
  /** When this was first recorded, and when last: the same again is no new row. */
  since: Milliseconds;
  recorded_at: Milliseconds;
}

export interface RepositoryTable {
  id: Generated<number>;
  name: string;
  /** `push`: filled by clients. `sync`: filled by tasks. */
  kind: "push" | "sync";
  description: string;
  visibility: "private" | "public";
  pull_policy_mode: "off" | "warn" | "enforce";
  /** JSON list of policy.json requirements, or null. */
  pull_policy: string | null;
  /** JSON list of tag patterns that may not move. */
  immutable_tags: string;
  quota_bytes: number | null;
  quota_tags: number | null;
  /** How many complete versions are kept. */
  retain_versions: number;
  /** The newest complete version; 0 is the empty one. */
  latest_version: number;
  /** Grows with every change to what the repository serves, pending content and settings included: caches are keyed by it. */
  change_number: number;
  /** Who may write for long (a task), until when. Short changes lock the row in their transaction. */
  locked_by: string | null;
  locked_until: Milliseconds | null;
  created_at: Milliseconds;
}

export interface RepositoryVersionTable {
  repository_id: number;
  number: number;
  created_by: string;
  /** Only complete versions are seen. */
  complete: Flag;
  created_at: Milliseconds;
}

/** A version holds a unit when `version_added <= n < version_removed`. */
export interface MembershipTable {
  repository_id: number;
  unit_kind: UnitKind;
  /** A digest, or for tags `NAME DIGEST`. */
  unit_key: string;
  version_added: number;
  version_removed: number | null;
}

/** Uploaded or mounted, and in no version yet: readable in its repository by digest. */
export interface PendingTable {
  repository_id: number;
  unit_kind: "blob" | "manifest";
  unit_key: string;
  added_at: Milliseconds;
}

/** What the data plane serves under a path: a repository's latest version, or one that is pinned. */
export interface DistributionTable {
  path: string;
  repository_id: number;
  version: number | null;
  created_at: Milliseconds;
}

/** An upload in flight. */
export interface UploadTable {
  id: string;
  repository_id: number;
  account: string;
  /** Bytes that are durable. */
  received: number;
  /** What the blob store needs to go on: JSON of its own. */
  state: string;
  created_at: Milliseconds;
  updated_at: Milliseconds;
}

export interface AccountTable {
  id: Generated<number>;
  name: string;
  kind: "user" | "robot";
  /** A PHC string (`$argon2id$…`, or bcrypt from an htpasswd file); null: no password. */
  password_hash: string | null;
  /** Grows with every new password, so that what was proved by an older one is no longer good. */
  password_version: number;
  disabled: Flag;
  /** Wrong passwords from networks that the account is not known to come from. */
  failed_logins: number;
  /** Until when such networks are refused; in the past: when the last wrong password came. */
  locked_until: Milliseconds | null;
  created_at: Milliseconds;
}

/** A network that tried an account's password. */
export interface LoginNetworkTable {
  account_id: number;
  /** An IPv4 address, or an IPv6 network of 64 bits. */
  network: string;
  failed_logins: number;
  /** Like the account's own. */
  locked_until: Milliseconds | null;
  /** The last right password; null: never. */
  succeeded_at: Milliseconds | null;
  updated_at: Milliseconds;
}

export interface AccountGroupTable {
  id: Generated<number>;
  name: string;
  created_at: Milliseconds;
}

export interface GroupMemberTable {
  group_id: number;
  account_id: number;
}

/** A secret that stands in for a password. Only a hash is kept. */
export interface AccessTokenTable {
  id: string;
  account_id: number;
  name: string;
  /** SHA-256 in hex: the secret has 256 random bits, so that no slow hash is needed. */
  secret_hash: string;
  /** JSON list of what it is limited to, or null for all that the account may. */
  scopes: string | null;
  expires_at: Milliseconds | null;
  created_at: Milliseconds;
  last_used_at: Milliseconds | null;
}

/** What a subject may do at a target. */
export type Role = "reader" | "pusher" | "signer" | "auditor" | "maintainer" | "admin";

export interface RoleBindingTable {
  id: Generated<number>;
  subject_kind: "account" | "group" | "anonymous" | "authenticated";
  /** The account's or group's id; 0 for `anonymous` and `authenticated`. */
  subject_id: number;
  role: Role;
  target_kind: "server" | "namespace" | "repository";
  /** A path, or empty for the server. A namespace covers every repository below it. */
  target: string;
  created_at: Milliseconds;
}

/** Keys that sign bearer tokens; older ones verify until they are gone. */
export interface TokenKeyTable {
  id: string;
  algorithm: "EdDSA" | "ES256";
  /** Private JWK, as JSON. */
  private_jwk: string;
  created_at: Milliseconds;
  /** No new tokens from then on; removed once those it signed have expired. */
  retired_at: Milliseconds | null;
}

/** A key that the server trusts (or did) for signatures. */
export interface TrustedKeyTable {
  fingerprint: string;
  /** The certificate, binary. */
  certificate: Uint8Array;
  state: "trusted" | "withdrawn";
  reason: string;
  created_at: Milliseconds;
}

/** Settings of the server that are data: one row a name. */
export interface SettingTable {
  name: string;
  value: string;
}

/** What caches are checked against, one row a scope: `access` (accounts, roles, tokens) and `trust` (keys, server policy); `audit` counts the entries of the log. */
export interface ChangeTable {
  scope: "access" | "audit" | "trust";
  number: number;
}

/** The audit log: each entry's hash covers the one before. */
export interface AuditEntryTable {
  sequence: number;
  at: Milliseconds;
  actor: string;
  action: string;
  target: string;
  /** JSON object. */
  detail: string;
  previous_hash: string;
  hash: string;
}

export interface Schema {
  access_token: AccessTokenTable;
  account: AccountTable;
  account_group: AccountGroupTable;
  audit_entry: AuditEntryTable;
  blob: BlobTable;
  change: ChangeTable;
  distribution: DistributionTable;
  group_member: GroupMemberTable;
  login_network: LoginNetworkTable;
  manifest: ManifestTable;
  manifest_blob: ManifestBlobTable;
  manifest_child: ManifestChildTable;
  membership: MembershipTable;
  pending: PendingTable;
  recorded_verification: RecordedVerificationTable;
  repository: RepositoryTable;
  repository_version: RepositoryVersionTable;
  role_binding: RoleBindingTable;
  setting: SettingTable;
  signature: SignatureTable;
  signature_arrival: SignatureArrivalTable;
  signature_carrier: SignatureCarrierTable;
  tag: TagTable;
  token_key: TokenKeyTable;
  tombstone: TombstoneTable;
  trusted_key: TrustedKeyTable;
  upload: UploadTable;
  verification: VerificationTable;
}
