/** The state of an upload into a folder, as it is saved between requests. */
import type { UploadState } from "./blob-store.ts";
import { isName, isSize, malformed, parseDetails } from "./place-grammar.ts";

/** Files of one upload, one for each process that went on with it; beyond that they are put together, so that its state stays small. */
export const MAX_SEGMENTS = 32;

/** A file of an upload, and how many of its bytes count. */
export interface Segment {
  readonly name: string;
  readonly size: number;
}

export interface FilesystemUpload {
  readonly id: string;
  readonly segments: readonly Segment[];
}

/** The place of the blob that a file becomes. */
export function locationOf(segment: string): string {
  return segment.slice(segment.indexOf(".") + 1);
}

export function printUpload({ id, segments }: FilesystemUpload): UploadState {
  const received = segments.reduce((sum, { size }) => sum + size, 0);
  const files = segments.map(({ name, size }) => [locationOf(name), size]);
  return { received, details: JSON.stringify({ upload: id, files }) };
}

/** @throws StoreError `blob-place-malformed` when it is none that {@link printUpload} prints */
export function parseUpload(state: UploadState): FilesystemUpload {
  const { upload: id, files } = parseDetails(state);
  if (!isName(id) || !Array.isArray(files) || files.length > MAX_SEGMENTS)
    throw malformed("an upload has no such name or files");
  const segments = files.map((file: unknown): Segment => {
    if (!Array.isArray(file) || file.length !== 2 || !isName(file[0]) || !isSize(file[1]))
      throw malformed(`the upload ${id} has no such file`);
    return { name: `${id}.${file[0]}`, size: file[1] };
  });
  if (segments.reduce((sum, { size }) => sum + size, 0) === state.received) return { id, segments };
  throw malformed(`the files of the upload ${id} are not ${state.received} bytes`);
}
