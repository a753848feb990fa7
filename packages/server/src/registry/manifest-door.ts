/** Manifests: OCI distribution specification 1.1, "Pulling manifests", "Pushing Manifests", "Deleting". */
import {
  DOCKER_SCHEMA1_SIGNED_TYPE,
  DOCKER_SCHEMA1_TYPE,
  type Digest,
  MAX_MANIFEST_BYTES,
  sha256Digest,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { BlobStore } from "../blobs/blob-store.ts";
import { readCarriedSignatures } from "../content/carried-signatures.ts";
import { ContentError } from "../content/content-error.ts";
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

/** The answer to GET and HEAD. The type is that of what was pushed, whatever the client accepts: nothing is converted, or the digest would be another. */
export async function makeManifestAnswer(
  reader: Reader,
  served: ServedRepository,
  reference: ManifestReference,
): Promise<CompleteAnswer> {
  const digest = "digest" in reference ? reference.digest : await resolveTag(reader, served, reference.tag);
  const manifest = digest === undefined ? undefined : await findManifest(reader, served, digest);
  if (manifest === undefined) throw new RegistryError("MANIFEST_UNKNOWN", reference);
  const { digest: found, bytes: body } = manifest;
  // Other bytes may have the digest: when these are gone from all repositories and were collected, another push may bring them.
  const isSchema1 = manifest.mediaType === DOCKER_SCHEMA1_SIGNED_TYPE || manifest.mediaType === DOCKER_SCHEMA1_TYPE;
  const tag = isSchema1 ? sha256Digest(body, nodeEngine) : found;
  const headers = manifestHeaders(manifest, tag, "digest" in reference && !isSchema1);
  return { status: 200, headers, body, tag, manifest: found };
}

function manifestHeaders(manifest: StoredManifest, tag: string, isForGood: boolean): Record<string, string> {
  return {
    "content-type": manifest.mediaType,
    "docker-content-digest": manifest.digest,
    etag: `"${tag}"`,
    // What a digest names never changes; what a tag names must be asked for each time. Private: a shared cache knows nothing of rights.
    "cache-control": isForGood ? UNCHANGING : "no-cache",
  };
}

/**
 * Answers PUT.
 * @param takesSchema1 whether docker schema 1 is taken
 */
export async function receiveManifest(
  { database, blobs, takesSchema1 }: { database: Database; blobs: BlobStore; takesSchema1: boolean },
  exchange: Exchange,
  caller: Caller,
  path: string,
  reference: ManifestReference,
): Promise<void> {
  const { request, query } = exchange;
  const bytes = await readBody(request, MAX_MANIFEST_BYTES, "MANIFEST_INVALID");
  const digest = "digest" in reference ? reference.digest : undefined;
  const manifest = readManifestFacts(bytes, request.headers["content-type"], digest);
  if (manifest.kind === "schema1" && !takesSchema1) {
    throw new ContentError(
      "manifest-invalid",
      "manifests of docker schema 1 are read and not taken: push schema 2 or OCI (skopeo copy --format v2s2), or have push.dockerSchema1 set in the server's configuration",
    );
  }
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
