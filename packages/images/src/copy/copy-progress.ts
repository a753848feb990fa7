import type { Digest, ManifestFormat } from "@signet/core";
import type { BlobDescriptor } from "../transports/transport.ts";

/** What happens during a copy, as it happens. */
export type CopyProgress =
  /** Manifests are converted; the top one gets a new digest. */
  | { readonly kind: "converted"; readonly format: ManifestFormat; readonly digest: Digest }
  /** All blobs of the copy are known. */
  | { readonly kind: "planned"; readonly manifests: readonly Digest[]; readonly blobs: readonly BlobDescriptor[] }
  /** The destination has it already. */
  | { readonly kind: "blob-present"; readonly blob: BlobDescriptor }
  | { readonly kind: "blob-started"; readonly blob: BlobDescriptor }
  /** `bytes` more have gone through; nothing is said yet about their digest. */
  | { readonly kind: "blob-bytes"; readonly blob: BlobDescriptor; readonly bytes: number }
  | { readonly kind: "blob-done"; readonly blob: BlobDescriptor }
  | { readonly kind: "manifest-done"; readonly digest: Digest }
  /** Something that belongs to the image is there as well: a signature, an attestation, an SBOM. */
  | { readonly kind: "companion-done"; readonly digest: Digest }
  | { readonly kind: "signatures-done"; readonly digest: Digest; readonly count: number };
