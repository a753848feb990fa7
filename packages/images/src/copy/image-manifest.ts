import { type Platform, StoreError, type UntrustedImageManifest, parseManifest } from "@signet/core";
import type { ImageSource, RawManifest } from "../transports/transport.ts";
import { instanceFor, readContent, readInstanceContent } from "./manifest-content.ts";

/** The manifest of one image, out of its list where it stands in one. */
export interface ImageManifest {
  /** What the name leads to. */
  readonly top: RawManifest;
  /** The image's own; the same object as `top` where that is no list. */
  readonly instance: RawManifest;
  readonly manifest: UntrustedImageManifest;
}

/**
 * Reads the manifest of an image; of a list that of the platform's instance, which must be what the list says.
 * @throws StoreError `image-missing` for a list without such an instance; FormatError `image-malformed` for contradictions, and what reading throws
 */
export async function readImageManifest(source: ImageSource, platform: Platform): Promise<ImageManifest> {
  const top = await source.manifest();
  const content = readContent(top);
  let instance = top;
  if (content.kind === "list") {
    const chosen = instanceFor(content.list, platform);
    instance = await source.manifest(chosen.digest);
    readInstanceContent(instance, chosen);
  }
  const manifest = parseManifest(instance.bytes, instance.declaredMediaType);
  if (manifest.kind === "image") return { top, instance, manifest };
  throw new StoreError(
    "image-missing",
    `${source.name.text}: a ${manifest.mediaType} manifest has no configuration of its own`,
    {
      side: "source",
      hint: "the image is older than anything that could be read from it here",
    },
  );
}
