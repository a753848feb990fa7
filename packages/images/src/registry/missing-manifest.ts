import { StoreError } from "@signet/core";

/** Codes of the distribution protocol that say something else than "no such manifest". Codes outside the protocol count as UNKNOWN, as in the reference. */
const otherMeanings: ReadonlySet<string> = new Set([
  "BLOB_UNKNOWN",
  "BLOB_UPLOAD_INVALID",
  "BLOB_UPLOAD_UNKNOWN",
  "DENIED",
  "DIGEST_INVALID",
  "MANIFEST_BLOB_UNKNOWN",
  "MANIFEST_INVALID",
  "MANIFEST_UNVERIFIED",
  "NAME_INVALID",
  "PAGINATION_NUMBER_INVALID",
  "RANGE_INVALID",
  "SIZE_INVALID",
  "TAG_INVALID",
  "TOOMANYREQUESTS",
  "UNAUTHORIZED",
  "UNAVAILABLE",
  "UNSUPPORTED",
]);

/**
 * Whether a failed request for a manifest says for certain that there is none, by what registries really answer: `MANIFEST_UNKNOWN`; `NAME_UNKNOWN`, for a
 * repository that does not exist has no manifests; `UNKNOWN` with "Not Found" (registry.redhat.io) or words around it (Harbor); a 404 without an error that can
 * be read. Everything else means that it cannot be told, also a 404 that speaks of something else, and every answer from 500 on that only talks of "not found".
 *
 * Source: registries.d, section 6; `NAME_UNKNOWN` is Signet's addition.
 */
export function saysManifestMissing(error: unknown): boolean {
  if (!(error instanceof StoreError) || error.status === undefined) return false;
  const { registryCode: code, registryMessage: message } = error.details;
  if (typeof code !== "string") return error.status === 404;
  if (code === "MANIFEST_UNKNOWN" || code === "NAME_UNKNOWN") return true;
  if (otherMeanings.has(code) || error.status >= 500) return false;
  return typeof message === "string" && message.toLowerCase().includes("not found");
}
