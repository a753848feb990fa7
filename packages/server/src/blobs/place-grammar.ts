/** The names that the stores make for places. What the database has is held against these forms before it becomes a path or a key. */
import { randomBytes } from "node:crypto";
import { StoreError } from "@signet/core";
import type { UploadState } from "./blob-store.ts";

/** Bytes of chance in a name: two of them never meet, so that nothing is ever overwritten. */
const NAME_BYTES = 16;
const nameForm = /^[0-9a-f]{32}$/;
/** Characters of an upload's details: an S3 upload of the most parts there can be has some 700,000. */
const MAX_DETAILS_LENGTH = 2 * 1024 * 1024;

/** A name of 32 hex digits that nobody has had before. */
export function makeName(): string {
  return randomBytes(NAME_BYTES).toString("hex");
}

export function isName(value: unknown): value is string {
  return typeof value === "string" && nameForm.test(value);
}

/** A count of bytes. */
export function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** @throws StoreError `blob-place-malformed` when it is no name that {@link makeName} makes */
export function checkLocation(location: string): string {
  if (nameForm.test(location)) return location;
  throw malformed(`${JSON.stringify(location.slice(0, 100))} is no place of a blob`);
}

/**
 * The details of an upload as JSON; what is in the object is for the store to check.
 * @throws StoreError `blob-place-malformed`
 */
export function parseDetails(state: UploadState): Readonly<Record<string, unknown>> {
  if (!isSize(state.received)) throw malformed(`an upload cannot have ${String(state.received)} bytes`);
  if (state.details.length > MAX_DETAILS_LENGTH) throw malformed("the state of an upload is too long");
  try {
    const value: unknown = JSON.parse(state.details);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below, without the parser's words: they quote the text.
  }
  throw malformed("the state of an upload is not a JSON object");
}

/** What the database has fits no store of this kind. */
export function malformed(message: string): StoreError {
  return new StoreError("blob-place-malformed", message, {
    hint: "check that the configuration names the blob store that this database was used with; `signet admin check` looks at all of it",
  });
}

/** There is nothing where the database says. */
export function missingBlob(place: string, cause?: unknown): StoreError {
  return new StoreError("blob-missing", `there is no blob at ${place}, or not all of it`, {
    ...(cause !== undefined && { cause }),
    hint: "check that the configuration names the blob store that this database was used with; restore the blob from a backup, or push the image again",
  });
}

/** An upload's bytes are not there, or not all of them. */
export function missingUpload(place: string, cause?: unknown): StoreError {
  return new StoreError("blob-missing", `the upload ${place} has lost its bytes, was finished, or was given up`, {
    ...(cause !== undefined && { cause }),
    hint: "begin the upload again",
  });
}

/** @param upload its name */
export function busyUpload(upload: string): StoreError {
  return new StoreError("store-busy", `another request is working on the upload ${upload}`, {
    retryable: true,
    hint: "wait until that request has ended, and ask how far the upload has come",
  });
}
