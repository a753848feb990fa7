import {
  type Digest,
  MAX_MANIFEST_BYTES,
  StoreError,
  claimedMediaType,
  computeManifestDigest,
  digestAlgorithm,
  manifestMediaTypes,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { checkBytes } from "../transports/blob-check.ts";
import type { RawManifest } from "../transports/transport.ts";
import type { Access } from "./authorizer.ts";
import type { RegistrySession } from "./session.ts";

/** A tag or a digest: what stands at the end of a manifest's URL. Both come from checked grammars without a slash or percent sign. */
export type ManifestName = { readonly tag: string } | { readonly digest: Digest };

function nameText(name: ManifestName): string {
  return "tag" in name ? name.tag : name.digest;
}

/** `registry.example.com/team/app:1` or `…@sha256:…`, for messages. */
export function manifestLabel(session: RegistrySession, repository: string, name: ManifestName): string {
  return `${session.registry}/${repository}${"tag" in name ? `:${name.tag}` : `@${name.digest}`}`;
}

function manifestPath(repository: string, name: ManifestName): string {
  return `/v2/${repository}/manifests/${nameText(name)}`;
}

/**
 * Fetches a manifest. Its digest is computed over the bytes; when it was asked for by digest, the two are compared, a signed schema 1 manifest by its payload.
 * The registry's own word on the digest is not looked at.
 * @throws StoreError `image-missing`, `digest-mismatch`, `registry-…`; FormatError `input-too-large` above 4 MiB, or what a malformed schema 1 manifest causes
 */
export async function fetchManifest(
  session: RegistrySession,
  repository: string,
  name: ManifestName,
): Promise<RawManifest> {
  const label = manifestLabel(session, repository, name);
  const { answer, bytes } = await session.read(
    {
      method: "GET",
      path: manifestPath(repository, name),
      access: [{ repository, actions: "pull" }],
      headers: { accept: manifestMediaTypes.join(", ") },
      expect: [200],
      what: `manifest ${label}`,
    },
    MAX_MANIFEST_BYTES,
  );
  const declaredMediaType = answer.header("content-type");
  if (claimedMediaType(declaredMediaType) === "text/html") {
    throw new StoreError("registry-error", `manifest ${label}: answered with a web page`, {
      status: answer.status,
      hint: "a portal or proxy may stand between here and the registry",
    });
  }
  const digest = computeManifestDigest(bytes, nodeEngine);
  if ("tag" in name) return { bytes, digest, declaredMediaType };
  if (digestAlgorithm(name.digest) !== "sha256") {
    checkBytes(name.digest, bytes, label);
    return { bytes, digest, declaredMediaType, namedDigest: name.digest };
  }
  if (digest !== name.digest) {
    throw new StoreError("digest-mismatch", `manifest ${label}: the bytes received have digest ${digest}`, {
      side: "source",
      hint: "the registry, or something in between, answers with another manifest; nothing of it was used",
      details: { digest: name.digest, found: digest },
    });
  }
  return { bytes, digest, declaredMediaType };
}

/**
 * Stores a manifest under a tag or under its digest.
 * @param mediaType sent as its Content-Type
 * @throws StoreError
 */
export async function storeManifest(
  session: RegistrySession,
  repository: string,
  name: ManifestName,
  bytes: Uint8Array,
  mediaType: string,
): Promise<void> {
  const answer = await session.open({
    method: "PUT",
    path: manifestPath(repository, name),
    access: [{ repository, actions: "pull,push" }],
    headers: { "content-type": mediaType },
    body: bytes,
    expect: [200, 201, 202],
    what: `storing manifest ${manifestLabel(session, repository, name)}`,
  });
  await answer.discard();
}

/**
 * Deletes a manifest by its digest, and with it every tag that names it.
 * @throws StoreError `image-missing`; `registry-error` when the registry does not allow deleting (405)
 */
export async function deleteManifest(session: RegistrySession, repository: string, digest: Digest): Promise<void> {
  const access: Access = { repository, actions: "delete" };
  const answer = await session.open({
    method: "DELETE",
    path: manifestPath(repository, { digest }),
    access: [access],
    expect: [200, 202, 204],
    what: `deleting manifest ${manifestLabel(session, repository, { digest })}`,
  });
  await answer.discard();
}
