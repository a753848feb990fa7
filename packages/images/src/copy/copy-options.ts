import type { Digest, ManifestFormat, Platform } from "@signet/core";
import type { RawManifest } from "../transports/transport.ts";
import type { TransferResult } from "./blob-transfer.ts";
import type { CompanionResult, CompanionSelection } from "./companions.ts";
import type { CopyProgress } from "./copy-progress.ts";

/**
 * Which manifests of a list are copied: `system`, the instance for the platform, which becomes the destination's image; `all`, the list and every instance with
 * their blobs; `index-only`, the list alone. For an image that is no list, all three copy the image.
 */
export type CopySelection = "system" | "all" | "index-only";

/**
 * Makes one signature blob for a manifest.
 * @param identity docker reference to be signed for
 * @param present the signatures that the manifest will have without the new one
 * @returns undefined when none of those needs a companion: the same is signed already
 */
export type SignManifest = (
  manifestBytes: Uint8Array,
  digest: Digest,
  identity: string,
  present: readonly Uint8Array[],
) => Promise<Uint8Array | undefined>;

export interface CopyOptions {
  /** Default `system`. */
  readonly selection?: CopySelection;
  /** For `system`. Default: that of the running process. */
  readonly platform?: Platform;
  /** The format that manifests are converted to. Default: none, unless the destination takes only one. */
  readonly format?: ManifestFormat;
  /** Leaves the source's signatures behind; those that the destination has stay. */
  readonly removeSignatures?: boolean;
  /** What comes along that lies beside the image: cosign's signatures, attestations, SBOMs, and referrers. Default: all that the destination has a place for. What belongs to a converted manifest never does. */
  readonly companions?: CompanionSelection | undefined;
  /** Fails rather than convert anything. */
  readonly preserveDigests?: boolean;
  /**
   * Judges a manifest and throws when the image may not be copied. Called for each image manifest that will be copied, and for a list only when it is copied alone,
   * before anything is written. The bytes it sees are the bytes that are copied, or converted.
   * @param instance the digest by which the source's list names the manifest; undefined for the source's top manifest
   */
  readonly enforce?: (manifest: RawManifest, instance: Digest | undefined) => Promise<void>;
  /** Called for each manifest that is copied, as the destination will have it, with the same identity. */
  readonly sign?: SignManifest | readonly SignManifest[];
  /** Docker reference to be signed for. Default: the destination's; required where the destination has none. */
  readonly signIdentity?: string;
  /** Blobs moved at a time. Default 6. */
  readonly parallelBlobs?: number;
  /** Stops the copy at the next chunk or manifest. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: CopyProgress) => void;
}

export interface CopyResult {
  /** Digest of the manifest that the destination's name now stands for. */
  readonly digest: Digest;
  /** Every manifest that was written, instances first. */
  readonly manifests: readonly Digest[];
  /** Where manifests were converted: to what, and the digest that the source's top manifest had. */
  readonly converted?: { readonly format: ManifestFormat; readonly sourceDigest: Digest };
  readonly blobs: TransferResult;
  /** Layers that registries do not distribute; the manifest says where they are, they are never moved. */
  readonly foreignLayers: readonly Digest[];
  readonly signatures: {
    /** Carried along from the source; equal ones may have been there. */
    readonly carried: number;
    /** That the destination had for the same manifests and the source has not. */
    readonly kept: number;
    readonly made: number;
  };
  readonly companions: CompanionResult;
  /** What may surprise whoever pulls the copy. May hold untrusted text. */
  readonly warnings: readonly string[];
}
