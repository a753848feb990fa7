/** Whose signatures a release needs, and where they are looked for. */
import type { Keyring } from "@signet/core";

/** One keyring that must be satisfied: by a signature of any of its keys. */
export interface ReleaseKeyring {
  /** What stands behind `verifier-public-key-`. */
  readonly name: string;
  readonly keyring: Keyring;
}

/** One place that signatures of releases are read from. */
export interface ReleaseStore {
  /** What stands behind `store-`. */
  readonly name: string;
  readonly url: URL;
}

/** What a release needs to be accepted. */
export interface ReleaseTrust {
  /** For messages: `the config map namespace/name`, `Red Hat's built-in trust`. */
  readonly source: string;
  /** Every one of them must be satisfied. Never empty. */
  readonly keyrings: readonly ReleaseKeyring[];
  /** Never empty. */
  readonly stores: readonly ReleaseStore[];
  /** Members that are neither keys nor stores, and keys that were left out. */
  readonly warnings: readonly string[];
}

/** The URL of a store: `file:`, `http:` or `https:`; undefined for anything else. Blanks around it are passed over. */
export function tryParseStoreUrl(text: string): URL | undefined {
  const url = URL.parse(text.trim());
  return url !== null && ["file:", "http:", "https:"].includes(url.protocol) ? url : undefined;
}
