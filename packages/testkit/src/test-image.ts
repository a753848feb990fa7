/** Small, whole images that every tool accepts: a config and gzipped tar layers, the same bytes for the same seed. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { digestOf } from "./registry/storage.ts";
import { makeSeededRandom } from "./seeded-random.ts";

export type TestImageFormat = "docker" | "oci";

const mediaTypes = {
  docker: {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  },
  oci: {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    index: "application/vnd.oci.image.index.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar+gzip",
  },
} as const;

export interface TestImageOptions {
  /** Default 1; content, and so every digest, depends on it. */
  readonly seed?: number;
  /** How many layers; default 1. */
  readonly layers?: number;
  /** Bytes of the one file in each layer, before compression; default 256. */
  readonly layerBytes?: number;
  /** Default amd64. */
  readonly architecture?: string;
  /** Default linux. */
  readonly os?: string;
  readonly variant?: string;
  /** Docker schema 2 (default) or OCI. */
  readonly format?: TestImageFormat;
  /** Further files of the top layer, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** The same for lower layers, by their position from 0, the lowest. */
  readonly lowerFiles?: Readonly<Record<number, Readonly<Record<string, string>>>>;
  /** Layers as they are, the lowest first, instead of those that are made: what no tool would write. */
  readonly rawLayers?: readonly { readonly bytes: Uint8Array; readonly mediaType?: string }[];
  /** Labels beyond its own. */
  readonly labels?: Readonly<Record<string, string>>;
  /** When it was made; empty: it does not say. Default 2026-01-01T00:00:00Z. */
  readonly created?: string;
}

export interface TestBlob {
  readonly digest: string;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

export interface TestImage {
  readonly kind: "image";
  readonly manifest: Uint8Array;
  readonly mediaType: string;
  readonly digest: string;
  readonly platform: { readonly architecture: string; readonly os: string; readonly variant?: string };
  readonly config: TestBlob;
  readonly layers: readonly TestBlob[];
}

export interface TestIndex {
  readonly kind: "index";
  readonly manifest: Uint8Array;
  readonly mediaType: string;
  readonly digest: string;
  readonly images: readonly TestImage[];
}

/** Whatever takes manifests and blobs as they are: a test registry, or another one through `httpPushTarget`. */
export interface PushTarget {
  putBlob(repository: string, bytes: Uint8Array): unknown;
  putManifest(repository: string, reference: string, bytes: Uint8Array, mediaType: string): unknown;
}

export async function buildTestImage(options: TestImageOptions = {}): Promise<TestImage> {
  const {
    seed = 1,
    layers: count = 1,
    layerBytes = 256,
    architecture = "amd64",
    os = "linux",
    format = "docker",
  } = options;
  const types = mediaTypes[format];
  const random = makeSeededRandom(seed);
  const diffIds: string[] = [];
  const layers: TestBlob[] = [];
  for (const { bytes, mediaType = types.layer } of options.rawLayers ?? []) {
    diffIds.push(digestOf(bytes));
    layers.push({ digest: digestOf(bytes), bytes, mediaType });
  }
  for (let index = 0; options.rawLayers === undefined && index < count; index += 1) {
    const further = Object.entries((index === count - 1 ? options.files : options.lowerFiles?.[index]) ?? {});
    const tar = await packFiles([[`layer-${index}.bin`, random.bytes(layerBytes)], ...further]);
    const bytes = gzipSync(tar, { level: 9 });
    diffIds.push(digestOf(tar));
    layers.push({ digest: digestOf(bytes), bytes, mediaType: types.layer });
  }
  const platform = { architecture, os, ...(options.variant !== undefined && { variant: options.variant }) };
  const { created = "2026-01-01T00:00:00Z" } = options;
  const configBytes = encodeJson({
    ...platform,
    ...(created === "" ? {} : { created }),
    config: { Labels: { "com.example.seed": String(seed), ...options.labels } },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: diffIds.map(() => ({ created, created_by: "signet testkit" })),
  });
  const config = { digest: digestOf(configBytes), bytes: configBytes, mediaType: types.config };
  const manifest = encodeJson({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: describe(config),
    layers: layers.map(describe),
  });
  return { kind: "image", manifest, mediaType: types.manifest, digest: digestOf(manifest), platform, config, layers };
}

/** A manifest list (docker) or index (OCI) of `images`, in that order. */
export function buildTestIndex(images: readonly TestImage[], format: TestImageFormat = "docker"): TestIndex {
  const types = mediaTypes[format];
  const manifests = images.map(({ mediaType, manifest, digest, platform }) => ({
    mediaType,
    size: manifest.length,
    digest,
    platform,
  }));
  const manifest = encodeJson({ schemaVersion: 2, mediaType: types.index, manifests });
  return { kind: "index", manifest, mediaType: types.index, digest: digestOf(manifest), images };
}

/**
 * Pushes an image, or an index with its images, to `REPOSITORY:TAG` (default tag latest) or `REPOSITORY@DIGEST`.
 * @returns the digest of the top manifest
 */
export async function pushTestImage(target: PushTarget, name: string, image: TestImage | TestIndex): Promise<string> {
  const [, repository = "", tag = "latest"] = /^(.+?)(?:@.*|:([\w.-]+))?$/.exec(name) ?? [];
  for (const one of image.kind === "index" ? image.images : [image]) {
    for (const blob of [one.config, ...one.layers]) await target.putBlob(repository, blob.bytes);
    await target.putManifest(repository, one.digest, one.manifest, one.mediaType);
  }
  const reference = name.includes("@") ? image.digest : tag;
  await target.putManifest(repository, reference, image.manifest, image.mediaType);
  return image.digest;
}

/** Pushes over the distribution API to any registry, such as Debian's docker-registry. */
export function httpPushTarget(
  url: string,
  credentials?: { readonly user: string; readonly password: string },
): PushTarget {
  const basic = credentials && Buffer.from(`${credentials.user}:${credentials.password}`).toString("base64");
  const authorization: Record<string, string> = basic === undefined ? {} : { authorization: `Basic ${basic}` };
  const put = async (address: string | URL, bytes: Uint8Array, mediaType: string): Promise<void> => {
    const headers = { ...authorization, "content-type": mediaType };
    const response = await fetch(address, { method: "PUT", headers, body: Buffer.from(bytes) });
    if (response.status !== 201) throw new Error(`PUT ${String(address)}: ${response.status} ${await response.text()}`);
  };
  return {
    async putBlob(repository, bytes) {
      const start = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: "POST", headers: authorization });
      if (start.status !== 202) throw new Error(`starting an upload: ${start.status} ${await start.text()}`);
      const location = new URL(start.headers.get("location") ?? "", url);
      location.searchParams.set("digest", digestOf(bytes));
      await put(location, bytes, "application/octet-stream");
    },
    putManifest: (repository, reference, bytes, mediaType) =>
      put(`${url}/v2/${repository}/manifests/${reference}`, bytes, mediaType),
  };
}

/** Writes an image, or an index with its images, as skopeo's `dir:` transport lays it out; `signatures` go to the top manifest. */
export function writeDirImage(
  path: string,
  image: TestImage | TestIndex,
  signatures: readonly Uint8Array[] = [],
): void {
  mkdirSync(path, { recursive: true });
  const hex = (digest: string): string => digest.slice("sha256:".length);
  writeFileSync(join(path, "version"), "Directory Transport Version: 1.1\n");
  writeFileSync(join(path, "manifest.json"), image.manifest);
  for (const one of image.kind === "index" ? image.images : [image]) {
    if (image.kind === "index") writeFileSync(join(path, `${hex(one.digest)}.manifest.json`), one.manifest);
    for (const blob of [one.config, ...one.layers]) writeFileSync(join(path, hex(blob.digest)), blob.bytes);
  }
  signatures.forEach((bytes, index) => writeFileSync(join(path, `signature-${index + 1}`), bytes));
}

async function packFiles(files: readonly (readonly [string, string | Uint8Array])[]): Promise<Uint8Array> {
  const tar = pack();
  for (const [name, content] of files)
    tar.entry({ name, mtime: new Date(0), mode: 0o644, uid: 0, gid: 0 }, Buffer.from(content));
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function describe(blob: TestBlob): { readonly mediaType: string; readonly size: number; readonly digest: string } {
  return { mediaType: blob.mediaType, size: blob.bytes.length, digest: blob.digest };
}

function encodeJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
