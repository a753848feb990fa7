/** The one-line fix for an image that was not accepted: what is known of the case, and what comes out. */
import type { Digest } from "../../bytes/digest.ts";
import type { GoverningScope } from "../../policy/scope-lookup.ts";
import type { Requirement, Requirements } from "../../policy/policy.ts";
import type { Reference } from "../../reference/reference.ts";
import type { Check, SignatureEvidence } from "../evidence.ts";

/** What would help, in one line; and as a command where one exists. */
export interface Fix {
  /** The name of the check, or the code of the error, that it is for. */
  readonly check: string;
  /** What is wrong and what would help: one sentence or two. May hold untrusted text. */
  readonly message: string;
  /** A line for a shell, with every word quoted where that is needed. */
  readonly command?: string;
  /** Words of the command that stand for something only the reader knows, such as `KEY`. */
  readonly placeholders: readonly string[];
}

/** Where the image's signatures were looked for. */
export interface StoreSituation {
  readonly kind: "lookaside" | "extension" | "folder" | "given" | "none";
  /** For people. */
  readonly label: string;
  /** False when nothing names the store, and the folder for that case is used. */
  readonly isConfigured: boolean;
  /** How many answers were web pages instead of signatures. */
  readonly pages: number;
}

/** Everything that a fix may depend on. */
export interface FixSituation {
  /** As it is typed: `docker://host/repo:tag`. */
  readonly image: string;
  readonly transport: string;
  readonly reference: Reference | undefined;
  /** Where registries.conf led to, when that is not what the image's name says: the physical name, by which stores and credentials go. */
  readonly place?: Reference;
  readonly scope: GoverningScope;
  /** All that the scope demands. */
  readonly requirements: Requirements;
  /** The one that failed; undefined when no requirement was reached. */
  readonly requirement?: Requirement;
  /** Of several signatures the one that came closest. */
  readonly signature?: SignatureEvidence;
  /** Its first check that failed. */
  readonly failed?: Check;
  /** What was said of the failure, where no check did. */
  readonly message: string;
  /** What the failure itself suggests. */
  readonly hint?: string;
  /** HTTP status, where the failure was one. */
  readonly status?: number;
  /** Of the manifest that was judged. */
  readonly digest?: Digest;
  /** Of the list that it is an instance of. */
  readonly list?: { readonly digest: Digest; readonly signatures: number };
  readonly store?: StoreSituation;
  /** Sigstore signatures that are attached to the image. */
  readonly attachments?: number;
  /** Simple signatures that were found although none was asked for. */
  readonly simpleSignatures?: number;
  /** Fingerprints of keys that the requirement trusts and that can sign now. */
  readonly signingKeys: readonly string[];
  /** Options that name the policy and the stores which the command shall work on: `["--policy", "FILE"]`. */
  readonly policyOptions: readonly string[];
  readonly storeOptions: readonly string[];
  /** Options that reach the registry, such as `--tls-verify=false`. */
  readonly registryOptions: readonly string[];
}

/** Makes a fix for one kind of failure. */
export type FixMaker = (situation: FixSituation) => Omit<Fix, "check">;
