/** What a failed request to S3 means. */
import { SignetError, StoreError } from "@signet/core";

/** Names of errors by which S3 says that an object, an upload or a part is not there. `NotFound` is what HEAD makes of them. */
const absences: ReadonlySet<string> = new Set(["InvalidPart", "NoSuchKey", "NoSuchUpload", "NotFound"]);
/** Nobody agrees on the name of a full disk. */
const fullnesses: ReadonlySet<string> = new Set([
  "InsufficientStorage",
  "QuotaExceeded",
  "XMinioStorageFull",
  "SlowDownWriteFull",
]);

/** True when S3 says that there is no such object, upload or part. */
export function isAbsence(error: unknown): boolean {
  return absences.has((error as Error).name);
}

/** What the library says of a failed request. @param place names bucket and endpoint, never credentials */
export function unusable(error: unknown, place: string): SignetError {
  if (error instanceof SignetError) return error;
  const { name, message, $metadata } = error as Error & { readonly $metadata?: { readonly httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  const rest = { cause: error, ...(status !== undefined && { status }) };
  if (fullnesses.has(name) || status === 507)
    return new StoreError("disk-full", `${place} is full: ${name}`, {
      ...rest,
      hint: "make room in the store and try again",
    });
  const reason = message === "" || message === "UnknownError" ? (status ?? "no answer") : message;
  return new StoreError("blob-store-unusable", `${place} cannot be used: ${name}: ${reason}`, {
    ...rest,
    retryable: status === undefined || status >= 500,
    hint:
      status === 403 || status === 401
        ? "check the credentials, and what they may do in the bucket"
        : "check endpoint, region and bucket, and that the server answers",
  });
}

/** @param place names bucket and endpoint */
export function tooLarge(place: string, maxBytes: number): StoreError {
  return new StoreError("input-too-large", `a blob of more than ${maxBytes} bytes cannot be put into ${place}`, {
    hint: "make the layer smaller, or keep the blobs in a file system",
  });
}
