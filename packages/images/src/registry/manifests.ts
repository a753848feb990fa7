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
import { saysManifestMissing } from "./missing-manifest.ts";
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
  return (await fetchVersion(session, repository, name)).manifest;
}

/** A manifest with what its registry calls this version of it. */
export interface ManifestVersion {
  readonly manifest: RawManifest;
  /** The `ETag`, for a conditional change; undefined where the registry gives none, or a weak one. */
  readonly etag: string | undefined;
}

/**
 * The manifest under a tag, in the version it has now; undefined when the registry says that there is none.
 * @throws as {@link fetchManifest}, but for a missing manifest
 */
export async function fetchTagged(
  session: RegistrySession,
  repository: string,
  tag: string,
): Promise<ManifestVersion | undefined> {
  try {
    return await fetchVersion(session, repository, { tag });
  } catch (error) {
    if (saysManifestMissing(error)) return undefined;
    throw error;
  }
}

const acceptManifests: Readonly<Record<string, string>> = { accept: manifestMediaTypes.join(", ") };

async function fetchVersion(
  session: RegistrySession,
  repository: string,
  name: ManifestName,
): Promise<ManifestVersion> {
  const label = manifestLabel(session, repository, name);
  const { answer, bytes } = await session.read(
    {
      method: "GET",
      path: manifestPath(repository, name),
      access: [{ repository, actions: "pull" }],
      headers: acceptManifests,
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
  const etag = answer.header("etag");
  const version = (manifest: RawManifest): ManifestVersion => ({
    manifest,
    etag: etag !== undefined && /^"[\x21\x23-\x7e]*"$/.test(etag) ? etag : undefined,
  });
  if ("tag" in name) return version({ bytes, digest, declaredMediaType });
  if (digestAlgorithm(name.digest) !== "sha256") {
    checkBytes(name.digest, bytes, label);
    return version({ bytes, digest, declaredMediaType, namedDigest: name.digest });
  }
  if (digest !== name.digest) {
    throw new StoreError("digest-mismatch", `manifest ${label}: the bytes received have digest ${digest}`, {
      side: "source",
      hint: "the registry, or something in between, answers with another manifest; nothing of it was used",
      details: { digest: name.digest, found: digest },
    });
  }
  return version({ bytes, digest, declaredMediaType });
}

/** What a registry said of a manifest it stored. */
export interface StoredManifest {
  /** `OCI-Subject`: the manifest that this one refers to, from a registry that lists referrers itself. Untrusted. */
  readonly subject: string | undefined;
}

/** What must be true of a tag for it to be changed. Registries that do not know such conditions pass them over. */
export type TagCondition = { readonly etag: string } | "absent";

/**
 * Stores a manifest under a tag or under its digest.
 * @param mediaType sent as its Content-Type
 * @param condition holds, or the registry answers with an error of status 412, should it know conditions
 * @throws StoreError
 */
export async function storeManifest(
  session: RegistrySession,
  repository: string,
  name: ManifestName,
  bytes: Uint8Array,
  mediaType: string,
  condition?: TagCondition,
): Promise<StoredManifest> {
  const answer = await session.open({
    method: "PUT",
    path: manifestPath(repository, name),
    access: [{ repository, actions: "pull,push" }],
    headers: {
      "content-type": mediaType,
      ...(condition === undefined
        ? {}
        : condition === "absent"
          ? { "if-none-match": "*" }
          : { "if-match": condition.etag }),
    },
    body: bytes,
    expect: [200, 201, 202],
    what: `storing manifest ${manifestLabel(session, repository, name)}`,
  });
  await answer.discard();
  return { subject: answer.header("oci-subject") };
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

/**
 * Deletes a tag and leaves the manifest, where the registry can do that.
 * @returns false when it cannot, or has no such tag
 * @throws StoreError when access is refused or it fails otherwise
 */
export async function deleteTag(session: RegistrySession, repository: string, tag: string): Promise<boolean> {
  const access: Access = { repository, actions: "delete" };
  const answer = await session.open({
    method: "DELETE",
    path: manifestPath(repository, { tag }),
    access: [access],
    // Registries that delete by digest alone say 400, 404 or 405.
    expect: [200, 202, 204, 400, 404, 405],
    what: `deleting tag ${manifestLabel(session, repository, { tag })}`,
  });
  await answer.discard();
  return answer.status < 300;
}
