/** Manifests: OCI distribution specification 1.1, "Pulling manifests", "Pushing Manifests", "Deleting". */
import type { Digest } from "@signet/core";
import { MAX_MANIFEST_BYTES } from "@signet/core";
import type { BlobStore } from "../blobs/blob-store.ts";
import { readCarriedSignatures } from "../content/carried-signatures.ts";
import { deleteManifest, deleteTag } from "../content/deletion.ts";
import { readManifestFacts } from "../content/manifest-facts.ts";
import { type StoredManifest, findManifest, putManifest } from "../content/manifests.ts";
import { isTagName } from "../content/names.ts";
import type { ServedRepository } from "../content/repositories.ts";
import { resolveTag } from "../content/tags.ts";
import type { Database, Reader } from "../db/database.ts";
import { type CompleteAnswer, type Exchange, UNCHANGING, answer, readBody } from "./answer.ts";
import type { Caller } from "./caller.ts";
import { RegistryError } from "./registry-error.ts";
import type { ManifestReference } from "./route.ts";

/** Tags that one push may set (`?tag=`): as many as people give a release. */
const MAX_TAGS = 64;

/** The answer to GET and HEAD. */
export async function makeManifestAnswer(
  reader: Reader,
  served: ServedRepository,
  reference: ManifestReference,
): Promise<CompleteAnswer> {
  const digest = "digest" in reference ? reference.digest : await resolveTag(reader, served, reference.tag);
  const manifest = digest === undefined ? undefined : await findManifest(reader, served, digest);
  if (manifest === undefined) throw new RegistryError("MANIFEST_UNKNOWN", reference);
  const headers = manifestHeaders(manifest, "digest" in reference);
  return { status: 200, headers, body: manifest.bytes, tag: manifest.digest };
}

function manifestHeaders(manifest: StoredManifest, byDigest: boolean): Record<string, string> {
  return {
    "content-type": manifest.mediaType,
    "docker-content-digest": manifest.digest,
    etag: `"${manifest.digest}"`,
    // What a digest names never changes; what a tag names must be asked for each time. Private: a shared cache knows nothing of rights.
    "cache-control": byDigest ? UNCHANGING : "no-cache",
  };
}

/** Answers PUT. */
export async function receiveManifest(
  database: Database,
  blobs: BlobStore,
  exchange: Exchange,
  caller: Caller,
  path: string,
  reference: ManifestReference,
): Promise<void> {
  const { request, query } = exchange;
  const bytes = await readBody(request, MAX_MANIFEST_BYTES, "MANIFEST_INVALID");
  const digest = "digest" in reference ? reference.digest : undefined;
  const manifest = readManifestFacts(bytes, request.headers["content-type"], digest);
  const tags = "tag" in reference ? [reference.tag] : readTags(query);
  const signatures = await readCarriedSignatures(database, blobs, path, manifest, tags);
  await putManifest(database, { path, manifest, tags, signatures, by: caller.name, now: exchange.now });
  answer(exchange, 201, {
    location: `/v2/${path}/manifests/${manifest.digest}`,
    "docker-content-digest": manifest.digest,
    ...(manifest.subject === undefined ? {} : { "oci-subject": manifest.subject }),
    ...(digest === undefined || tags.length === 0 ? {} : { "oci-tag": tags.join(", ") }),
  });
}

/** Tags of a push by digest, as later editions of the specification have them. */
function readTags(query: URLSearchParams): string[] {
  const tags = [...new Set(query.getAll("tag"))];
  if (tags.length > MAX_TAGS) throw new RegistryError("TAG_INVALID", `more than ${MAX_TAGS} tags`, { status: 414 });
  const wrong = tags.find((tag) => !isTagName(tag));
  if (wrong !== undefined) throw new RegistryError("TAG_INVALID", { tag: wrong.slice(0, 200) });
  return tags;
}

/** Answers DELETE: by tag the tag goes, by digest the manifest with its tags and signatures. */
export async function removeManifest(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  served: ServedRepository,
  reference: { readonly digest: Digest } | { readonly tag: string },
): Promise<void> {
  if ("tag" in reference) await deleteTag(database, served, reference.tag, caller.name, exchange.now);
  else await deleteManifest(database, served, reference.digest, caller.name, exchange.now);
  answer(exchange, 202, {});
}
