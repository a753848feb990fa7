import { parseManifest } from "@signet/core";
import type { IndexEntry } from "./oci-index.ts";
import type { RawManifest } from "./transport.ts";

const layoutTypes: readonly string[] = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
];

/** Whether a media type is one of the manifests that a layout holds. */
export function isLayoutManifest(mediaType: string): boolean {
  return layoutTypes.includes(mediaType);
}

/** Why an OCI layout cannot keep manifests of a type; undefined when it can. Docker's types belong there only after a conversion, which changes the digest. */
export function manifestUnsupportedInLayout(mediaType: string): string | undefined {
  return isLayoutManifest(mediaType) ? undefined : `an OCI image layout holds OCI manifests, this one is ${mediaType}`;
}

/**
 * What `index.json` says of a manifest. The type is taken from the manifest itself.
 * @throws FormatError as core's `parseManifest`
 */
export function makeIndexEntry(manifest: RawManifest, refName: string | undefined): IndexEntry {
  return {
    mediaType: parseManifest(manifest.bytes, manifest.declaredMediaType).mediaType,
    digest: manifest.namedDigest ?? manifest.digest,
    size: manifest.bytes.length,
    refName,
  };
}
