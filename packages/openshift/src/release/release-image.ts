/** A release image, taken apart as far as its own description. */
import type { Digest, Platform } from "@signet/core";
import { type ImageSource, readImageManifest } from "@signet/images";
import { readImageConfig } from "../layers/image-config.ts";
import { readReleaseManifests } from "./release-manifests.ts";
import { type UntrustedRelease, parseReleasePayload } from "./release-payload.ts";

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
  const { imageReferences, metadata, manifestCount } = await readReleaseManifests(source, manifest);
  return {
    digest: top.digest,
    instanceDigest: instance.digest,
    isList: top !== instance,
    platform: ownPlatform,
    manifestCount,
    release: parseReleasePayload(imageReferences, metadata),
  };
}
