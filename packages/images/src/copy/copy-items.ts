/** The manifests of one copy, and the blobs that they bring along. */
import { type Digest, FormatError } from "@signet/core";
import type { BlobDescriptor, ImageSource, RawManifest } from "../transports/transport.ts";
import type { CopyOptions } from "./copy-options.ts";
import {
  type ImageContent,
  type ListContent,
  distinctInstances,
  instanceFor,
  readContent,
  readInstanceContent,
} from "./manifest-content.ts";

/** One manifest to be copied. */
export interface CopyItem {
  /** As it will be written. */
  readonly manifest: RawManifest;
  /** The digest by which the source's list names it; undefined for the source's top manifest. */
  readonly instance: Digest | undefined;
  /** It becomes the destination's top manifest: all but the instances of a list that is copied whole. */
  readonly isTop: boolean;
  readonly content: ImageContent | ListContent;
}

/**
 * Fetches the manifests to be copied, once each: instances first, the top one last.
 * @throws StoreError `image-missing` and those of the source; FormatError for malformed manifests
 */
export async function selectItems(source: ImageSource, options: CopyOptions): Promise<readonly CopyItem[]> {
  const top = await source.manifest();
  const content = readContent(top);
  const selection = options.selection ?? "system";
  if (content.kind === "image" || selection === "index-only") {
    return [{ manifest: top, instance: undefined, content, isTop: true }];
  }
  if (selection === "system") {
    const instance = instanceFor(content.list, options.platform);
    const manifest = await source.manifest(instance.digest);
    return [{ manifest, instance: instance.digest, content: readInstanceContent(manifest, instance), isTop: true }];
  }
  const items: CopyItem[] = [];
  for (const instance of distinctInstances(content.list)) {
    options.signal?.throwIfAborted();
    const manifest = await source.manifest(instance.digest);
    items.push({ manifest, instance: instance.digest, content: readInstanceContent(manifest, instance), isTop: false });
  }
  return [...items, { manifest: top, instance: undefined, content, isTop: true }];
}

/**
 * Every blob once. The same digest with two sizes cannot be true.
 * @throws FormatError `image-malformed`
 */
export function collectBlobs(items: readonly CopyItem[]): {
  readonly own: readonly BlobDescriptor[];
  readonly foreign: readonly Digest[];
} {
  const own = new Map<Digest, BlobDescriptor>();
  const foreign = new Set<Digest>();
  for (const { manifest, content } of items) {
    if (content.kind === "list") continue;
    for (const blob of content.foreignLayers) foreign.add(blob.digest);
    for (const blob of content.blobs) {
      const known = own.get(blob.digest);
      if (known?.size !== undefined && blob.size !== undefined && known.size !== blob.size) {
        throw new FormatError(
          "image-malformed",
          `${manifest.digest}: blob ${blob.digest} is given with ${known.size} and with ${blob.size} bytes`,
        );
      }
      if (known?.size === undefined) own.set(blob.digest, blob);
    }
  }
  return { own: [...own.values()], foreign: [...foreign] };
}

/** The digest under which stores keep what belongs to a manifest. */
export function nameOf(manifest: RawManifest): Digest {
  return manifest.namedDigest ?? manifest.digest;
}
