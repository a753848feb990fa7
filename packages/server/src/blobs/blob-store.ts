/** Where the bytes of blobs are kept. A store knows nothing of digests, repositories or rights: the database says what its places hold. */
import type { Readable } from "node:stream";

/** A run of bytes: both ends count, the first byte is 0 (as in HTTP's `Range`). */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** An object as a listing names it. */
export interface StoredObject {
  readonly location: string;
  /** Bytes. */
  readonly size: number;
  /** When it was written, as the store says. */
  readonly modifiedAt: Date;
}

/**
 * An upload in progress. Its state is data, so that another process can go on where one stopped: whoever appends saves the state that comes back, and what was
 * appended after the state that was last saved is written again or dropped.
 */
export interface UploadState {
  /** Bytes that are durable. */
  readonly received: number;
  /** What the store needs to go on; JSON. */
  readonly details: string;
}

/** A blob's bytes piece by piece, each in memory that is used again. Disposed of by who asked for it, at any time; then whatever was lent last stays as it is. */
export interface LentBytes extends AsyncDisposable {
  /** The next piece, or undefined at the end. It holds until `next` is called again, so call that when nobody looks at the piece any more; one call at a time. */
  next(): Promise<Uint8Array | undefined>;
}

/**
 * Keeps bytes under places that it chooses, one place an upload, so that nothing is ever overwritten.
 *
 * Guaranteed by every store: what `finish` acknowledged survives the loss of power; a place is whole or absent; `append` is durable up to the `received` that it
 * returns; `remove` of what is not there succeeds. Places and states come back from a database, so they are held against a strict form before they are used:
 * `blob-place-malformed`. Not checked: digests. Whoever writes hashes on the way.
 */
export interface BlobStore {
  /** For messages and metrics: `filesystem` or `s3`. */
  readonly kind: "filesystem" | "s3";
  /** Begins an upload. */
  begin(): Promise<UploadState>;
  /**
   * Adds bytes to an upload, behind the `received` of `state`; anything that an earlier, failed append left there is dropped first.
   * When `chunks` throws, so does this; what arrived before is not kept, and the caller goes on from the state it has.
   *
   * Bytes that were acknowledged never change, whoever appends at the same time. A second request on the same upload in the same process is refused; one of another
   * process is not seen here, so save the state that comes back only where the one that was given is still saved (compare and set), else say that the upload has moved.
   * @throws StoreError `store-busy`, `disk-full`, `blob-store-unusable`, or `blob-missing` when the upload is gone
   */
  append(state: UploadState, chunks: AsyncIterable<Uint8Array>): Promise<UploadState>;
  /**
   * Reads an upload's bytes again from the start, up to `received`: for the digest, where the process that began it is gone. Afterwards it can only be finished, given
   * up, or read again: S3 has to put it together first.
   */
  readUpload(state: UploadState): AsyncIterable<Uint8Array>;
  /**
   * Makes an upload a blob and returns its place. The upload is gone afterwards; asked again, as when the answer was lost, it says the same place where it can.
   *
   * Whoever finishes saves the blob's row and removes the upload's row, where its state is still the one that was finished, in one transaction; and takes the blob as not
   * made where that row is gone or has moved. Whoever gives an upload up removes its row first. So of finishing, appending and giving up at the same time only one counts.
   * @throws StoreError as `append`; after `blob-missing` only a new upload helps
   */
  finish(state: UploadState): Promise<string>;
  /** Gives an upload up and frees its bytes. Of one that is gone already: succeeds. Of one that a request is working on: `store-busy`; what is left is then stale. */
  abort(state: UploadState): Promise<void>;
  /**
   * Opens a blob for reading. The caller consumes or destroys the stream.
   * @param range within the blob's size
   * @throws StoreError `blob-missing` when there is nothing at that place
   */
  open(location: string, range?: ByteRange): Promise<Readable>;
  /**
   * As `open`, for bytes that are passed on at once and in order, in memory of the store's own. Absent where that saves nothing.
   * @throws StoreError as `open`; from `next` also where the blob is shorter than `range`
   */
  lend?(location: string, range: ByteRange): Promise<LentBytes>;
  /** Bytes at a place, or undefined when there is nothing. */
  size(location: string): Promise<number | undefined>;
  /** Of what is not there: succeeds. Who is reading it reads on, as far as the store allows. */
  remove(location: string): Promise<void>;
  /**
   * Every finished blob, in no order; what appears or goes meanwhile may be named or not. On S3 also the small objects that hold the end of an upload in progress, as
   * old as the last request on it: whoever collects spares what is younger than an upload may be idle.
   */
  list(): AsyncIterable<StoredObject>;
  /**
   * Removes the leftovers of uploads that no row knows and that were last written before `before`. Returns how many.
   * @param isKnown is given a mark of 32 hex digits, which is part of every `details` of that upload: look for it in the saved states
   */
  removeStaleUploads(before: Date, isKnown: (mark: string) => Promise<boolean>): Promise<number>;
  /** A URL by which a client may fetch the blob directly for `seconds`, or undefined where the store has none. Not checked: whether the blob is there. */
  presign(location: string, seconds: number): Promise<string | undefined>;
  /** Throws a StoreError `blob-store-unusable` when the store does not answer or cannot be written to. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
