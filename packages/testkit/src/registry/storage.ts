/** What the test registry holds, in memory. Nothing is shared between repositories: a blob is readable only where it was pushed or mounted. */

import { createHash, randomUUID } from "node:crypto";

export interface StoredManifest {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: string;
}

/** As the signatures extension has it on the wire. */
export interface ExtensionSignature {
  readonly schemaVersion: 2;
  readonly name: string;
  readonly type: string;
  /** Standard base64 of the signature blob. */
  readonly content: string;
}

export interface Repository {
  readonly blobs: Map<string, Uint8Array>;
  /** By digest. */
  readonly manifests: Map<string, StoredManifest>;
  readonly tags: Map<string, string>;
  /** By manifest digest, oldest first. */
  readonly signatures: Map<string, ExtensionSignature[]>;
}

export interface Upload {
  readonly repository: string;
  readonly chunks: Uint8Array[];
  size: number;
}

export class RegistryStorage {
  readonly repositories: Map<string, Repository> = new Map();
  readonly uploads: Map<string, Upload> = new Map();

  /** The repository of that name, made when it is not there. */
  open(name: string): Repository {
    let repository = this.repositories.get(name);
    if (repository === undefined) {
      repository = { blobs: new Map(), manifests: new Map(), tags: new Map(), signatures: new Map() };
      this.repositories.set(name, repository);
    }
    return repository;
  }

  /** A manifest by tag or digest. */
  manifest(name: string, reference: string): StoredManifest | undefined {
    const repository = this.repositories.get(name);
    return repository?.manifests.get(repository.tags.get(reference) ?? reference);
  }

  /** Stores a manifest under its digest, and under `reference` when that is a tag. Nothing about it is checked. */
  putManifest(name: string, reference: string, bytes: Uint8Array, mediaType: string): StoredManifest {
    const repository = this.open(name);
    const digest = manifestDigest(bytes, mediaType, reference);
    const manifest = { bytes, mediaType, digest };
    repository.manifests.set(digest, manifest);
    if (!digestGrammar.test(reference)) repository.tags.set(reference, digest);
    return manifest;
  }

  /** @returns the digest */
  putBlob(name: string, bytes: Uint8Array): string {
    const digest = digestOf(bytes);
    this.open(name).blobs.set(digest, bytes);
    return digest;
  }

  startUpload(repository: string): string {
    const id = randomUUID();
    this.uploads.set(id, { repository, chunks: [], size: 0 });
    return id;
  }
}

/** `sha256:` or `sha512:` and lower-case hex: what this registry stores under. */
export const digestGrammar: RegExp = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** The digest of `bytes`, with the algorithm that `like` begins with; default sha256. */
export function digestOf(bytes: Uint8Array, like = "sha256:"): string {
  const algorithm = like.startsWith("sha512:") ? "sha512" : "sha256";
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/**
 * A manifest's digest, with the algorithm that `like` begins with: over the payload that its JWS protects for a signed schema 1 manifest, else over all
 * of it.
 * @throws Error when the JWS is malformed
 */
export function manifestDigest(bytes: Uint8Array, mediaType: string, like?: string): string {
  if (!mediaType.startsWith("application/vnd.docker.distribution.manifest.v1+prettyjws")) return digestOf(bytes, like);
  const { signatures } = JSON.parse(Buffer.from(bytes).toString("utf8")) as { signatures: { protected: string }[] };
  const header: unknown = JSON.parse(Buffer.from(signatures[0]!.protected, "base64url").toString("utf8"));
  const { formatLength, formatTail } = header as { formatLength: number; formatTail: string };
  return digestOf(Buffer.concat([bytes.subarray(0, formatLength), Buffer.from(formatTail, "base64url")]), like);
}
