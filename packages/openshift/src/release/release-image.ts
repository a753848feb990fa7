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
  /** When the image was made, in UTC and whole seconds; as its description has it where the image does not say. */
  readonly created: string;
  /** JSON and YAML files below `release-manifests`, without the two that describe the release. */
  readonly manifestCount: number;
  /** Other files there. */
  readonly otherCount: number;
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
  const { platform: ownPlatform, created } = await readImageConfig(source, manifest);
  const { imageReferences, metadata, manifestCount, otherCount } = await readReleaseManifests(source, manifest);
  const release = parseReleasePayload(imageReferences, metadata);
  return {
    digest: top.digest,
    instanceDigest: instance.digest,
    isList: top !== instance,
    platform: ownPlatform,
    created: inSeconds(created) ?? inSeconds(release.created) ?? release.created,
    manifestCount,
    otherCount,
    release,
  };
}

/** Undefined for what is no time, and for the zero time that Go writes where it knows none. */
function inSeconds(time: string): string | undefined {
  const parsed = Date.parse(time);
  return Number.isNaN(parsed) || time.startsWith("0001-")
    ? undefined
    : `${new Date(parsed).toISOString().slice(0, 19)}Z`;
}
