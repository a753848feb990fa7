/** Images for the transport contract: unlike `buildTestImage`'s they need not be runnable, and may hold what real tools rarely write. */
import { createHash } from "node:crypto";
import { type Digest, type DigestAlgorithm, parseDigest } from "@signet/core";
import type { BlobDescriptor, ImageDestination, RawManifest } from "@signet/images";

/** One blob with its bytes. */
export interface ContractBlob {
  readonly descriptor: BlobDescriptor & { readonly size: number };
  readonly bytes: Uint8Array;
}

/** An image as manifests and blobs, ready to be put into a destination. */
export interface ContractImage {
  /** Instances of a list, as it names them; empty for a single image. */
  readonly instances: readonly RawManifest[];
  readonly top: RawManifest;
  readonly blobs: readonly ContractBlob[];
}

/** `algorithm:hex` over `bytes`. */
export function contractDigest(bytes: Uint8Array, algorithm: DigestAlgorithm = "sha256"): Digest {
  return parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`);
}

export function contractBlob(
  bytes: Uint8Array,
  mediaType: string,
  algorithm: DigestAlgorithm = "sha256",
): ContractBlob {
  return { descriptor: { digest: contractDigest(bytes, algorithm), size: bytes.length, mediaType }, bytes };
}

export interface ContractImageOptions {
  /** Docker schema 2 or OCI (default). */
  readonly format?: "docker" | "oci";
  /** Default: two small layers that depend on `seed`. */
  readonly layers?: readonly ContractBlob[];
  readonly config?: ContractBlob;
  /** Part of every byte sequence. Default `seed`. */
  readonly seed?: string;
  /** Of manifests, where a list or index names them. Default sha256. */
  readonly algorithm?: DigestAlgorithm;
}

const types = {
  docker: {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    list: "application/vnd.docker.distribution.manifest.list.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  },
  oci: {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    list: "application/vnd.oci.image.index.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar+gzip",
  },
} as const;

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A single image. Its JSON is written with odd spacing, so that a copy that re-writes it is noticed. */
export function contractImage(options: ContractImageOptions = {}): ContractImage {
  const { format = "oci", seed = "seed", algorithm = "sha256" } = options;
  const config =
    options.config ??
    contractBlob(encode(`{"architecture":"amd64","os":"linux","seed":"${seed}"}`), types[format].config);
  const layers = options.layers ?? [
    contractBlob(encode(`first layer of ${seed}`), types[format].layer),
    contractBlob(encode(`second layer of ${seed}`.repeat(1000)), types[format].layer),
  ];
  const text = JSON.stringify(
    {
      schemaVersion: 2,
      mediaType: types[format].manifest,
      config: config.descriptor,
      layers: layers.map(({ descriptor }) => descriptor),
    },
    undefined,
    3,
  );
  return {
    instances: [],
    top: rawManifest(encode(`${text}\n \n`), types[format].manifest, algorithm),
    blobs: [config, ...layers],
  };
}

/**
 * A single image of the one form that a docker archive gives back octet for octet: docker's schema 2, written as Go writes it, with plain layers that the config names.
 * Layers of `options` must be plain.
 */
export function archivedContractImage(options: Pick<ContractImageOptions, "layers" | "seed"> = {}): ContractImage {
  const { seed = "seed" } = options;
  const layers =
    options.layers ??
    [`first layer of ${seed}`, `second layer of ${seed}`.repeat(1000)].map((text) =>
      contractBlob(encode(text), types.docker.layer),
    );
  const diffIds = layers.map(({ descriptor }) => descriptor.digest);
  const config = contractBlob(
    encode(JSON.stringify({ os: "linux", seed, rootfs: { type: "layers", diff_ids: diffIds } })),
    types.docker.config,
  );
  const describe = ({ descriptor: { digest, size } }: ContractBlob, mediaType: string): object => ({
    mediaType,
    size,
    digest,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: types.docker.manifest,
    config: describe(config, types.docker.config),
    layers: layers.map((layer) => describe(layer, types.docker.layer)),
  };
  const top = rawManifest(encode(JSON.stringify(manifest)), types.docker.manifest, "sha256");
  return { instances: [], top, blobs: [config, ...layers] };
}

/** A list of two images for different platforms. */
export function contractList(options: ContractImageOptions = {}): ContractImage {
  const { format = "oci", seed = "seed", algorithm = "sha256" } = options;
  const images = ["amd64", "arm64"].map((architecture) => ({
    architecture,
    image: contractImage({ ...options, seed: `${seed} ${architecture}` }),
  }));
  const manifests = images.map(({ architecture, image }) => ({
    mediaType: types[format].manifest,
    digest: image.top.namedDigest ?? image.top.digest,
    size: image.top.bytes.length,
    platform: { architecture, os: "linux" },
  }));
  const text = JSON.stringify({ schemaVersion: 2, mediaType: types[format].list, manifests }, undefined, 5);
  return {
    instances: images.map(({ image }) => image.top),
    top: rawManifest(encode(text), types[format].list, algorithm),
    blobs: images.flatMap(({ image }) => image.blobs),
  };
}

function rawManifest(bytes: Uint8Array, mediaType: string, algorithm: DigestAlgorithm): RawManifest {
  return {
    bytes,
    digest: contractDigest(bytes),
    declaredMediaType: mediaType,
    ...(algorithm === "sha256" ? {} : { namedDigest: contractDigest(bytes, algorithm) }),
  };
}

/** Puts a whole image into a destination and commits it; the caller closes the destination. */
export async function storeContractImage(destination: ImageDestination, image: ContractImage): Promise<void> {
  for (const { descriptor, bytes } of image.blobs) await destination.putBlob(descriptor, oneChunk(bytes));
  for (const manifest of image.instances) await destination.putManifest(manifest, { instance: true });
  await destination.putManifest(image.top);
  await destination.commit();
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
