import type { Digest, PolicyIdentity, Reference } from "@signet/core";
import type { SignatureReading } from "../stores/signature-store.ts";
import type { CompanionListing, CompanionWriter } from "./companion.ts";

/** Transports by the names that policy.json and image names use. */
export type TransportName =
  | "docker"
  | "dir"
  | "oci"
  | "oci-archive"
  | "docker-archive"
  | "docker-daemon"
  | "containers-storage";

/** Where a store of podman and its kin lies. */
export interface StoreLocation {
  /** Storage driver, such as `overlay`. */
  readonly driver: string;
  /** Absolute. */
  readonly root: string;
  /** As the user wrote it, `[driver@root…]`; empty when the store of this machine's configuration is meant. */
  readonly written: string;
}

/** An image name as the user wrote it, parsed and resolved. */
export interface ImageName {
  readonly transport: TransportName;
  /** Canonical text with its transport: `docker://docker.io/library/busybox:latest`, `dir:/abs/path`. */
  readonly text: string;
  /** The logical docker reference; undefined for dir, oci and oci-archive, and for images that are named by their id or place in an archive. */
  readonly reference: Reference | undefined;
  /** Of an image in a local storage it is complete only once the image was found: `ImageSource.name` has it with the image's id. */
  readonly policyIdentity: PolicyIdentity;
  /** dir, oci, oci-archive and docker-archive: the absolute path with symbolic links resolved. */
  readonly path?: string;
  /** oci and oci-archive: `org.opencontainers.image.ref.name` of the image inside; absent when none was given. */
  readonly imageName?: string;
  /** oci, oci-archive and docker-archive, sources only: position of the image in the index, from 0, written `:@N`. */
  readonly imagePosition?: number;
  /**
   * docker-daemon and containers-storage: the image's id, 64 hex digits. With containers-storage also the beginning of one, which goes before a reference of the same
   * text if an image has it.
   */
  readonly imageId?: string;
  /** containers-storage: the store. */
  readonly store?: StoreLocation;
}

/** Manifest bytes exactly as stored; the digest was computed over them, and compared where one was asked for. */
export interface RawManifest {
  readonly bytes: Uint8Array;
  /** Digest by the rules of simple signing section 7 (schema 1 over its JWS payload). */
  readonly digest: Digest;
  /** As the source declares it (HTTP Content-Type or the OCI descriptor); undefined where it declares none. Not trusted. */
  readonly declaredMediaType: string | undefined;
  /**
   * Only for an instance that its list names by another algorithm than sha256: the digest it was asked for by, which is compared as well. Stores file the
   * manifest and its signatures under this one, while signatures are about `digest`.
   */
  readonly namedDigest?: Digest;
}

/** What names a blob: its digest and, where the manifest says so, its size in bytes. */
export interface BlobDescriptor {
  readonly digest: Digest;
  readonly size?: number;
  readonly mediaType?: string;
  readonly urls?: readonly string[];
}

/** What became of one place where registries.conf lets an image be looked for. */
export interface EndpointAttempt {
  readonly role: "location" | "mirror";
  /** Its physical name there, with tag or digest. */
  readonly reference: string;
  readonly outcome: "served" | "failed";
  /** Why it failed. */
  readonly code?: string;
  readonly message?: string;
}

/**
 * Reads one image. Nothing read is trusted beyond its digest: `blob` yields chunks while hashing them and fails at the end when the
 * digest or size differs, so a consumer must not act on a blob before the stream has ended without error.
 */
export interface ImageSource extends AsyncDisposable {
  /** What was asked for; of an image in a local storage with the id that it was found under. */
  readonly name: ImageName;
  /** The top manifest, or with `instance` the one of that digest. The top manifest is fetched once and then kept. */
  manifest(instance?: Digest): Promise<RawManifest>;
  blob(descriptor: BlobDescriptor): AsyncIterable<Uint8Array>;
  /** Signatures stored for the manifest with `digest`. */
  signatures(digest: Digest): Promise<SignatureReading>;
  /** For sources that cannot give every image's layers as its manifest names them. Undefined, or no such method: this one's are there. */
  substitute?(manifest: RawManifest): Promise<SubstituteManifest | undefined>;
  /** What belongs to the manifest with `digest` besides: cosign's tags and referrers. Absent where a transport has no place for any. */
  companions?(digest: Digest): Promise<CompanionListing>;
  /**
   * docker:// only: the places that were tried for the top manifest, in order; the last one served it, and serves all the rest. Empty before it was fetched, and
   * where the image's name is the only place.
   */
  endpoints?(): readonly EndpointAttempt[];
  close(): Promise<void>;
}

/** How an image can be copied whose layers were not kept as they came. */
export interface SubstituteManifest {
  /** Why the image's own manifest cannot be copied, for messages. */
  readonly reason: string;
  /** Another manifest for the same content: its config is that of the image's own manifest, and its layers are those that this config names. Its blobs can be read. */
  fetch(): Promise<RawManifest>;
}

/** Writes one image. Nothing is visible under its final name before `commit`. */
export interface ImageDestination extends AsyncDisposable {
  readonly name: ImageName;
  /** Set by destinations that keep no manifest: why the image has another digest there. */
  readonly digestNotKept?: string;
  /** Undefined when signatures can be kept; else why not, for the error message. `blobs`: when these can be; default: when simple signing signatures can be. */
  signaturesUnsupported(blobs?: readonly Uint8Array[]): Promise<string | undefined>;
  /** Undefined (or no such method) when manifests of that media type can be kept unchanged; else why not. Asked before anything is written. */
  manifestUnsupported?(mediaType: string): string | undefined;
  hasBlob(descriptor: BlobDescriptor): Promise<boolean>;
  /** Stores the blob; fails and leaves nothing when the bytes do not match the descriptor. */
  putBlob(descriptor: BlobDescriptor, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Instances of a list first, with `instance: true`; then the top manifest. */
  putManifest(manifest: RawManifest, options?: { readonly instance?: boolean }): Promise<void>;
  /** Replaces the signatures of the manifest with `digest` by `blobs`, in order. `top`: it is the image's own manifest, not an instance. */
  putSignatures(blobs: readonly Uint8Array[], digest: Digest, options: { readonly top: boolean }): Promise<void>;
  /** Signatures that are kept for the manifest with `digest` where this image will lie. Absent where none outlive the writing of an image. */
  heldSignatures?(digest: Digest, options: { readonly top: boolean }): Promise<readonly Uint8Array[]>;
  /** Adds to {@link heldSignatures} without taking one away, also if others add at the same time; with none, only what killed writers left there is removed. Absent where `putSignatures` with all of them has to do. */
  addSignatures?(blobs: readonly Uint8Array[], digest: Digest, options: { readonly top: boolean }): Promise<void>;
  /** Keeps what belongs to the image's manifests besides. Absent where a transport has no place for any. */
  readonly companions?: CompanionWriter;
  commit(): Promise<void>;
  /** Frees what is held; before `commit` it also removes what was written. */
  close(): Promise<void>;
}
