/** Errors as the OCI distribution specification 1.1 words them (section "Error Codes"), with those of the signatures extension and of recorded verification results. */
import type { ContentProblem } from "../content/content-error.ts";

export type RegistryErrorCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DENIED"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "PAGINATION_NUMBER_INVALID"
  | "RANGE_INVALID"
  | "SIGNATURE_EXISTS"
  | "SIGNATURE_INVALID"
  | "SIZE_INVALID"
  | "TAG_INVALID"
  | "TOOMANYREQUESTS"
  | "UNAUTHORIZED"
  | "UNAVAILABLE"
  | "UNKNOWN"
  | "UNSUPPORTED"
  | "VERIFICATION_INVALID";

/** The codes that clients know, with the status and the message that go with each. */
const codes: Readonly<Record<RegistryErrorCode, readonly [status: number, message: string]>> = {
  BLOB_UNKNOWN: [404, "blob unknown to registry"],
  BLOB_UPLOAD_INVALID: [400, "blob upload invalid"],
  BLOB_UPLOAD_UNKNOWN: [404, "blob upload unknown to registry"],
  DENIED: [403, "requested access to the resource is denied"],
  DIGEST_INVALID: [400, "provided digest did not match uploaded content"],
  MANIFEST_BLOB_UNKNOWN: [404, "manifest references a manifest or blob unknown to registry"],
  MANIFEST_INVALID: [400, "manifest invalid"],
  MANIFEST_UNKNOWN: [404, "manifest unknown to registry"],
  NAME_INVALID: [400, "invalid repository name"],
  NAME_UNKNOWN: [404, "repository name not known to registry"],
  PAGINATION_NUMBER_INVALID: [400, "invalid number of results requested"],
  RANGE_INVALID: [416, "invalid content range"],
  SIGNATURE_EXISTS: [409, "image signature already exists"],
  SIGNATURE_INVALID: [400, "invalid image signature"],
  SIZE_INVALID: [400, "provided length did not match content length"],
  TAG_INVALID: [400, "manifest tag did not match URI"],
  TOOMANYREQUESTS: [429, "too many requests"],
  UNAUTHORIZED: [401, "authentication required"],
  UNAVAILABLE: [503, "service unavailable"],
  UNKNOWN: [500, "unknown error"],
  UNSUPPORTED: [405, "the operation is unsupported"],
  VERIFICATION_INVALID: [400, "invalid verification result"],
};

/** An answer that is an error, in a client's terms. */
export class RegistryError extends Error {
  readonly code: RegistryErrorCode;
  readonly status: number;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  /** @param status where it differs from the code's own */
  constructor(
    code: RegistryErrorCode,
    detail?: unknown,
    options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(codes[code][1]);
    this.name = "RegistryError";
    this.code = code;
    this.status = options.status ?? codes[code][0];
    this.detail = detail;
    this.headers = options.headers ?? {};
  }

  /** The body: `{"errors":[{"code":…,"message":…,"detail":…}]}` and a line end. */
  get body(): string {
    const detail = this.detail === undefined ? {} : { detail: this.detail };
    return `${JSON.stringify({ errors: [{ code: this.code, message: this.message, ...detail }] })}\n`;
  }
}

/** How each problem of content is said at the registry's door. */
export const contentProblems: Readonly<Record<ContentProblem, readonly [RegistryErrorCode, number?]>> = {
  "blob-in-use": ["UNSUPPORTED"],
  "blob-unknown": ["BLOB_UNKNOWN"],
  "digest-mismatch": ["DIGEST_INVALID"],
  "manifest-blob-unknown": ["MANIFEST_BLOB_UNKNOWN"],
  "manifest-invalid": ["MANIFEST_INVALID"],
  "manifest-unknown": ["MANIFEST_UNKNOWN"],
  "quota-exceeded": ["DENIED"],
  "repository-unknown": ["NAME_UNKNOWN"],
  "signature-exists": ["SIGNATURE_EXISTS"],
  "signature-invalid": ["SIGNATURE_INVALID"],
  "signature-unknown": ["SIGNATURE_INVALID", 404],
  "signature-withdrawn": ["DENIED"],
  "signatures-too-many": ["SIGNATURE_INVALID", 409],
  "size-mismatch": ["SIZE_INVALID", 413],
  "tag-immutable": ["DENIED", 409],
  "tag-unknown": ["MANIFEST_UNKNOWN"],
  "upload-conflict": ["BLOB_UPLOAD_INVALID", 409],
  "upload-unknown": ["BLOB_UPLOAD_UNKNOWN"],
  "uploads-too-many": ["TOOMANYREQUESTS"],
  "verifications-too-many": ["VERIFICATION_INVALID", 409],
};
