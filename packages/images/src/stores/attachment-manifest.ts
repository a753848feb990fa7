/**
 * The manifest under a cosign tag: an OCI image manifest in which each layer is one signature or attestation, with its proof in the layer's annotations
 * (registries.d, section 6). Bytes in, bytes out.
 */
import {
  type Digest,
  FormatError,
  MAX_MANIFEST_BYTES,
  OCI_MANIFEST_TYPE,
  type UntrustedDescriptor,
  type UntrustedImageManifest,
  claimedMediaType,
  parseJson,
  parseManifest,
  sha256Digest,
  strictObject,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { RawManifest } from "../transports/transport.ts";

/** Bytes: the largest config of such a manifest, as the reference reads it. */
export const MAX_ATTACHMENT_CONFIG_BYTES: number = 4 * 1024 * 1024;

const OCI_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";

/** A manifest with the config it names, to be stored together. */
export interface AttachmentManifest {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  /** Absent when the manifest names the config that it named before. */
  readonly config?: { readonly bytes: Uint8Array; readonly digest: Digest };
}

/**
 * Reads the manifest under a cosign tag.
 * @param what for messages
 * @throws FormatError `manifest-malformed`, `manifest-unsupported`, also for any other type than the OCI image manifest
 */
export function parseAttachmentManifest(manifest: RawManifest, what: string): UntrustedImageManifest {
  const type = claimedMediaType(manifest.declaredMediaType);
  const parsed = type === undefined || type === OCI_MANIFEST_TYPE ? parse(manifest) : undefined;
  if (parsed?.kind === "image" && parsed.mediaType === OCI_MANIFEST_TYPE) return parsed;
  throw new FormatError(
    "manifest-unsupported",
    `${what}: unexpected MIME type for sigstore attachment manifest ${JSON.stringify((type ?? parsed?.mediaType ?? "").slice(0, 200))}`,
    { hint: `such a tag names an OCI image manifest (${OCI_MANIFEST_TYPE}), or nothing` },
  );
}

function parse(manifest: RawManifest): ReturnType<typeof parseManifest> {
  return parseManifest(manifest.bytes, manifest.declaredMediaType);
}

/** Whether two layers are the same attachment: as the reference compares them. */
export function isSameLayer(a: UntrustedDescriptor, b: UntrustedDescriptor): boolean {
  return (
    a.mediaType === b.mediaType &&
    a.size === b.size &&
    a.digest === b.digest &&
    a.annotations.size === b.annotations.size &&
    [...a.annotations].every(([key, value]) => b.annotations.get(key) === value)
  );
}

/** The layers of `wanted` that are not among `present`, each once. */
export function missingLayers(
  present: readonly UntrustedDescriptor[],
  wanted: readonly UntrustedDescriptor[],
): readonly UntrustedDescriptor[] {
  const all = [...present];
  for (const layer of wanted) if (!all.some((one) => isSameLayer(one, layer))) all.push(layer);
  return all.slice(present.length);
}

/** A manifest that is there, as it came, with the bytes of its config. */
export interface PresentAttachments {
  readonly parsed: UntrustedImageManifest;
  /** Bytes of the config; needed only where its type is that of an image config. */
  readonly config: Uint8Array | undefined;
}

/** Whether {@link appendLayers} needs the config of a manifest. */
export function needsConfig({ config }: UntrustedImageManifest): boolean {
  return config.mediaType === OCI_CONFIG_TYPE;
}

/**
 * A manifest with further layers behind those that are there. Members that are not known stay as they are. Its config lists the layers as diff-ids, as the reference and
 * cosign write it; a config of another type is left alone.
 * @param present undefined for a new manifest
 * @throws FormatError `image-malformed` for a config that is none
 */
export function appendLayers(
  present: PresentAttachments | undefined,
  layers: readonly UntrustedDescriptor[],
): AttachmentManifest {
  const added = layers.map(plainLayer);
  return writeManifest(present, {
    layers: (before) => [...before, ...added],
    diffIds: (before) => [...before, ...added.map(({ digest }) => digest)],
  });
}

/**
 * A manifest with exactly these layers.
 * @throws as {@link appendLayers}
 */
export function replaceLayers(
  present: PresentAttachments | undefined,
  layers: readonly UntrustedDescriptor[],
): AttachmentManifest {
  return writeManifest(present, {
    layers: () => layers.map(plainLayer),
    diffIds: () => layers.map(({ digest }) => digest),
  });
}

interface PlainLayer {
  readonly mediaType: string;
  readonly size: number;
  readonly digest: Digest;
  readonly annotations?: Readonly<Record<string, string>>;
}

function plainLayer({ mediaType, size, digest, annotations }: UntrustedDescriptor): PlainLayer {
  return {
    mediaType,
    size,
    digest,
    ...(annotations.size === 0 ? {} : { annotations: Object.fromEntries(annotations) }),
  };
}

type ListChange = (before: readonly unknown[]) => readonly unknown[];

function writeManifest(
  present: PresentAttachments | undefined,
  change: { readonly layers: ListChange; readonly diffIds: ListChange },
): AttachmentManifest {
  // The strict reader has been over it; only then is the document taken as an object.
  const before: Readonly<Record<string, unknown>> =
    present === undefined
      ? { schemaVersion: 2, mediaType: OCI_MANIFEST_TYPE }
      : (JSON.parse(new TextDecoder().decode(present.parsed.raw)) as Record<string, unknown>);
  const keepsConfig = present !== undefined && !needsConfig(present.parsed);
  const config = keepsConfig ? undefined : writeConfig(present?.config, change.diffIds);
  const bytes = encodeJson({
    ...before,
    ...(config === undefined
      ? {}
      : { config: { mediaType: OCI_CONFIG_TYPE, size: config.bytes.length, digest: config.digest } }),
    layers: change.layers((before["layers"] ?? []) as readonly unknown[]),
  });
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw new FormatError(
      "input-too-large",
      `the manifest of sigstore attachments would grow beyond ${MAX_MANIFEST_BYTES} bytes`,
      { hint: "remove signatures that are not needed any more" },
    );
  }
  return { bytes, digest: sha256Digest(bytes, nodeEngine), ...(config === undefined ? {} : { config }) };
}

function writeConfig(before: Uint8Array | undefined, change: ListChange): NonNullable<AttachmentManifest["config"]> {
  const { document, diffIds } = readConfig(before);
  const bytes = encodeJson({ ...document, rootfs: { type: "layers", diff_ids: change(diffIds) } });
  return { bytes, digest: sha256Digest(bytes, nodeEngine) };
}

function readConfig(bytes: Uint8Array | undefined): {
  readonly document: Readonly<Record<string, unknown>>;
  readonly diffIds: readonly unknown[];
} {
  // What an image config must have; there is nothing to say, for nobody runs it.
  if (bytes === undefined) return { document: { architecture: "", os: "", config: {} }, diffIds: [] };
  const what = "config of a sigstore attachment";
  const node = parseJson(bytes, what, { maxBytes: MAX_ATTACHMENT_CONFIG_BYTES });
  const rootfs = strictObject(node, "", { required: [], allowUnknown: true }).get("rootfs");
  const document = JSON.parse(new TextDecoder().decode(bytes)) as Readonly<Record<string, unknown>>;
  if (rootfs === undefined || rootfs.kind === "null") return { document, diffIds: [] };
  const diffIds = strictObject(rootfs, "rootfs", { required: [], allowUnknown: true }).get("diff_ids");
  if (diffIds === undefined || diffIds.kind === "null") return { document, diffIds: [] };
  if (diffIds.kind !== "array") {
    throw new FormatError("image-malformed", `${what}: rootfs.diff_ids is no array`, { path: "rootfs.diff_ids" });
  }
  return { document, diffIds: (document["rootfs"] as { readonly diff_ids: readonly unknown[] }).diff_ids };
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
