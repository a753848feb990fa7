import type { Digest } from "@signet/core";
import type { OpenOptions } from "../transports/open.ts";

export interface DeleteOptions {
  /** How the image is opened; docker:// needs `docker`, whose `chooseSignatureStore` also decides whose signatures go. */
  readonly open?: OpenOptions;
  /** Of a list in a registry also its instances. Elsewhere they go in any case. Default false. */
  readonly all?: boolean;
  /** Leaves the signatures where they are, and what else lies beside the image in a registry: cosign's tags, referrers. Default false. */
  readonly keepSignatures?: boolean;
  /** Says what would be done, and does nothing. Default false. */
  readonly dryRun?: boolean;
  /** Called once it is certain what goes, before anything does. Not with `dryRun`. */
  readonly onBegin?: (digest: Digest | undefined) => void;
  /** Stops before the next deletion. */
  readonly signal?: AbortSignal;
}

/** What became of the signatures of one manifest. */
export interface DeletedSignatures {
  readonly digest: Digest;
  /** For people: where they lie. */
  readonly store: string;
  readonly removed: number;
  /** What is still there, whatever the reason. */
  readonly left: number;
}

export interface DeleteResult {
  /** Canonical name with its transport. */
  readonly image: string;
  /** Of the image's own manifest; undefined for what is left of a `dir:` image whose manifest is gone. */
  readonly digest: Digest | undefined;
  /** Nothing was done; all that follows says what would be. */
  readonly dryRun: boolean;
  /** In the order of their deletion. `gone`: it was not there any more. `shared`: an instance that other images use, kept. */
  readonly manifests: readonly { readonly digest: Digest; readonly outcome: "deleted" | "gone" | "shared" }[];
  /** Tags that named the image, besides the one given. They name nothing any more. */
  readonly otherTags: readonly string[];
  readonly signatures: readonly DeletedSignatures[];
  /** Files and other things that went, for people. */
  readonly removed: readonly string[];
  readonly warnings: readonly string[];
}
