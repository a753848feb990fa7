/** Limits of the registry client, each with its unit and reason. */

/** Bytes: the largest answer of a token service. containers/image reads the same. */
export const MAX_TOKEN_BYTES: number = 1024 * 1024;

/** Bytes: what is read of an error answer to find the registry's own words in it. containers/image reads the same. */
export const MAX_ERROR_BYTES: number = 1024 * 1024;

/** Characters: what is shown of a server's own words. */
export const MAX_DIAGNOSTIC_LENGTH = 500;

/** Bytes: the largest list of the signatures API. containers/image reads the same. */
export const MAX_SIGNATURE_LIST_BYTES: number = 4 * 1024 * 1024;

/** Bytes: the largest page of a tag list; some registries ignore the page size and send all tags at once. */
export const MAX_TAG_PAGE_BYTES: number = 4 * 1024 * 1024;

/** Tags asked for in one page: what registries commonly allow at most. */
export const TAG_PAGE_SIZE = 1000;

/** Pages of one tag list: with full pages ten times the largest repositories known. */
export const MAX_TAG_PAGES = 1000;

/** Bytes: the largest header block of an answer. Signed storage URLs take 4 KiB, nothing genuine comes near this. */
export const MAX_HEADER_BYTES: number = 64 * 1024;

/** Bytes: a blob whose size the manifest does not tell (schema 1) ends here. No genuine layer is that large. */
export const MAX_UNSIZED_BLOB_BYTES: number = 64 * 1024 * 1024 * 1024;

/** Redirects followed for one request. Registries need one, storage services seldom a second. */
export const MAX_REDIRECTS = 5;

/** Connections held to one host at a time; enough to keep a link full, few enough to be a polite guest. */
export const MAX_CONNECTIONS_PER_HOST = 16;

/** Milliseconds and bytes that bound how long one waits. */
export interface Timeouts {
  /** Milliseconds until a connection must stand, TLS included. */
  readonly connectMs: number;
  /** Milliseconds between the end of a request and the head of its answer. */
  readonly headersMs: number;
  /** Milliseconds a body may stand still. */
  readonly idleMs: number;
  /** Milliseconds a small document (ping, token, manifest, signature list) may take in all, retries and waits included. */
  readonly documentMs: number;
  /** Milliseconds in which a body must bring at least {@link minProgressBytes}, or it counts as a slow-loris. */
  readonly progressWindowMs: number;
  /** Bytes a window must bring. */
  readonly minProgressBytes: number;
}

/** Patient enough for a registry that fetches from a slow upstream first, and far from for ever. */
export const defaultTimeouts: Timeouts = {
  connectMs: 15_000,
  headersMs: 60_000,
  idleMs: 30_000,
  documentMs: 180_000,
  progressWindowMs: 60_000,
  minProgressBytes: 64 * 1024,
};

/** Further attempts after the first one failed in a way that may pass. */
export const DEFAULT_RETRY_TIMES = 3;

/** Further attempts that can be asked for at most. */
export const MAX_RETRY_TIMES = 100;

/** Milliseconds: the wait before the first further attempt; it doubles with each. */
export const FIRST_RETRY_MS = 500;

/** Milliseconds: no single wait is longer, whatever `Retry-After` says. containers/image stops at the same. */
export const MAX_RETRY_WAIT_MS = 60_000;

/** Bytes: the largest page of a referrers list, as for any index. */
export const MAX_REFERRERS_PAGE_BYTES: number = 4 * 1024 * 1024;

/** Pages of one referrers list; registries put a hundred and more on a page. */
export const MAX_REFERRERS_PAGES = 100;

/** Referrers of one manifest. Images with a signature, an SBOM and an attestation for each build step have some dozens. */
export const MAX_REFERRERS = 1000;
