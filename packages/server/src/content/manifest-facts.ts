/** What the database keeps of a manifest besides its bytes. */
import {
  FormatError,
  type UntrustedDescriptor,
  type UntrustedManifest,
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

/** Two names of at most 127 characters and the stroke between them (RFC 6838, section 4.2). */
const MAX_ARTIFACT_TYPE_CHARACTERS = 255;

/** A manifest that was read, with the digest it is kept under. Its claims about blobs and other manifests are unverified. */
export interface ManifestFacts {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly kind: "image" | "list";
  /** Blobs that must exist: config and layers that are distributed by the registry. */
  readonly blobs: readonly string[];
  /** Manifests of a list; they may be missing, as in a mirror of some platforms only. */
  readonly children: readonly string[];
  /** What it says of these blobs, or of these manifests. */
  readonly descriptors: readonly Described[];
  readonly configDigest: string | undefined;
  readonly subject: string | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /** Bytes of config and layers, as the descriptors state them. */
  readonly totalSize: number;
}

/**
 * Reads a manifest as a client pushes it.
 *
 * @param reference the digest that the client names it by, or undefined for a push by tag: then its digest is a sha256
 * @throws ContentError `manifest-invalid` for what is malformed or ambiguous, contradicts itself or its declared type, or is of docker schema 1, which is only read;
 *   `digest-mismatch` when the bytes are not those of `reference`
 */
export function readManifestFacts(
  bytes: Uint8Array,
  contentType: string | undefined,
  reference: string | undefined,
): ManifestFacts {
  const manifest = parse(bytes, contentType);
  if (manifest.kind === "schema1") {
    throw new ContentError(
      "manifest-invalid",
      "manifests of docker schema 1 are no longer taken; push schema 2 or OCI",
    );
  }
  const digest = reference === undefined ? computeManifestDigest(bytes, nodeEngine) : checkDigest(bytes, reference);
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

function checkDigest(bytes: Uint8Array, reference: string): string {
  const digest = tryParseDigest(reference);
  if (digest === undefined)
    throw new ContentError("digest-mismatch", "the reference is not a digest", { digest: reference });
  const algorithm = digestAlgorithm(digest);
  const found = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
  if (found !== digest) {
    throw new ContentError("digest-mismatch", `the manifest's bytes have the digest ${found}`, { digest: reference });
  }
  return digest;
}
