/** The OCI distribution API 1.1 over {@link RegistryStorage}: manifests, blobs, uploads, tags, referrers. */

import { bytesAnswer, emptyAnswer, errorAnswer, jsonAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { checkManifest, listReferrers, subjectOf } from "./manifest-rules.ts";
import { digestGrammar, digestOf, manifestDigest } from "./storage.ts";
import type { RegistryStorage } from "./storage.ts";

/** A request that is authorised and read to its end. */
export interface RegistryRequest {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

/** What registries differ in. */
export interface DistributionRules {
  /** Lists referrers, and says so with `OCI-Subject` when a manifest with a subject is pushed. */
  readonly referrers: boolean;
  /** Answers 412 when `If-Match` or `If-None-Match` of a manifest PUT does not hold; without, they are passed over. */
  readonly conditionalPuts: boolean;
}

/** Bytes: the largest manifest taken, as registries commonly have it. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

const tagGrammar = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** GET, HEAD, PUT and DELETE of `/v2/NAME/manifests/REFERENCE`. */
export function handleManifest(
  storage: RegistryStorage,
  name: string,
  reference: string,
  request: RegistryRequest,
  rules: DistributionRules,
): Answer {
  const byDigest = reference.includes(":");
  if (byDigest && !digestGrammar.test(reference)) return errorAnswer(400, "DIGEST_INVALID", "invalid digest");
  if (!byDigest && !tagGrammar.test(reference)) return errorAnswer(400, "TAG_INVALID", "invalid tag");
  if (request.method === "PUT") return putManifest(storage, name, reference, request, rules);
  const manifest = storage.manifest(name, reference);
  if (manifest === undefined) return errorAnswer(404, "MANIFEST_UNKNOWN", "manifest unknown");
  if (request.method === "DELETE") {
    const repository = storage.open(name);
    if (byDigest) {
      repository.manifests.delete(manifest.digest);
      repository.signatures.delete(manifest.digest);
    }
    for (const [tag, digest] of repository.tags)
      if (byDigest ? digest === manifest.digest : tag === reference) repository.tags.delete(tag);
    return emptyAnswer(202);
  }
  if (request.method !== "GET" && request.method !== "HEAD") return emptyAnswer(405);
  return bytesAnswer(200, manifest.bytes, {
    "content-type": manifest.mediaType,
    "docker-content-digest": manifest.digest,
    etag: `"${manifest.digest}"`,
  });
}

function putManifest(
  storage: RegistryStorage,
  name: string,
  reference: string,
  { headers, body }: RegistryRequest,
  rules: DistributionRules,
): Answer {
  if (rules.conditionalPuts && !holds(headers, storage.manifest(name, reference)?.digest)) return emptyAnswer(412);
  if (body.length > MAX_MANIFEST_BYTES) return errorAnswer(413, "SIZE_INVALID", "manifest too large");
  const mediaType = String(headers["content-type"] ?? "");
  const problem = checkManifest(storage.open(name), body, mediaType);
  if (problem !== undefined) return errorAnswer(400, problem.code, problem.message);
  if (reference.includes(":") && manifestDigest(body, mediaType, reference) !== reference)
    return errorAnswer(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
  const { digest } = storage.putManifest(name, reference, body, mediaType);
  const subject = subjectOf(body);
  return emptyAnswer(201, {
    location: `/v2/${name}/manifests/${digest}`,
    "docker-content-digest": digest,
    ...(rules.referrers && subject !== undefined && { "oci-subject": subject }),
  });
}

/** Whether the conditions of a request hold for what is there (RFC 9110, section 13). */
function holds(headers: RegistryRequest["headers"], present: string | undefined): boolean {
  const match = headers["if-match"];
  if (match !== undefined && match !== `"${present}"`) return false;
  return headers["if-none-match"] !== "*" || present === undefined;
}

/** GET (with Range), HEAD and DELETE of `/v2/NAME/blobs/DIGEST`. */
export function handleBlob(storage: RegistryStorage, name: string, digest: string, request: RegistryRequest): Answer {
  if (!digestGrammar.test(digest)) return errorAnswer(400, "DIGEST_INVALID", "invalid digest");
  const repository = storage.repositories.get(name);
  const blob = repository?.blobs.get(digest);
  if (repository === undefined || blob === undefined)
    return errorAnswer(404, "BLOB_UNKNOWN", "blob unknown to registry");
  if (request.method === "DELETE") {
    repository.blobs.delete(digest);
    return emptyAnswer(202);
  }
  if (request.method !== "GET" && request.method !== "HEAD") return emptyAnswer(405);
  const headers = {
    "content-type": "application/octet-stream",
    "docker-content-digest": digest,
    "accept-ranges": "bytes",
  };
  const range = /^bytes=(\d+)-(\d*)$/.exec(String(request.headers["range"] ?? ""));
  if (range === null) return bytesAnswer(200, blob, headers);
  const start = Number(range[1]);
  const end = range[2] === "" ? blob.length - 1 : Math.min(Number(range[2]), blob.length - 1);
  if (start > end) return emptyAnswer(416, { "content-range": `bytes */${blob.length}` });
  const contentRange = `bytes ${start}-${end}/${blob.length}`;
  return bytesAnswer(206, blob.subarray(start, end + 1), { ...headers, "content-range": contentRange });
}

/** POST of `/v2/NAME/blobs/uploads/`: a session, a whole blob (`digest`) or a mount (`mount`, `from`). */
export function startUpload(
  storage: RegistryStorage,
  name: string,
  { query, body }: RegistryRequest,
  mayPull: (repository: string) => boolean,
): Answer {
  const mounted = query.get("mount");
  const from = query.get("from");
  if (mounted !== null && from !== null && mayPull(from)) {
    const blob = storage.repositories.get(from)?.blobs.get(mounted);
    if (blob !== undefined) {
      storage.open(name).blobs.set(mounted, blob);
      return blobStored(name, mounted);
    }
  }
  const digest = query.get("digest");
  if (digest !== null) return storeBlob(storage, name, digest, body);
  const id = storage.startUpload(name);
  return uploadState(202, name, id, 0);
}

/** PATCH, PUT, GET and DELETE of `/v2/NAME/blobs/uploads/ID`. */
export function handleUpload(storage: RegistryStorage, name: string, id: string, request: RegistryRequest): Answer {
  const upload = storage.uploads.get(id);
  if (upload === undefined || upload.repository !== name)
    return errorAnswer(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
  if (request.method === "GET") return uploadState(204, name, id, upload.size);
  if (request.method === "DELETE") {
    storage.uploads.delete(id);
    return emptyAnswer(204);
  }
  if (request.method !== "PATCH" && request.method !== "PUT") return emptyAnswer(405);
  const range = /^(\d+)-\d+$/.exec(String(request.headers["content-range"] ?? ""));
  if (range !== null && Number(range[1]) !== upload.size) return uploadState(416, name, id, upload.size);
  upload.chunks.push(request.body);
  upload.size += request.body.length;
  if (request.method === "PATCH") return uploadState(202, name, id, upload.size);
  const digest = request.query.get("digest");
  if (digest === null) return errorAnswer(400, "DIGEST_INVALID", "digest is required");
  storage.uploads.delete(id);
  return storeBlob(storage, name, digest, Buffer.concat(upload.chunks));
}

function storeBlob(storage: RegistryStorage, name: string, digest: string, bytes: Uint8Array): Answer {
  if (!digestGrammar.test(digest) || digestOf(bytes, digest) !== digest)
    return errorAnswer(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
  storage.open(name).blobs.set(digest, bytes);
  return blobStored(name, digest);
}

function blobStored(name: string, digest: string): Answer {
  return emptyAnswer(201, { location: `/v2/${name}/blobs/${digest}`, "docker-content-digest": digest });
}

function uploadState(status: number, name: string, id: string, size: number): Answer {
  const location = `/v2/${name}/blobs/uploads/${id}`;
  return emptyAnswer(status, { location, "docker-upload-uuid": id, range: `0-${Math.max(0, size - 1)}` });
}

/** GET of `/v2/NAME/tags/list`, with `n` and `last`. */
export function listTags(storage: RegistryStorage, name: string, query: URLSearchParams): Answer {
  const repository = storage.repositories.get(name);
  if (repository === undefined) return errorAnswer(404, "NAME_UNKNOWN", "repository name not known to registry");
  const last = query.get("last") ?? "";
  const rest = [...repository.tags.keys()].sort().filter((tag) => tag > last);
  const limit = query.has("n") ? Number(query.get("n")) : rest.length;
  const tags = rest.slice(0, limit);
  const next = `</v2/${name}/tags/list?n=${limit}&last=${encodeURIComponent(tags.at(-1) ?? "")}>; rel="next"`;
  return jsonAnswer(200, { name, tags }, tags.length < rest.length && limit > 0 ? { link: next } : {});
}

/** GET of `/v2/NAME/referrers/DIGEST`, with `artifactType`, in pages of `pageSize`. */
export function handleReferrers(
  storage: RegistryStorage,
  name: string,
  digest: string,
  query: URLSearchParams,
  pageSize: number = Infinity,
): Answer {
  if (!digestGrammar.test(digest)) return errorAnswer(400, "DIGEST_INVALID", "invalid digest");
  const artifactType = query.get("artifactType");
  const all = listReferrers(storage.open(name), digest).filter(
    (referrer) => artifactType === null || referrer.artifactType === artifactType,
  );
  const start = Number(query.get("start") ?? 0);
  const manifests = all.slice(start, start + pageSize);
  query.set("start", String(start + pageSize));
  const link = `</v2/${name}/referrers/${digest}?${query.toString()}>; rel="next"`;
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const filtered: Record<string, string> = artifactType === null ? {} : { "oci-filters-applied": "artifactType" };
  return jsonAnswer(
    200,
    { schemaVersion: 2, mediaType, manifests },
    { "content-type": mediaType, ...filtered, ...(start + pageSize < all.length && { link }) },
  );
}
