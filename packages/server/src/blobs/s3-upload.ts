/** The state of an upload to S3, as it is saved between requests. */
import type { UploadState } from "./blob-store.ts";
import { isName, isSize, malformed, parseDetails } from "./place-grammar.ts";

/** What S3 allows in one upload. */
export const MAX_PARTS = 10_000;
/** Objects that a state can supersede: the end of the one before. */
const MAX_SUPERSEDED = 1;
/** Amazon's ids have some 130 characters. */
const uploadIdForm = /^[!-~]{1,1024}$/;
/** Quoted or not; a checksum and for some servers the number of parts. */
const etagForm = /^"?[0-9A-Za-z+/=_-]{1,128}"?$/;

export interface Part {
  readonly etag: string;
  readonly size: number;
}

export interface S3Upload {
  readonly id: string;
  /** The multipart upload, once there was a whole part, and the name of the blob that it makes. */
  readonly multipart: { readonly name: string; readonly uploadId: string } | undefined;
  readonly parts: readonly Part[];
  /** The object with what follows the parts. */
  readonly tail: { readonly name: string; readonly size: number } | undefined;
  /** Objects that nobody needs once this state is saved. */
  readonly superseded: readonly string[];
}

export function printUpload({ id, multipart, parts, tail, superseded }: S3Upload): UploadState {
  const received = parts.reduce((sum, { size }) => sum + size, 0) + (tail?.size ?? 0);
  const details = {
    upload: id,
    multipart: multipart === undefined ? null : [multipart.name, multipart.uploadId],
    parts: parts.map(({ etag, size }) => [etag, size]),
    tail: tail === undefined ? null : [tail.name, tail.size],
    superseded,
  };
  return { received, details: JSON.stringify(details) };
}

/** @throws StoreError `blob-place-malformed` when it is none that {@link printUpload} prints */
export function parseUpload(state: UploadState): S3Upload {
  const { upload: id, multipart, parts, tail, superseded } = parseDetails(state);
  if (!isName(id)) throw malformed("an upload has no such name");
  const wrong = (what: string): Error => malformed(`the upload ${id} has no such ${what}`);
  if (multipart !== null && !isPair(multipart, isName, isText(uploadIdForm))) throw wrong("multipart upload");
  if (!isListOf(parts, MAX_PARTS, (part): part is readonly [string, number] => isPair(part, isText(etagForm), isSize)))
    throw wrong("parts");
  if (tail !== null && !isPair(tail, isName, isSize)) throw wrong("end");
  if (!isListOf(superseded, MAX_SUPERSEDED, isName)) throw wrong("superseded objects");
  if (parts.length > 0 && multipart === null) throw wrong("parts");
  const upload: S3Upload = {
    id,
    multipart: multipart === null ? undefined : { name: multipart[0], uploadId: multipart[1] },
    parts: parts.map(([etag, size]) => ({ etag, size })),
    tail: tail === null ? undefined : { name: tail[0], size: tail[1] },
    superseded,
  };
  if (printUpload(upload).received !== state.received)
    throw malformed(`the parts of the upload ${id} are not ${state.received} bytes`);
  return upload;
}

function isText(form: RegExp): (value: unknown) => value is string {
  return (value): value is string => typeof value === "string" && form.test(value);
}

function isPair<A, B>(
  value: unknown,
  isFirst: (part: unknown) => part is A,
  isSecond: (part: unknown) => part is B,
): value is readonly [A, B] {
  return Array.isArray(value) && value.length === 2 && isFirst(value[0]) && isSecond(value[1]);
}

function isListOf<T>(value: unknown, limit: number, isOne: (part: unknown) => part is T): value is readonly T[] {
  return Array.isArray(value) && value.length <= limit && value.every(isOne);
}
