/** Manifests that hold signatures and statements instead of something that runs. */
import { FormatError, parseJson, parseManifest } from "@signet/core";
import type { BlobStore } from "../blobs/blob-store.ts";
import { findBlob } from "../content/blobs.ts";
import type { StoredManifest } from "../content/manifests.ts";
import type { ServedRepository } from "../content/repositories.ts";
import type { Reader } from "../db/database.ts";
import { MAX_PAYLOADS, MAX_PAYLOAD_BYTES, MAX_TOTAL_PAYLOAD_BYTES, readPayload } from "./payload.ts";

/** Media types of what tools attach to images as JSON; no client takes any of them for files of an image. */
const dataTypes: ReadonlySet<string> = new Set([
  "application/jose+json",
  "application/spdx+json",
  "application/vnd.cyclonedx+json",
  "application/vnd.dev.cosign.simplesigning.v1+json",
  "application/vnd.dev.sigstore.bundle.v0.3+json",
  "application/vnd.dsse.envelope.v1+json",
  "application/vnd.in-toto+json",
  "text/spdx+json",
]);

/**
 * True for a manifest that cannot be run whatever a client takes it for: every layer has a media type of signatures and statements, and is a JSON document. It is read to
 * judge images, so a pull policy lets it pass. Beyond the bounds of {@link MAX_PAYLOAD_BYTES} nothing is read, and the answer is false.
 */
export async function isSignatureData(
  reader: Reader,
  store: BlobStore,
  served: ServedRepository,
  manifest: StoredManifest,
): Promise<boolean> {
  const parsed = parseManifest(manifest.bytes, manifest.mediaType);
  if (parsed.kind !== "image" || parsed.layers.length === 0 || parsed.layers.length > MAX_PAYLOADS) return false;
  let total = 0;
  for (const layer of parsed.layers) {
    total += layer.size;
    const isSmall = layer.size <= MAX_PAYLOAD_BYTES && total <= MAX_TOTAL_PAYLOAD_BYTES;
    if (!isSmall || layer.urls.length > 0 || !dataTypes.has(layer.mediaType)) return false;
  }
  for (const layer of parsed.layers) {
    const blob = await findBlob(reader, served, layer.digest);
    const bytes = blob === undefined ? undefined : await readPayload(store, blob);
    if (bytes === undefined || !isJson(bytes)) return false;
  }
  return true;
}

function isJson(bytes: Uint8Array): boolean {
  try {
    return parseJson(bytes, "payload", { maxDepth: 100 }).kind === "object";
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
