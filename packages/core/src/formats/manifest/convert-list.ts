import type { Digest } from "../../bytes/digest.ts";
import { writeJsonString } from "../../bytes/json-text.ts";
import { MAX_MANIFEST_BYTES } from "../../bytes/limits.ts";
import { parseJson } from "../../bytes/strict-json.ts";
import { InternalError } from "../../errors.ts";
import { writeDescriptor } from "./convert-descriptor.ts";
import { checkWritten } from "./convert-image.ts";
import { type ManifestFormat, formatTypes } from "./convert-media-types.ts";
import { inexpressible, takeMembers, writeAnnotations, writeMembers, writeText } from "./convert-members.ts";
import { MAX_INSTANCES, type UntrustedManifestList } from "./manifest.ts";
import { readArray } from "./members.ts";

/** An instance as it is after its own conversion. */
export interface ConvertedInstance {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/**
 * Writes a list in another format, its instances by their new digests.
 * @param list as `parseManifest` gave it
 * @param instances every instance of the list, by the digest that it has there; the same one where it did not change
 * @returns compact JSON as containers/image writes it; `list.raw` itself when neither the list nor an instance changes
 * @throws FormatError `conversion-refused` with the path of the member; `input-too-large`
 */
export function convertManifestList(
  list: UntrustedManifestList,
  format: ManifestFormat,
  instances: ReadonlyMap<Digest, ConvertedInstance>,
): Uint8Array {
  const types = formatTypes[format];
  const isChanged = list.instances.some(({ digest }) => instances.get(digest)?.digest !== digest);
  if (list.mediaType === types.list && !isChanged) return list.raw;
  const document = parseJson(list.raw, "manifest", { maxBytes: MAX_MANIFEST_BYTES });
  const known = ["schemaVersion", "mediaType", "manifests"];
  const top = takeMembers(document, "", format === "oci" ? [...known, "annotations", "artifactType"] : known);
  const written = readArray(top.get("manifests")!, "manifests", MAX_INSTANCES).map((node, index) => {
    const path = `manifests[${index}]`;
    const { digest, platform } = list.instances[index]!;
    const instance = instances.get(digest);
    if (instance === undefined) throw new InternalError(`instance ${digest} of a list was not converted with it`);
    // Readers of docker's lists count on it; without one nobody would choose the instance.
    if (format === "docker" && platform === undefined) throw inexpressible(path, "docker's lists need a platform");
    return writeDescriptor(node, path, format, instance, true);
  });
  const text = writeMembers([
    ["schemaVersion", "2"],
    ["mediaType", writeJsonString(types.list)],
    ["artifactType", writeText(top.get("artifactType"), "artifactType")],
    ["manifests", `[${written.join(",")}]`],
    ["annotations", writeAnnotations(top.get("annotations"), "annotations")],
  ]);
  return checkWritten(text, types.list);
}
