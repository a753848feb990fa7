/** Descriptors and platforms, written in the words of one family of manifests. */
import { writeJsonString } from "../../bytes/json-text.ts";
import type { JsonNode } from "../../bytes/strict-json.ts";
import type { ManifestFormat } from "./convert-media-types.ts";
import { takeMembers, writeAnnotations, writeMembers, writeText, writeTexts, writeWhole } from "./convert-members.ts";

/** What takes the place of a descriptor's own words. */
export interface DescriptorChange {
  readonly mediaType: string;
  /** Where the thing itself was converted: its new digest and size in bytes. */
  readonly digest?: string;
  readonly size?: number;
}

const common = ["mediaType", "digest", "size", "urls"];
const ociOnly = ["annotations", "data", "artifactType"];

/**
 * @param withPlatform for instances of lists; a config or layer has none
 * @throws FormatError `conversion-refused` naming the member that the format cannot say
 */
export function writeDescriptor(
  node: JsonNode,
  path: string,
  format: ManifestFormat,
  change: DescriptorChange,
  withPlatform = false,
): string {
  const known = [...common, ...(format === "oci" ? ociOnly : []), ...(withPlatform ? ["platform"] : [])];
  const members = takeMembers(node, path, known);
  const mediaType = writeJsonString(change.mediaType);
  const size = change.size === undefined ? writeWhole(members.get("size"), `${path}.size`) : String(change.size);
  const digest =
    change.digest === undefined ? writeText(members.get("digest"), `${path}.digest`) : writeJsonString(change.digest);
  const urls = writeTexts(members.get("urls"), `${path}.urls`);
  const platform = withPlatform ? writePlatform(members.get("platform"), `${path}.platform`, format) : undefined;
  if (format === "docker") {
    return writeMembers([
      ["mediaType", mediaType],
      ["size", size],
      ["digest", digest],
      ["urls", urls],
      ["platform", platform],
    ]);
  }
  return writeMembers([
    ["mediaType", mediaType],
    ["digest", digest],
    ["size", size],
    ["urls", urls],
    ["annotations", writeAnnotations(members.get("annotations"), `${path}.annotations`)],
    ["data", writeText(members.get("data"), `${path}.data`)],
    ["platform", platform],
    ["artifactType", writeText(members.get("artifactType"), `${path}.artifactType`)],
  ]);
}

function writePlatform(node: JsonNode | undefined, path: string, format: ManifestFormat): string | undefined {
  if (node === undefined || node.kind === "null") return undefined;
  const known = ["architecture", "os", "os.version", "os.features", "variant"];
  // The OCI has reserved the name, and says nothing by it.
  const members = takeMembers(node, path, format === "docker" ? [...known, "features"] : known);
  const text = (name: string): string | undefined => writeText(members.get(name), `${path}.${name}`);
  const texts = (name: string): string | undefined => writeTexts(members.get(name), `${path}.${name}`);
  return writeMembers([
    ["architecture", text("architecture") ?? '""'],
    ["os", text("os") ?? '""'],
    ["os.version", text("os.version")],
    ["os.features", texts("os.features")],
    ["variant", text("variant")],
    ["features", format === "docker" ? texts("features") : undefined],
  ]);
}
