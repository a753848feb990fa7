/** Conversion between manifest formats within a copy: whether it has to be, whether it may be, and what comes out. */
import {
  type ConvertedInstance,
  type Digest,
  FormatError,
  type ManifestFormat,
  computeManifestDigest,
  convertImageManifest,
  convertManifestList,
  formatOfManifest,
  parseManifest,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { ImageDestination, RawManifest } from "../transports/transport.ts";
import { type CopyItem, nameOf } from "./copy-items.ts";
import type { CopyOptions } from "./copy-options.ts";
import { type ListContent, readContent } from "./manifest-content.ts";
import { unsuitable } from "./unsuitable.ts";

/** The manifests of a copy as the destination gets them. */
export interface Conversion {
  readonly items: readonly CopyItem[];
  /** Undefined when nothing was converted. */
  readonly format: ManifestFormat | undefined;
  /** Items whose bytes changed, by their digests in the source. */
  readonly changed: ReadonlySet<Digest>;
}

/** A manifest of each kind, by which a destination is asked what it takes. */
const sampleTypes: Readonly<Record<ManifestFormat, string>> = {
  docker: "application/vnd.docker.distribution.manifest.v2+json",
  oci: "application/vnd.oci.image.manifest.v1+json",
};

/**
 * Converts what has to be: to `options.format`, or where the destination does not take a manifest as it is, to the format that it takes.
 *
 * Not checked: signatures; the caller refuses to lose those of what changed.
 * @throws StoreError `destination-unsuitable`; FormatError `conversion-refused`
 */
export function convertItems(
  items: readonly CopyItem[],
  destination: ImageDestination,
  options: CopyOptions,
): Conversion {
  const format = options.format ?? formatOfDestination(items, destination);
  if (format === undefined) return { items, format, changed: new Set() };
  const instances = new Map<Digest, ConvertedInstance>();
  const changed = new Set<Digest>();
  const converted = items.map((item): CopyItem => {
    const { manifest, instance } = item;
    const bytes = convert(item, format, instances);
    if (bytes === manifest.bytes) {
      const { mediaType } = item.content;
      if (instance !== undefined) instances.set(instance, { mediaType, digest: instance, size: bytes.length });
      return item;
    }
    changed.add(manifest.digest);
    const digest = computeManifestDigest(bytes, nodeEngine);
    const { mediaType } = parseManifest(bytes);
    if (instance !== undefined) instances.set(instance, { mediaType, digest, size: bytes.length });
    const raw: RawManifest = { bytes, digest, declaredMediaType: mediaType };
    return { ...item, manifest: raw, content: readContent(raw) };
  });
  if (changed.size === 0) return { items, format: undefined, changed };
  if (options.preserveDigests === true) {
    throw new FormatError(
      "conversion-refused",
      `${items.at(-1)!.manifest.digest} would have to be converted to ${formatNames[format]}, and its digest is to be preserved`,
      { hint: "leave out --preserve-digests, or copy to dir: or docker://, which keep every type of manifest" },
    );
  }
  checkDestination(converted, destination);
  return { items: converted, format, changed };
}

/** For messages. */
export const formatNames: Readonly<Record<ManifestFormat, string>> = { docker: "docker schema 2", oci: "OCI" };

/** What a destination that does not take everything takes; undefined when it takes the items as they are. */
function formatOfDestination(items: readonly CopyItem[], destination: ImageDestination): ManifestFormat | undefined {
  const refusal = refusedBy(items, destination);
  if (refusal === undefined) return undefined;
  const taken = (["oci", "docker"] as const).find(
    (format) => destination.manifestUnsupported?.(sampleTypes[format]) === undefined,
  );
  if (taken === undefined || items.some(({ content }) => formatOfManifest(content.mediaType) === undefined))
    throw refusal;
  return taken;
}

function checkDestination(items: readonly CopyItem[], destination: ImageDestination): void {
  const refusal = refusedBy(items, destination);
  if (refusal !== undefined) throw refusal;
}

function refusedBy(items: readonly CopyItem[], destination: ImageDestination): Error | undefined {
  for (const { manifest, content } of items) {
    const reason = destination.manifestUnsupported?.(content.mediaType);
    if (reason === undefined) continue;
    return unsuitable(
      `cannot copy ${manifest.digest} to ${destination.name.text}: ${reason}`,
      "copy to dir: or docker://, which keep every type of manifest",
    );
  }
  return undefined;
}

function convert(
  { manifest, content, isTop }: CopyItem,
  format: ManifestFormat,
  instances: ReadonlyMap<Digest, ConvertedInstance>,
): Uint8Array {
  const parsed = parseManifest(manifest.bytes, manifest.declaredMediaType);
  if (parsed.kind === "image") return convertImageManifest(parsed, format);
  if (parsed.kind === "list") {
    if (isTop && instances.size === 0 && content.kind === "list") return convertListAlone(content, format, manifest);
    return convertManifestList(parsed, format, instances);
  }
  throw new FormatError(
    "conversion-refused",
    `${manifest.digest} is a docker schema 1 manifest, which is not converted to ${formatNames[format]}`,
    {
      hint: "its config would have to be made up from its history; `skopeo copy --format` does that, and the result is signed anew",
    },
  );
}

/** Only a list without instances, or one that needs no conversion, can be taken without them. */
function convertListAlone(content: ListContent, format: ManifestFormat, manifest: RawManifest): Uint8Array {
  const { list } = content;
  if (list.instances.length === 0) return convertManifestList(list, format, new Map());
  const isOfFormat = (mediaType: string): boolean => formatOfManifest(mediaType) === format;
  if (isOfFormat(list.mediaType) && list.instances.every(({ mediaType }) => isOfFormat(mediaType)))
    return manifest.bytes;
  throw new FormatError(
    "conversion-refused",
    `${nameOf(manifest)} is a list, whose instances get new digests by a conversion to ${formatNames[format]}, and only the list is to be copied`,
    { hint: "copy it whole: --all" },
  );
}
