/** The images that an operator names in its ClusterServiceVersion. */
import { decodeBase64, parseReference, tryParseDigest } from "@signet/core";
import { catalogMalformed } from "./document-stream.ts";
import { type PlacedObject, memberOf, objectOf, objectsOf, parseDocument, textOf } from "./document-tree.ts";

/**
 * How an image is named: as the catalog or bundle itself, in `relatedImages` (`manifest`: only in those of the manifest inside a bundle, which mirrors do not look at), by a container, by an environment variable of a container, or by the annotation
 * `containerImage`.
 */
export type ImageRole =
  | "catalog"
  | "bundle"
  | "related"
  | "manifest"
  | "container"
  | "init-container"
  | "env"
  | "annotation";

/** One place where an image is named. */
export interface ImageUse {
  /** As written; may be empty, and be no reference. */
  readonly image: string;
  readonly role: ImageRole;
  /** The related image's, container's or variable's name; may be empty. */
  readonly name: string;
}

/** What of a ClusterServiceVersion matters here. */
export interface UntrustedServiceVersion {
  readonly name: string;
  readonly uses: readonly ImageUse[];
}

/** True for a ClusterServiceVersion, whatever its version. */
export function isServiceVersion(object: PlacedObject): boolean {
  return textMember(object, "kind") === "ClusterServiceVersion";
}

/**
 * Reads the images of a ClusterServiceVersion: `spec.relatedImages`, containers of the install strategy's deployments, their environment, and the annotation
 * `containerImage`. Beyond what opm gathers, variables count whose name begins with `RELATED_IMAGE_`, and others whose value can only be an image.
 *
 * Not seen: arguments of containers, and names that stand in the operator's program.
 * @throws FormatError `catalog-malformed`
 */
export function readServiceVersion(object: PlacedObject): UntrustedServiceVersion {
  const metadata = objectOf(object, "metadata");
  const spec = objectOf(object, "spec");
  const uses: ImageUse[] = [];
  const annotations = metadata === undefined ? undefined : objectOf(metadata, "annotations");
  if (annotations !== undefined) uses.push(...readAnnotations(annotations));
  if (spec !== undefined) {
    uses.push(...readRelatedImages(spec));
    const install = objectOf(spec, "install");
    const strategy = install === undefined ? undefined : objectOf(install, "spec");
    for (const deployment of strategy === undefined ? [] : objectsOf(strategy, "deployments"))
      uses.push(...readDeployment(deployment));
  }
  return { name: metadata === undefined ? "" : textOf(metadata, "name"), uses };
}

/** The annotation `containerImage`, of a ClusterServiceVersion or of the metadata that a catalog keeps of it. */
export function readAnnotations(annotations: PlacedObject): readonly ImageUse[] {
  const image = textMember(annotations, "containerImage");
  return image === undefined || image === "" ? [] : [{ image, role: "annotation", name: "containerImage" }];
}

/** `relatedImages`, of a bundle or of a ClusterServiceVersion's spec. */
export function readRelatedImages(object: PlacedObject): readonly ImageUse[] {
  return objectsOf(object, "relatedImages").map((related) => {
    return { image: textOf(related, "image"), role: "related", name: textOf(related, "name") };
  });
}

function readDeployment(deployment: PlacedObject): readonly ImageUse[] {
  const spec = objectOf(deployment, "spec");
  const template = spec === undefined ? undefined : objectOf(spec, "template");
  const pod = template === undefined ? undefined : objectOf(template, "spec");
  if (pod === undefined) return [];
  return (["initContainers", "containers"] as const).flatMap((list) =>
    objectsOf(pod, list).flatMap((container) => {
      const name = textOf(container, "name");
      const role = list === "containers" ? "container" : "init-container";
      const own: ImageUse = { image: textOf(container, "image"), role, name };
      return [own, ...readEnvironment(container)];
    }),
  );
}

function readEnvironment(container: PlacedObject): readonly ImageUse[] {
  return objectsOf(container, "env").flatMap((variable): readonly ImageUse[] => {
    const name = textMember(variable, "name") ?? "";
    // Other values may be long, and are none of our business.
    const value = memberOf(variable, "value");
    if (value?.kind !== "string" || value.value === "") return [];
    if (!name.startsWith("RELATED_IMAGE_") && !canOnlyBeImage(name, value.value)) return [];
    return [{ image: textOf(variable, "value"), role: "env", name: textOf(variable, "name") }];
  });
}

/** A full reference by digest; or by tag, with a registry, in a variable that says that it is an image. */
function canOnlyBeImage(name: string, value: string): boolean {
  const at = value.indexOf("@sha256:");
  if (at > 0 && value.indexOf("/") > 0) return tryParseDigest(value.slice(at + 1)) !== undefined;
  if (!/IMAGE/.test(name) || !/^[^/]+[.:][^/]*\/.+:[^/]+$/.test(value)) return false;
  try {
    parseReference(value);
    return true;
  } catch {
    return false;
  }
}

/** A text member of any length; undefined for what is none. */
function textMember(object: PlacedObject, name: string): string | undefined {
  const node = memberOf(object, name);
  return node?.kind === "string" ? node.value : undefined;
}

/** Bytes that every ClusterServiceVersion holds. */
const KIND = Buffer.from("ClusterServiceVersion");

/**
 * The manifest inside a bundle's property `olm.bundle.object`, if it is a ClusterServiceVersion.
 * @param data base64
 * @throws FormatError `catalog-malformed`
 */
export function readEmbeddedServiceVersion(data: string, bundle: PlacedObject): UntrustedServiceVersion | undefined {
  const { file, line } = bundle.place;
  let bytes: Uint8Array;
  try {
    bytes = decodeBase64(data);
  } catch (error) {
    throw catalogMalformed(file, line, "olm.bundle.object is not base64", error);
  }
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(KIND)) return undefined;
  const first = bytes.find((byte) => byte > 0x20);
  const [object] = parseDocument({ form: first === 0x7b ? "json" : "yaml", bytes, line }, file);
  return object !== undefined && isServiceVersion(object) ? readServiceVersion(object) : undefined;
}
