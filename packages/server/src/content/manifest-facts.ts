/** What the database keeps of a manifest besides its bytes. */
import {
  type Digest,
  FormatError,
  type UntrustedDescriptor,
  type UntrustedManifest,
  type UntrustedSchema1Manifest,
  claimedMediaType,
  computeManifestDigest,
  digestAlgorithm,
  parseManifest,
  tryParseDigest,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { createHash } from "node:crypto";
import { ContentError } from "./content-error.ts";
import { type Described, checkDescriptors } from "./descriptors.ts";
import { checkSchema1 } from "./schema1.ts";

/** Two names of at most 127 characters and the stroke between them (RFC 6838, section 4.2). */
const MAX_ARTIFACT_TYPE_CHARACTERS = 255;

/** A manifest that was read, with the digest it is kept under. Its claims about blobs and other manifests are unverified. */
export interface ManifestFacts {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly kind: "image" | "list" | "schema1";
  /** Blobs that must exist: config and layers that are distributed by the registry. Schema 1 has layers only. */
  readonly blobs: readonly string[];
  /** Manifests of a list; they may be missing, as in a mirror of some platforms only. */
  readonly children: readonly string[];
  /** What it says of these blobs, or of these manifests; schema 1 says nothing but their digests. */
  readonly descriptors: readonly Described[];
  readonly configDigest: string | undefined;
  readonly subject: string | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /** Bytes of config and layers, as the descriptors state them; 0 where there are none. */
  readonly totalSize: number;
}

/**
 * Reads a manifest as a client pushes it.
 *
 * The digest is that of its bytes; of docker schema 1, that of the payload that its JSON web signatures sign, so that manifests of other bytes can have it too: the same document with
 * other signatures, or with none. What they say beside the signatures is the same to the byte.
 *
 * @param reference the digest that the client names it by, or undefined for a push by tag: then its digest is a sha256
 * @throws ContentError `manifest-invalid` for what is malformed or ambiguous, or contradicts itself or its declared type; `digest-mismatch` when the digest is not `reference`
 */
export function readManifestFacts(
  bytes: Uint8Array,
  contentType: string | undefined,
  reference: string | undefined,
): ManifestFacts {
  const manifest = parse(bytes, contentType);
  const isSchema1 = manifest.kind === "schema1";
  if (isSchema1) checkSchema1(manifest, contentType);
  const digest =
    reference === undefined
      ? computeManifestDigest(bytes, nodeEngine)
      : checkDigest(isSchema1 ? manifest.payload : bytes, reference);
  if (isSchema1) return schema1Facts(manifest, digest);
  const isImage = manifest.kind === "image";
  const layers: readonly UntrustedDescriptor[] = isImage ? [manifest.config, ...manifest.layers] : [];
  // Layers that may not be distributed name other places to fetch them from; the registry need not have them.
  const own = layers.filter((layer) => layer.urls.length === 0);
  checkDescriptors(isImage ? layers : manifest.instances);
  return {
    digest,
    mediaType: manifest.mediaType,
    bytes,
    kind: manifest.kind,
    blobs: [...new Set(own.map((layer) => layer.digest))],
    children: isImage ? [] : manifest.instances.map((instance) => instance.digest),
    descriptors: isImage ? own : manifest.instances,
    configDigest: isImage ? manifest.config.digest : undefined,
    subject: manifest.subject?.digest,
    // OCI distribution 1.1, "Listing Referrers": the config's type stands in where an image manifest names none.
    artifactType: checkArtifactType(manifest.artifactType || (isImage ? manifest.config.mediaType : undefined)),
    annotations: Object.fromEntries(manifest.annotations),
    totalSize: layers.reduce((sum, layer) => sum + layer.size, 0),
  };
}

function schema1Facts(manifest: UntrustedSchema1Manifest, digest: Digest): ManifestFacts {
  const { kind, mediaType, layers, raw: bytes } = manifest;
  return {
    digest,
    mediaType,
    bytes,
    kind,
    blobs: [...new Set(layers)],
    children: [],
    descriptors: [],
    configDigest: undefined,
    subject: undefined,
    artifactType: undefined,
    annotations: {},
    totalSize: 0,
  };
}

/**
 * A manifest is stored once for all repositories, and so is its type: what the bytes alone say. Where they do not name it, a client that calls it otherwise would choose what
 * others are told of theirs.
 */
function parse(bytes: Uint8Array, contentType: string | undefined): UntrustedManifest {
  try {
    const manifest = parseManifest(bytes, contentType);
    if (claimedMediaType(contentType) === undefined) return manifest;
    const { mediaType } = parseManifest(bytes);
    if (mediaType === manifest.mediaType) return manifest;
    throw new ContentError(
      "manifest-invalid",
      `the manifest does not name its type, and reads as ${mediaType}: to be ${manifest.mediaType} it needs the member mediaType`,
    );
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new ContentError("manifest-invalid", error.message);
  }
}

/** It is listed, searched for and written in answers: what could not be one (RFC 6838 has letters, digits and some signs) is refused, and other liberties are left to clients. */
function checkArtifactType(type: string | undefined): string | undefined {
  if (type !== undefined && (type.length > MAX_ARTIFACT_TYPE_CHARACTERS || /\p{Cc}/u.test(type))) {
    throw new ContentError("manifest-invalid", "the type of the artifact (or of its configuration) is no media type");
  }
  return type;
}

/** @param hashed what the digest is about */
function checkDigest(hashed: Uint8Array, reference: string): Digest {
  const digest = tryParseDigest(reference);
  if (digest === undefined)
    throw new ContentError("digest-mismatch", "the reference is not a digest", { digest: reference });
  const algorithm = digestAlgorithm(digest);
  const found = `${algorithm}:${createHash(algorithm).update(hashed).digest("hex")}`;
  if (found !== digest) {
    throw new ContentError("digest-mismatch", `the manifest has the digest ${found}`, { digest: reference });
  }
  return digest;
}
