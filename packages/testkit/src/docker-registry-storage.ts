/** Images written straight into the files of a docker-registry, where it keeps them: thousands in seconds, and bytes that no registry would take over its API. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DockerRegistry } from "./docker-registry.ts";
import type { TestBlob, TestImage, TestIndex } from "./test-image.ts";

/** Repositories and blobs of a registry on disk, as distribution lays them out. */
function rootOf({ storageDir }: DockerRegistry): string {
  return join(storageDir, "docker/registry/v2");
}

/** The file that holds what the registry answers with under a digest. */
export function registryBlobFile(registry: DockerRegistry, digest: string): string {
  const hex = hexOf(digest);
  return join(rootOf(registry), "blobs/sha256", hex.slice(0, 2), hex, "data");
}

/** Stores an image, or an index with its images, under its digest, and under `tag` if one is given. */
export function storeRegistryImage(
  registry: DockerRegistry,
  repository: string,
  image: TestImage | TestIndex,
  tag?: string,
): void {
  for (const one of image.kind === "index" ? image.images : [image]) {
    for (const blob of [one.config, ...one.layers]) storeRegistryBlob(registry, repository, blob);
    storeRegistryManifest(registry, repository, one.digest, one.manifest);
  }
  storeRegistryManifest(registry, repository, image.digest, image.manifest, tag);
}

/** Stores a layer or configuration. */
export function storeRegistryBlob(
  registry: DockerRegistry,
  repository: string,
  { digest, bytes }: Pick<TestBlob, "digest" | "bytes">,
): void {
  put(registryBlobFile(registry, digest), bytes);
  link(join(rootOf(registry), "repositories", repository, "_layers/sha256", hexOf(digest), "link"), digest);
}

/** Stores a manifest. The registry does not ask whether the blobs that it names are there. */
export function storeRegistryManifest(
  registry: DockerRegistry,
  repository: string,
  digest: string,
  manifest: Uint8Array,
  tag?: string,
): void {
  put(registryBlobFile(registry, digest), manifest);
  const manifests = join(rootOf(registry), "repositories", repository, "_manifests");
  link(join(manifests, "revisions/sha256", hexOf(digest), "link"), digest);
  if (tag === undefined) return;
  link(join(manifests, "tags", tag, "current/link"), digest);
  link(join(manifests, "tags", tag, "index/sha256", hexOf(digest), "link"), digest);
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}

function link(path: string, digest: string): void {
  put(path, Buffer.from(digest));
}

function put(path: string, bytes: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}
