import type { BlobDescriptor, ImageDestination, ImageSource } from "../transports/transport.ts";
import type { CopyProgress } from "./copy-progress.ts";

/** Blobs moved at a time: enough to fill a line with small layers, few enough for any registry's patience. */
const PARALLEL_BLOBS = 6;

export interface TransferOptions {
  /** Blobs moved at a time. Default 6. */
  readonly parallelBlobs?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: CopyProgress) => void;
}

/** What a transfer did. */
export interface TransferResult {
  /** Blobs that were moved. */
  readonly moved: number;
  /** Blobs that the destination had already. */
  readonly present: number;
  /** Bytes moved. */
  readonly bytes: number;
}

/**
 * Moves each blob that the destination does not have. Source and destination hash what passes. The first failure stops all the others; it is thrown when they have stopped.
 * @param blobs each digest once
 */
export async function transferBlobs(
  source: ImageSource,
  destination: ImageDestination,
  blobs: readonly BlobDescriptor[],
  options: TransferOptions,
): Promise<TransferResult> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal]);
  const queue = blobs.values();
  const done = { moved: 0, present: 0, bytes: 0 };

  const move = async (blob: BlobDescriptor): Promise<void> => {
    if (await destination.hasBlob(blob)) {
      done.present++;
      options.onProgress?.({ kind: "blob-present", blob });
      return;
    }
    options.onProgress?.({ kind: "blob-started", blob });
    const count = (chunk: Uint8Array): void => {
      done.bytes += chunk.length;
      options.onProgress?.({ kind: "blob-bytes", blob, bytes: chunk.length });
    };
    await destination.putBlob(blob, watchChunks(source.blob(blob), signal, count));
    done.moved++;
    options.onProgress?.({ kind: "blob-done", blob });
  };
  const workers = Array.from({ length: options.parallelBlobs ?? PARALLEL_BLOBS }, async () => {
    try {
      for (const blob of queue) {
        signal.throwIfAborted();
        await move(blob);
      }
    } catch (error) {
      // Only the first abort has an effect, so the first failure is the one reported.
      stop.abort(error);
    }
  });
  await Promise.all(workers);
  if (stop.signal.aborted) throw stop.signal.reason;
  return done;
}

/** Ends as soon as `signal` aborts, also while the source stands still: what it would have sent is not waited for. */
async function* watchChunks(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  onChunk: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = chunks[Symbol.asyncIterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  aborted.catch(() => {});
  signal.addEventListener("abort", onAbort);
  let isEnded = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done === true) {
        isEnded = true;
        return;
      }
      yield next.value;
      onChunk(next.value);
    }
  } catch (error) {
    // A source that failed has ended itself.
    isEnded = !signal.aborted;
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (!isEnded) {
      const ended = Promise.resolve(iterator.return?.()).catch(() => {});
      // A source that stands still would keep this waiting as well.
      if (!signal.aborted) await ended;
    }
  }
}
