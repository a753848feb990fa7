/** Blobs: OCI distribution specification 1.1, "Pulling blobs", "Deleting Blobs". */
import type { ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import type { Digest } from "@signet/core";
import type { BlobStore, ByteRange, LentBytes } from "../blobs/blob-store.ts";
import type { StoredBlob } from "../content/blobs.ts";
import { deleteBlob } from "../content/deletion.ts";
import type { ServedRepository } from "../content/repositories.ts";
import type { Database } from "../db/database.ts";
import { type CompleteAnswer, type Exchange, UNCHANGING, answer, answerIfUnchanged, writeHead } from "./answer.ts";
import type { Caller } from "./caller.ts";
import { RegistryError } from "./registry-error.ts";

/**
 * Bytes of a blob that is read whole and kept among the answers: configs and the payloads of signatures are smaller, and are asked for at every pull. For those the
 * system calls of a stream cost more than the bytes.
 */
export const MAX_KEPT_BLOB_BYTES: number = 64 * 1024;

function headersOf(digest: string): Record<string, string> {
  return {
    "content-type": "application/octet-stream",
    "docker-content-digest": digest,
    etag: `"${digest}"`,
    "accept-ranges": "bytes",
    "cache-control": UNCHANGING,
  };
}

/** The answer to GET and HEAD of a small blob. */
export async function makeBlobAnswer(store: BlobStore, blob: StoredBlob): Promise<CompleteAnswer> {
  const { digest, size, location } = blob;
  const body = size === 0 ? Buffer.alloc(0) : await buffer(await store.open(location, { first: 0, last: size - 1 }));
  return { status: 200, headers: headersOf(digest), body, tag: digest };
}

/** Answers GET and HEAD, whole or one range. */
export async function serveBlob(store: BlobStore, exchange: Exchange, blob: StoredBlob): Promise<void> {
  const { request, response } = exchange;
  const { digest, size } = blob;
  const headers = headersOf(digest);
  if (answerIfUnchanged(exchange, digest, headers)) return;
  const range = readRange(request.headers.range, String(request.headers["if-range"] ?? ""), digest, size);
  const { first, last } = range ?? { first: 0, last: size - 1 };
  const length = last - first + 1;
  const partial = range === undefined ? {} : { "content-range": `bytes ${first}-${last}/${size}` };
  const status = range === undefined ? 200 : 206;
  if (request.method === "HEAD" || length === 0) {
    writeHead(exchange, status, { ...headers, ...partial, "content-length": length });
    response.end();
    return;
  }
  // Opened before the status is sent: bytes that cannot be read are an error, not an answer that breaks off.
  if (store.lend !== undefined) {
    await using bytes = await store.lend(blob.location, { first, last });
    writeHead(exchange, status, { ...headers, ...partial, "content-length": length });
    await sendLent(bytes, response);
    return;
  }
  const stream = await store.open(blob.location, { first, last });
  try {
    writeHead(exchange, status, { ...headers, ...partial, "content-length": length });
    await pipeline(stream, response);
  } finally {
    // Of no effect on one that has ended; for a client that went away before anything was sent.
    stream.destroy();
  }
}

/**
 * Sends all bytes and ends the answer.
 * @throws Error `ERR_STREAM_PREMATURE_CLOSE` when the client goes away
 */
async function sendLent(bytes: LentBytes, response: ServerResponse): Promise<void> {
  for (let piece = await bytes.next(); piece !== undefined; piece = await bytes.next()) await send(response, piece);
  response.end();
}

/** Resolves when the kernel has the bytes, so that their memory may be used again. */
function send(response: ServerResponse, piece: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    // Of a connection that is gone, a write may never say so.
    const close = (): void => reject(gone());
    if (response.closed || response.destroyed) return close();
    response.once("close", close);
    response.write(piece, (error) => {
      response.off("close", close);
      if (error === null || error === undefined) return resolve();
      response.destroy();
      reject(error);
    });
  });
}

function gone(): Error {
  return Object.assign(new Error("the client went away"), { code: "ERR_STREAM_PREMATURE_CLOSE" });
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
