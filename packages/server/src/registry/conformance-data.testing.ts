/** What the conformance cases push and pull: blobs, images, indexes and artifacts, sorted into named sets. The same on every run. */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { type SeededRandom, writeTestTar, writeTestTarEntry } from "@signet/testkit";

export type DigestAlgorithm = "sha256" | "sha512";

export const mediaTypes = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  empty: "application/vnd.oci.empty.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
  gzipLayer: "application/vnd.oci.image.layer.v1.tar+gzip",
  foreignLayer: "application/vnd.oci.image.layer.nondistributable.v1.tar",
  gzipForeignLayer: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
  bytes: "application/octet-stream",
  artifact: "application/vnd.example.signet.conformance.v1",
  otherArtifact: "application/vnd.example.signet.conformance.v2",
} as const;

/** Bytes and the digest that they are pushed under. */
export interface Content {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest extends Content {
  readonly mediaType: string;
  /** Digest of what it refers to, and how the list of referrers is to describe it. */
  readonly referrer?: { readonly subject: string; readonly descriptor: Descriptor };
}

/** What a manifest is to be like; without any of it, an image of two layers. */
export interface ManifestOptions {
  readonly tag?: string;
  /** Default 2. */
  readonly layers?: number;
  /** Default true. */
  readonly isCompressed?: boolean;
  readonly artifact?: { readonly type: string; readonly layerType: string; readonly content?: Uint8Array };
  readonly annotations?: Readonly<Record<string, string>>;
  readonly subject?: Descriptor;
  /** Descriptors hold their content, too. */
  readonly withData?: boolean;
  /** A member of a name that no specification knows. */
  readonly withCustomField?: boolean;
}

const platforms = ["amd64", "arm64"] as const;
export const EMPTY_JSON: Uint8Array = Buffer.from("{}");

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

export function contentOf(bytes: Uint8Array, algorithm: DigestAlgorithm = "sha256"): Content {
  return { digest: digestOf(bytes, algorithm), bytes };
}

/** How others refer to a manifest. */
export function describeManifest({ mediaType, digest, bytes }: Manifest): Descriptor {
  return { mediaType, digest, size: bytes.length };
}

/** One set: what is pushed together, and removed together. */
export class DataSet {
  readonly name: string;
  /** In the order of their making, each once. */
  readonly blobs: Map<string, Content> = new Map();
  /** In the order in which they can be pushed. */
  readonly manifests: Manifest[] = [];
  readonly tags: Map<string, Manifest> = new Map();
  readonly #random: SeededRandom;
  readonly #algorithm: DigestAlgorithm;

  constructor(name: string, random: SeededRandom, algorithm: DigestAlgorithm = "sha256") {
    this.name = name;
    this.#random = random;
    this.#algorithm = algorithm;
  }

  addImage(options: ManifestOptions = {}, architecture: string = platforms[0]): Manifest {
    const { artifact, layers = artifact === undefined ? 2 : 1 } = options;
    const made = Array.from({ length: layers }, (_, number) =>
      artifact === undefined ? this.#addLayer(number, options) : this.#addArtifactLayer(artifact, options),
    );
    const config =
      artifact === undefined
        ? this.#addConfig(made, architecture, options)
        : this.addBlob(EMPTY_JSON, mediaTypes.empty, options);
    const descriptors = made.map(({ descriptor }) => descriptor);
    return this.addManifest({ config, layers: descriptors }, mediaTypes.manifest, options, config.mediaType);
  }

  /** An image for each of two platforms, and the index of them; `options` hold for all three, the tag for the index. */
  addIndex(options: ManifestOptions = {}): Manifest {
    const { tag: _tag, ...shared } = options;
    const members = platforms.map((architecture) => ({
      ...describeManifest(this.addImage(shared, architecture)),
      platform: { architecture, os: "linux" },
    }));
    return this.addManifest({ manifests: members }, mediaTypes.index, options);
  }

  addManifest(members: object, mediaType: string, options: ManifestOptions, configType?: string): Manifest {
    const { tag, artifact, annotations, subject, withCustomField = false } = options;
    const text = JSON.stringify({
      schemaVersion: 2,
      mediaType,
      ...(artifact && { artifactType: artifact.type }),
      ...members,
      ...(subject && { subject }),
      ...(annotations && { annotations }),
      ...(withCustomField && this.#makeCustomField()),
    });
    const content = contentOf(Buffer.from(text), this.#algorithm);
    const artifactType = artifact?.type ?? configType;
    const manifest: Manifest = {
      ...content,
      mediaType,
      ...(subject && {
        referrer: {
          subject: subject.digest,
          descriptor: {
            mediaType,
            digest: content.digest,
            size: content.bytes.length,
            ...(artifactType !== undefined && { artifactType }),
            ...(annotations && { annotations }),
          },
        },
      }),
    };
    this.manifests.push(manifest);
    if (tag !== undefined) this.tags.set(tag, manifest);
    return manifest;
  }

  addBlob(bytes: Uint8Array, mediaType: string, { withData = false }: ManifestOptions = {}): Descriptor {
    const content = contentOf(bytes, this.#algorithm);
    this.blobs.set(content.digest, content);
    const data = withData ? { data: Buffer.from(bytes).toString("base64") } : {};
    return { mediaType, digest: content.digest, size: bytes.length, ...data };
  }

  #addLayer(number: number, options: ManifestOptions): { readonly descriptor: Descriptor; readonly diffId: string } {
    const text = `file ${number}: ${this.#random.integer(2 ** 31)}\n`;
    const archive = writeTestTar(writeTestTarEntry(`layer-${number}.txt`, text));
    const isCompressed = options.isCompressed ?? true;
    const descriptor = isCompressed
      ? this.addBlob(gzipSync(archive), mediaTypes.gzipLayer, options)
      : this.addBlob(archive, mediaTypes.layer, options);
    return { descriptor, diffId: digestOf(archive, this.#algorithm) };
  }

  #addArtifactLayer(
    { layerType, content }: NonNullable<ManifestOptions["artifact"]>,
    options: ManifestOptions,
  ): { readonly descriptor: Descriptor; readonly diffId: string } {
    const descriptor = this.addBlob(content ?? this.#random.bytes(2048), layerType, options);
    return { descriptor, diffId: descriptor.digest };
  }

  #addConfig(
    layers: readonly { readonly diffId: string }[],
    architecture: string,
    options: ManifestOptions,
  ): Descriptor {
    const config = {
      architecture,
      os: "linux",
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      ...(options.withCustomField === true && this.#makeCustomField()),
    };
    return this.addBlob(Buffer.from(JSON.stringify(config)), mediaTypes.config, options);
  }

  #makeCustomField(): object {
    return { [`org.example.n${this.#random.integer(2 ** 31)}`]: String(this.#random.integer(2 ** 31)) };
  }
}

/** The sets of well-formed content, by the names of the official suite. */
export function makeDataSets(random: SeededRandom): readonly DataSet[] {
  return Object.entries(fillers).map(([name, { fill, algorithm }]) => {
    const set = new DataSet(name, random, algorithm);
    fill(set, random);
    return set;
  });
}

interface Filler {
  readonly fill: (set: DataSet, random: SeededRandom) => void;
  readonly algorithm?: DigestAlgorithm;
}

const artifact = { type: mediaTypes.artifact, layerType: mediaTypes.artifact } as const;
const otherArtifact = { type: mediaTypes.otherArtifact, layerType: mediaTypes.bytes } as const;

const fillers: Readonly<Record<string, Filler>> = {
  image: { fill: (set) => void set.addImage({ tag: "image" }) },
  "image-uncompressed": { fill: (set) => void set.addImage({ tag: "image-uncompressed", isCompressed: false }) },
  // Just under the four MiB that every registry has to take.
  "large-manifest": {
    fill: (set) => {
      const names = Array.from({ length: 390 }, (_, number) => [`large-${number}`, "A".repeat(10_000)]);
      set.addImage({ tag: "large-manifest", annotations: Object.fromEntries(names) as Record<string, string> });
    },
  },
  index: { fill: (set) => void set.addIndex({ tag: "index" }) },
  "nested-index": {
    fill: (set) => {
      const manifests = [set.addIndex(), set.addIndex()].map(describeManifest);
      set.addManifest({ manifests }, mediaTypes.index, { tag: "index-of-index" });
    },
  },
  "empty-index": {
    fill: (set) => void set.addManifest({ manifests: [] }, mediaTypes.index, { tag: "index" }),
  },
  artifact: { fill: (set) => void set.addImage({ tag: "artifact", artifact }) },
  "artifact-index": { fill: (set) => void set.addIndex({ tag: "artifact-index", artifact }) },
  "artifact-without-layers": {
    fill: (set) => {
      const type = { type: mediaTypes.artifact, layerType: mediaTypes.empty, content: EMPTY_JSON };
      set.addImage({ tag: "artifact-without-layers", artifact: type });
    },
  },
  "artifacts-with-subject": {
    fill: (set, random) => {
      const subject = describeManifest(set.addImage({ tag: "image" }));
      set.addImage({ subject });
      set.addImage({ tag: "tagged-artifact1", artifact, subject, annotations: annotate(random) });
      set.addImage({ tag: "tagged-artifact2", artifact: otherArtifact, subject, annotations: annotate(random) });
    },
  },
  "index-with-subject": {
    fill: (set, random) => {
      const subject = describeManifest(set.addIndex({ tag: "index" }));
      set.addIndex({ tag: "tagged-artifact", artifact, subject, annotations: annotate(random) });
    },
  },
  "missing-subject": {
    fill: (set, random) => {
      const subject = { mediaType: mediaTypes.manifest, digest: digestOf(random.bytes(64)), size: 123 };
      set.addImage({ tag: "tagged-artifact", artifact, subject, annotations: annotate(random) });
    },
  },
  "data-field": { fill: (set) => void set.addImage({ tag: "data-field", withData: true }) },
  "non-distributable-layers": { fill: addImageWithForeignLayers },
  "custom-fields": { fill: (set) => void set.addIndex({ tag: "custom-fields", withCustomField: true }) },
  "no-layers": { fill: (set) => void set.addImage({ tag: "no-layers", layers: 0 }) },
  // A push by tag cannot say which algorithm names the manifest.
  sha512: { fill: (set) => void set.addIndex(), algorithm: "sha512" },
  "tag-param-sha256": { fill: addTaggedIndex },
  "tag-param-sha512": { fill: addTaggedIndex, algorithm: "sha512" },
};

function annotate(random: SeededRandom): Readonly<Record<string, string>> {
  return { "org.example.conformance": "the same", [`org.example.n${random.integer(2 ** 31)}`]: "its own" };
}

/** Two layers that are somewhere else, and a usual one. */
function addImageWithForeignLayers(set: DataSet, random: SeededRandom): void {
  const foreign = [mediaTypes.gzipForeignLayer, mediaTypes.foreignLayer].map((mediaType) => {
    const digest = digestOf(random.bytes(256));
    return { mediaType, digest, size: 12_345, urls: [`https://store.example.com/${digest.replace(":", "/")}`] };
  });
  const layer = set.addBlob(gzipSync(writeTestTar(writeTestTarEntry("own.txt", "own"))), mediaTypes.gzipLayer);
  const config = set.addBlob(Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux" })), mediaTypes.config);
  set.addManifest({ config, layers: [...foreign, layer] }, mediaTypes.manifest, { tag: "non-distributable-image" });
}

/** Every manifest has a tag, the index two. */
function addTaggedIndex(set: DataSet): void {
  set.addIndex({ tag: set.name });
  for (const [number, manifest] of set.manifests.entries()) set.tags.set(`${set.name}-${number}`, manifest);
}
