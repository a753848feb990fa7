/** What a manifest makes a copy do: which blobs to move, or which instances to look at. */
import {
  type Digest,
  FormatError,
  type Platform,
  StoreError,
  type UntrustedDescriptor,
  type UntrustedInstance,
  type UntrustedManifestList,
  chooseInstance,
  formatPlatform,
  parseManifest,
} from "@signet/core";
import type { BlobDescriptor, RawManifest } from "../transports/transport.ts";
import { hostPlatform } from "./host-platform.ts";

export interface ImageContent {
  readonly kind: "image";
  readonly mediaType: string;
  /** Config and layers that belong to the image; a digest may occur more than once. */
  readonly blobs: readonly BlobDescriptor[];
  /** Layers that registries do not distribute. */
  readonly foreignLayers: readonly BlobDescriptor[];
}

export interface ListContent {
  readonly kind: "list";
  readonly mediaType: string;
  readonly list: UntrustedManifestList;
}

/**
 * Reads a manifest by what its source declares it to be.
 * @throws FormatError as core's `parseManifest`
 */
export function readContent(manifest: RawManifest): ImageContent | ListContent {
  const parsed = parseManifest(manifest.bytes, manifest.declaredMediaType);
  const { kind, mediaType } = parsed;
  if (kind === "list") return { kind, mediaType, list: parsed };
  if (kind === "schema1") {
    return { kind: "image", mediaType, blobs: parsed.layers.map((digest) => ({ digest })), foreignLayers: [] };
  }
  const [foreign, own] = partition(parsed.layers, isForeign);
  return { kind, mediaType, blobs: [parsed.config, ...own].map(blobOf), foreignLayers: foreign.map(blobOf) };
}

/**
 * Reads an instance, which must be what its list says it is.
 * @throws FormatError as {@link readContent}, `image-malformed` when list and instance contradict each other
 */
export function readInstanceContent(manifest: RawManifest, instance: UntrustedInstance): ImageContent {
  const content = readContent(manifest);
  if (content.kind === "list") {
    // Policy would have to be asked about images that no client can choose; the reference implementation refuses it as well.
    throw new FormatError("image-malformed", `${instance.digest}: a list inside a list is not supported`, {
      hint: "copy the inner list by its digest",
    });
  }
  if (content.mediaType !== instance.mediaType || manifest.bytes.length !== instance.size) {
    throw new FormatError(
      "image-malformed",
      `${instance.digest}: the list says ${JSON.stringify(instance.mediaType.slice(0, 200))} of ${instance.size} bytes, it is ${content.mediaType} of ${manifest.bytes.length}`,
    );
  }
  return content;
}

/**
 * The instance of a list for a platform.
 * @param platform default: that of this process
 * @throws StoreError `image-missing` when there is none
 */
export function instanceFor(list: UntrustedManifestList, platform: Platform = hostPlatform()): UntrustedInstance {
  const instance = chooseInstance(list, platform);
  if (instance !== undefined) return instance;
  const offered = list.instances.flatMap((one) => (one.platform === undefined ? [] : [formatPlatform(one.platform)]));
  throw new StoreError("image-missing", `the list has no image for ${formatPlatform(platform)}`, {
    side: "source",
    hint: `it has ${[...new Set(offered)].slice(0, 10).join(", ") || "none with a platform"}; choose with --override-os, --override-arch and --override-variant`,
  });
}

/** Every instance of a list once, by digest. */
export function distinctInstances(list: UntrustedManifestList): readonly UntrustedInstance[] {
  const byDigest = new Map<Digest, UntrustedInstance>();
  for (const instance of list.instances) if (!byDigest.has(instance.digest)) byDigest.set(instance.digest, instance);
  return [...byDigest.values()];
}

function isForeign({ mediaType, urls }: UntrustedDescriptor): boolean {
  return (
    urls.length > 0 &&
    (mediaType.startsWith("application/vnd.docker.image.rootfs.foreign.") ||
      mediaType.startsWith("application/vnd.oci.image.layer.nondistributable."))
  );
}

function blobOf({ digest, size, mediaType }: UntrustedDescriptor): BlobDescriptor {
  return { digest, size, mediaType };
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): readonly [T[], T[]] {
  const yes: T[] = [];
  const no: T[] = [];
  for (const item of items) (test(item) ? yes : no).push(item);
  return [yes, no];
}
