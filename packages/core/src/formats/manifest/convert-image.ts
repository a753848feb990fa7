import { MAX_MANIFEST_BYTES } from "../../bytes/limits.ts";
import { parseJson } from "../../bytes/strict-json.ts";
import { FormatError } from "../../errors.ts";
import { writeDescriptor } from "./convert-descriptor.ts";
import { type ManifestFormat, convertLayerType, formatTypes } from "./convert-media-types.ts";
import { inexpressible, takeMembers, writeAnnotations, writeMembers } from "./convert-members.ts";
import { type UntrustedImageManifest, parseManifest } from "./manifest.ts";
import { MAX_LAYERS, readArray } from "./members.ts";
import { writeJsonString } from "../../bytes/json-text.ts";

/**
 * Writes the manifest of one image in another format. Config and layers stay the blobs they are, and are named in the other format's words; so the digest changes, and
 * signatures of the old one say nothing about the new one. Nothing is left out in silence: what the other format cannot say is refused by name.
 *
 * Not checked: the blobs. A config of docker's may hold members that the OCI does not describe; its specification has readers pass over them.
 *
 * @param manifest as `parseManifest` gave it
 * @returns compact JSON as containers/image writes it; `manifest.raw` itself when it is in that format already
 * @throws FormatError `conversion-refused` with the path of the member; `input-too-large`
 *
 * Source: docker image manifest v2 schema 2; OCI image-spec 1.1, manifest, and "Compatibility Matrix" of media types.
 */
export function convertImageManifest(manifest: UntrustedImageManifest, format: ManifestFormat): Uint8Array {
  const types = formatTypes[format];
  if (manifest.mediaType === types.image) return manifest.raw;
  const from = formatTypes[format === "oci" ? "docker" : "oci"];
  if (manifest.config.mediaType !== from.config && manifest.config.mediaType !== types.config)
    throw inexpressible("config.mediaType", `${quote(manifest.config.mediaType)} is not the config of an image`);
  const document = parseJson(manifest.raw, "manifest", { maxBytes: MAX_MANIFEST_BYTES });
  const known = ["schemaVersion", "mediaType", "config", "layers"];
  const top = takeMembers(document, "", format === "oci" ? [...known, "annotations"] : known);
  const layers = readArray(top.get("layers")!, "layers", MAX_LAYERS).map((node, index) => {
    const path = `layers[${index}]`;
    const { mediaType } = manifest.layers[index]!;
    const converted = convertLayerType(mediaType, format);
    if (converted === undefined) throw inexpressible(`${path}.mediaType`, `no word for ${quote(mediaType)}`);
    return writeDescriptor(node, path, format, { mediaType: converted });
  });
  const text = writeMembers([
    ["schemaVersion", "2"],
    ["mediaType", writeJsonString(types.image)],
    ["config", writeDescriptor(top.get("config")!, "config", format, { mediaType: types.config })],
    ["layers", `[${layers.join(",")}]`],
    ["annotations", writeAnnotations(top.get("annotations"), "annotations")],
  ]);
  return checkWritten(text, types.image);
}

/** The other format's words are longer; what grew beyond what readers take is refused here and not by them. */
export function checkWritten(text: string, mediaType: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > MAX_MANIFEST_BYTES)
    throw new FormatError("input-too-large", `the converted manifest would have ${bytes.length} bytes`);
  parseManifest(bytes, mediaType);
  return bytes;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
