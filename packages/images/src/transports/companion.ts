import type { Digest, UntrustedReferrer } from "@signet/core";
import type { CompanionSuffix } from "../registry/companion-tags.ts";
import type { RawManifest } from "./transport.ts";

/** Something that belongs to a manifest and lies beside it. Untrusted: anybody who may push can put it there. */
export type FoundCompanion =
  /** Under one of cosign's tags. */
  | { readonly kind: "tag"; readonly suffix: CompanionSuffix; readonly tag: string; readonly manifest: RawManifest }
  /** A manifest that is listed as referring to it; not fetched yet. */
  | { readonly kind: "referrer"; readonly listed: UntrustedReferrer };

/** What belongs to one manifest. An empty list means that there is nothing, never that it could not be told. */
export interface CompanionListing {
  /** Tags first. */
  readonly companions: readonly FoundCompanion[];
  readonly warnings: readonly string[];
}

/** What became of a tag. `replaced`: the destination's was another one, and can still be had by its digest only. */
export type TagOutcome = "stored" | "present" | "merged" | "replaced";

/** Keeps what belongs to manifests. Blobs go through the destination's `putBlob`, and first. */
export interface CompanionWriter {
  /** Referrers of `subject` that are there and need not be sent again. */
  referrersOf(subject: Digest): Promise<ReadonlySet<Digest>>;
  /** Stores manifests whose subject is `subject`, and lists them among its referrers beside those that are there. */
  putReferrers(subject: Digest, manifests: readonly RawManifest[]): Promise<void>;
  /** Stores what cosign keeps under a tag. Signatures and attestations are added to those that are there; of SBOMs there is one. */
  putTagged(subject: Digest, suffix: CompanionSuffix, manifest: RawManifest): Promise<TagOutcome>;
}
