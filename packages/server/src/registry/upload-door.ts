/** Uploads of blobs: OCI distribution specification 1.1, "Pushing blobs". */
import { type Digest, tryParseDigest } from "@signet/core";
import { listBlobHolders, mountBlob } from "../content/blobs.ts";
import { isRepositoryPath } from "../content/names.ts";
import { findServed } from "../content/repositories.ts";
import type { Upload, Uploads } from "../content/uploads.ts";
import type { Database } from "../db/database.ts";
import { type Exchange, answer } from "./answer.ts";
import type { Caller } from "./caller.ts";
import { RegistryError } from "./registry-error.ts";

/** Repositories that are asked for a blob that a client wants mounted from anywhere; one that most repositories hold is found among the first. */
const MAX_MOUNT_SOURCES = 50;

/** Answers POST: a mount, a whole blob at once, or the beginning of an upload. */
export async function beginUpload(
  database: Database,
  uploads: Uploads,
  exchange: Exchange,
  caller: Caller,
  path: string,
): Promise<void> {
  const { query, now } = exchange;
  const mount = query.get("mount");
  if (mount !== null) {
    const digest = tryParseDigest(mount);
    if (digest === undefined) throw new RegistryError("DIGEST_INVALID", { digest: mount.slice(0, 200) });
    if (await tryMount(database, exchange, caller, digest, path)) return answerCreated(exchange, path, digest);
  }
  if (mount === null && query.has("digest")) {
    const digest = readDigest(exchange);
    await uploads.take(path, readChunks(exchange), digest, now);
    return answerCreated(exchange, path, digest);
  }
  const upload = await uploads.begin(path, caller.name, now);
  answer(exchange, 202, { ...uploadHeaders(upload), "docker-upload-uuid": upload.id });
}

/** The repository that a POST wants a blob mounted from; undefined for any other POST, and for a name that no repository has. */
export function readMountSource(query: URLSearchParams): string | undefined {
  const from = query.has("mount") ? query.get("from") : null;
  return from !== null && isRepositoryPath(from) ? from : undefined;
}

/**
 * Mounts a blob from a repository that the caller may read; where the client names none, from any such. Otherwise an upload begins: the answer does not tell why, so
 * that nobody learns what other repositories hold.
 */
async function tryMount(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  digest: Digest,
  to: string,
): Promise<boolean> {
  const { query, now } = exchange;
  const from = readMountSource(query);
  if (query.has("from") && from === undefined) return false;
  const sources =
    from === undefined
      ? await listBlobHolders(database.read, digest, MAX_MOUNT_SOURCES)
      : [await findServed(database.read, from)];
  const find = (reader: Pick<Caller, "may">) => sources.find((one) => one !== undefined && reader.may("pull", one));
  const source = find(caller) ?? find(await caller.withoutCredentials());
  return source !== undefined && (await mountBlob(database, { from: source.path, to, digest, now })) !== undefined;
}

/** Answers GET: how far an upload is. */
export async function describeUpload(uploads: Uploads, exchange: Exchange, path: string, id: string): Promise<void> {
  const upload = await uploads.find(path, id);
  answer(exchange, 204, { ...uploadHeaders(upload), "docker-upload-uuid": upload.id });
}

/** Answers PATCH: the next bytes. */
export async function continueUpload(uploads: Uploads, exchange: Exchange, path: string, id: string): Promise<void> {
  const upload = await uploads.find(path, id);
  checkContentRange(exchange, upload);
  const next = await uploads.append(upload, readChunks(exchange), exchange.now);
  answer(exchange, 202, { ...uploadHeaders(next), "docker-upload-uuid": next.id });
}

/** Answers PUT: the last bytes, if any, and the digest of all. */
export async function finishUpload(uploads: Uploads, exchange: Exchange, path: string, id: string): Promise<void> {
  const upload = await uploads.find(path, id);
  checkContentRange(exchange, upload);
  const digest = readDigest(exchange);
  await uploads.finish(upload, readChunks(exchange), digest, exchange.now);
  answerCreated(exchange, path, digest);
}

/** Answers DELETE. */
export async function cancelUpload(uploads: Uploads, exchange: Exchange, path: string, id: string): Promise<void> {
  await uploads.cancel(await uploads.find(path, id));
  answer(exchange, 204, {});
}

function readDigest({ query }: Exchange): Digest {
  const text = query.get("digest") ?? "";
  const digest = tryParseDigest(text);
  if (digest === undefined) throw new RegistryError("DIGEST_INVALID", { digest: text.slice(0, 200) });
  return digest;
}

/** @throws RegistryError `RANGE_INVALID` when the bytes would not follow those that are there */
function checkContentRange(exchange: Exchange, upload: Upload): void {
  const header = exchange.request.headers["content-range"];
  if (header === undefined) return;
  const match = /^(?:bytes )?([0-9]{1,15})-([0-9]{1,15})(?:\/(?:\*|[0-9]{1,15}))?$/.exec(header.trim());
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  const length = exchange.request.headers["content-length"];
  const fits = length === undefined || last - first + 1 === Number(length);
  if (match !== null && first === upload.state.received && fits) return;
  throw new RegistryError(
    "RANGE_INVALID",
    { received: upload.state.received, range: header.slice(0, 100) },
    {
      headers: uploadHeaders(upload),
    },
  );
}

/** The body as it comes; one that ends before its stated length is an error, never a shorter blob. */
async function* readChunks({ request }: Exchange): AsyncGenerator<Uint8Array> {
  for await (const chunk of request as AsyncIterable<Buffer>) yield chunk;
  if (!request.complete) throw new RegistryError("SIZE_INVALID", "the body ended early");
}

function uploadHeaders(upload: Upload): Record<string, string> {
  return {
    location: `/v2/${upload.path}/blobs/uploads/${upload.id}`,
    // Both ends count; clients know that an upload without any bytes says 0-0 as well.
    range: `0-${Math.max(upload.state.received - 1, 0)}`,
  };
}

function answerCreated(exchange: Exchange, path: string, digest: Digest): void {
  answer(exchange, 201, { location: `/v2/${path}/blobs/${digest}`, "docker-content-digest": digest });
}
