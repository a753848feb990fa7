/** Small blobs that are read whole: payloads of signatures. */
import { concatBytes } from "@signet/core";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { StoredBlob } from "../content/blobs.ts";

/** Bytes of one payload; genuine signatures have some kilobytes, bundles with certificates and proofs some tens. */
export const MAX_PAYLOAD_BYTES: number = 1_048_576;
/** Bytes of all payloads of one manifest. */
export const MAX_TOTAL_PAYLOAD_BYTES: number = 4 * 1_048_576;
/** Payloads of one manifest: as many as clients read signatures of an image. */
export const MAX_PAYLOADS = 128;

/**
 * The bytes of a blob that is small enough; undefined for larger ones. Its digest was checked when it came.
 * @throws StoreError when the blob store does not give it
 */
export async function readPayload(store: BlobStore, blob: StoredBlob): Promise<Uint8Array | undefined> {
  if (blob.size > MAX_PAYLOAD_BYTES) return undefined;
  const chunks: Uint8Array[] = [];
  const stream = await store.open(blob.location);
  for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return concatBytes(chunks);
}
