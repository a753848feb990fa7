/** Blobs: OCI distribution specification 1.1, "Pulling blobs", "Deleting Blobs". */
import { pipeline } from "node:stream/promises";
import type { Digest } from "@signet/core";
import type { BlobStore, ByteRange } from "../blobs/blob-store.ts";
import type { StoredBlob } from "../content/blobs.ts";
import { deleteBlob } from "../content/deletion.ts";
import type { ServedRepository } from "../content/repositories.ts";
import type { Database } from "../db/database.ts";
import { type Exchange, answer, answerIfUnchanged } from "./answer.ts";
import type { Caller } from "./caller.ts";
import { RegistryError } from "./registry-error.ts";

/** Answers GET and HEAD, whole or one range. */
export async function serveBlob(store: BlobStore, exchange: Exchange, blob: StoredBlob): Promise<void> {
  const { request, response } = exchange;
  const { digest } = blob;
  if (answerIfUnchanged(exchange, digest)) return;
  const headers = {
    "content-type": "application/octet-stream",
    "docker-content-digest": digest,
    etag: `"${digest}"`,
    "accept-ranges": "bytes",
    "cache-control": "private, max-age=31536000, immutable",
  };
  const range = readRange(request.headers.range, String(request.headers["if-range"] ?? ""), digest, blob.size);
  const length = range === undefined ? blob.size : range.last - range.first + 1;
  const partial = range === undefined ? {} : { "content-range": `bytes ${range.first}-${range.last}/${blob.size}` };
  const status = range === undefined ? 200 : 206;
  if (request.method === "HEAD" || length === 0) {
    response.writeHead(status, { ...headers, ...partial, "content-length": length });
    response.end();
    return;
  }
  // Opened before the status is sent: bytes that cannot be read are an error, not an answer that breaks off.
  const stream = await store.open(blob.location, range);
  response.writeHead(status, { ...headers, ...partial, "content-length": length });
  await pipeline(stream, response);
}

/**
 * The range that a request asks for; undefined: all of it. Several ranges at once are answered with all of it, as RFC 9110 (section 14.2) allows.
 * @throws RegistryError `RANGE_INVALID` for a range outside the blob
 */
export function readRange(
  header: string | undefined,
  ifRange: string,
  digest: string,
  size: number,
): ByteRange | undefined {
  if (header === undefined || (ifRange !== "" && ifRange !== `"${digest}"`)) return undefined;
  const match = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/.exec(header.trim());
  if (match === null) return undefined;
  const [, from = "", to = ""] = match;
  if (from === "" && to === "") return undefined;
  const first = from === "" ? Math.max(size - Number(to), 0) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (first <= last && first < size) return { first, last };
  throw new RegistryError(
    "RANGE_INVALID",
    { range: header.slice(0, 100) },
    {
      headers: { "content-range": `bytes */${size}` },
    },
  );
}

/** Answers DELETE. */
export async function removeBlob(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  served: ServedRepository,
  digest: Digest,
): Promise<void> {
  await deleteBlob(database, served, digest, caller.name, exchange.now);
  answer(exchange, 202, {});
}
