/** A release image, taken apart as far as its own description. */
import { type Digest, FormatError, type Platform, type UntrustedImageManifest } from "@signet/core";
import { type ImageSource, type TarFile, readImageManifest, readTarFiles } from "@signet/images";
import { readImageConfig } from "../layers/image-config.ts";
import { readLayerContent } from "../layers/layer-content.ts";
import { type UntrustedRelease, parseReleasePayload } from "./release-payload.ts";

/** Bytes of one file of `release-manifests`: image-references has some 200 KB. */
const MAX_PAYLOAD_FILE_BYTES = 16 * 1024 * 1024;

/** Layers that are looked through for the description, from the top. It stands in the top one. */
const MAX_LAYERS_SEARCHED = 64;

const IMAGE_REFERENCES = "release-manifests/image-references";
const RELEASE_METADATA = "release-manifests/release-metadata";

/** A release image that was read. Every byte of it was hashed against the digest of its manifest. */
export interface ReleaseImage {
  /** Of the image's own manifest; for a list, the list's. */
  readonly digest: Digest;
  /** Of the manifest that was read: the same, or an instance's. */
  readonly instanceDigest: Digest;
  readonly isList: boolean;
  readonly platform: Platform;
  /** Files below `release-manifests` that are neither of the two that describe the release. */
  readonly manifestCount: number;
  readonly release: UntrustedRelease;
}

/**
 * Reads what a release image says of itself.
 *
 * Not checked: any signature.
 * @param platform which instance of a list
 * @throws StoreError `image-missing`, `digest-mismatch` and what reading throws; FormatError `release-malformed` for an image that is no release,
 *   `image-malformed`, `input-too-large`
 */
export async function readReleaseImage(source: ImageSource, platform: Platform): Promise<ReleaseImage> {
  const { top, instance, manifest } = await readImageManifest(source, platform);
  const { platform: ownPlatform } = await readImageConfig(source, manifest);
  const files = await findPayload(source, manifest);
  const imageReferences = files.find(({ name }) => name === IMAGE_REFERENCES);
  if (imageReferences === undefined) {
    throw new FormatError(
      "release-malformed",
      `${source.name.text} is no release image: it has no ${IMAGE_REFERENCES}`,
      {
        hint: "name the release image, such as quay.io/openshift-release-dev/ocp-release@sha256:…",
      },
    );
  }
  const metadata = files.find(({ name }) => name === RELEASE_METADATA)?.bytes;
  return {
    digest: top.digest,
    instanceDigest: instance.digest,
    isList: top !== instance,
    platform: ownPlatform,
    manifestCount: files.length - 1 - (metadata === undefined ? 0 : 1),
    release: parseReleasePayload(imageReferences.bytes, metadata),
  };
}

/** The files of `release-manifests`, from the uppermost layer that has the description. */
async function findPayload(source: ImageSource, manifest: UntrustedImageManifest): Promise<readonly TarFile[]> {
  const layers = manifest.layers.toReversed().slice(0, MAX_LAYERS_SEARCHED);
  for (const layer of layers) {
    let hidden = false;
    const files = await readTarFiles(readLayerContent(source.blob(layer), layer), {
      location: `${source.name.text}, layer ${layer.digest}`,
      wanted: (name) => {
        if (name === "release-manifests/.wh.image-references" || name === ".wh.release-manifests") hidden = true;
        return name.startsWith("release-manifests/") ? MAX_PAYLOAD_FILE_BYTES : undefined;
      },
    });
    if (files.some(({ name }) => name === IMAGE_REFERENCES)) return files;
    // A layer that deletes the description must not make an older one below it count.
    if (hidden) return [];
  }
  return [];
}
