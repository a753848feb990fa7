/** What lints may know besides the policy: whatever takes I/O is gathered before and handed in. */
import type { Engine } from "../../bytes/engine.ts";

/** All facts for one run. */
export interface LintFacts {
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  /** Reads keys; nothing is verified with it but their self-signatures. */
  readonly engine: Engine;
  /** Every file that the policy names as key or certificate, by the path as written. A path that is not in here is not looked at. */
  readonly keyFiles: ReadonlyMap<string, KeyFileFact>;
  /** What registries.d says; undefined when it was not consulted. */
  readonly stores: StoreFacts | undefined;
  /** What the configured stores hold, by the label of the scope; undefined when nobody asked. */
  readonly surveys: ReadonlyMap<string, StoreSurvey> | undefined;
}

/** One key file. */
export type KeyFileFact = ReadKeyFile | UnreadKeyFile;

export interface ReadKeyFile {
  readonly outcome: "read";
  readonly bytes: Uint8Array;
  /** Who besides its owner can change the file, or replace it in its folder: one clause for people. Undefined: nobody. */
  readonly writableBy: string | undefined;
  /** For a path that is relative: where it was found, absolute. */
  readonly absolutePath: string | undefined;
}

export interface UnreadKeyFile {
  readonly outcome: "missing" | "unreadable";
  /** Why, for people. */
  readonly problem: string;
}

/** registries.d. */
export interface StoreFacts {
  readonly sections: ReadonlyMap<string, StoreSection>;
  readonly defaultSection: StoreSection | undefined;
  /** What serves images that no section gives a URL for. */
  readonly builtinFolder: { readonly path: string; readonly exists: boolean };
}

/** One section of registries.d. */
export interface StoreSection {
  /** Undefined for `default-docker`. */
  readonly namespace: string | undefined;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly urls: readonly StoreUrl[];
  readonly useSigstoreAttachments: { readonly value: boolean; readonly line: number } | undefined;
}

/** A lookaside URL as it stands there. */
export interface StoreUrl {
  readonly key: "lookaside" | "lookaside-staging" | "sigstore" | "sigstore-staging";
  readonly line: number;
  /** Without passwords. */
  readonly shown: string;
  /** Lower case; empty when it has none or does not parse. */
  readonly scheme: string;
  /** Without port; empty for anything but http and https. */
  readonly host: string;
  /** For `file`: the folder that it names. */
  readonly folder: string | undefined;
  /** Why it does not parse. */
  readonly problem: string | undefined;
}

/** What was found in the stores of one scope. Nothing of it is verified. */
export interface StoreSurvey {
  /** Folders that were looked through. */
  readonly folders: readonly string[];
  /** Stores whose content cannot be listed, such as web servers. */
  readonly unlistable: readonly string[];
  /** Simple signatures that could be taken apart. */
  readonly signatures: number;
  /** Files in the place of signatures that could not. */
  readonly unreadable: number;
  /** Key ids (16 upper-case hex digits) that signatures claim, and how many each. */
  readonly issuers: ReadonlyMap<string, number>;
  /** True when there was more than is looked at. */
  readonly isCut: boolean;
}
