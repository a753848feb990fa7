/**
 * `manifest.json` of an archive as `docker save`, `podman save` and skopeo write it (docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format"):
 *
 *   manifest.json            [{"Config":"<hex>.json","RepoTags":["host/repo:tag"],"Layers":["<hex>.tar", …]}, …]
 *   <hex>.json               the image's config, whose rootfs.diff_ids name the layers
 *   <hex>.tar                a layer, plain or compressed; older ones are `<id>/layer.tar`, a repeated one a symbolic link to the first
 *   repositories, <id>/…     what docker before 1.10 reads; written, never read
 */
import {
  type Digest,
  FormatError,
  type JsonNode,
  StoreError,
  formatReference,
  jsonArray,
  jsonProblem,
  jsonString,
  parseDigest,
  parseJson,
  parseReference,
  strictObject,
} from "@signet/core";
import type { ImageName } from "./transport.ts";

export const ARCHIVE_MANIFEST_FILE = "manifest.json";

/** Bytes: what the reference reads of it; a hundred images take 30 KiB. */
export const MAX_ARCHIVE_MANIFEST_BYTES: number = 1024 * 1024;

/** Bytes: the largest config read, as containers/image caps it. */
export const MAX_CONFIG_BYTES: number = 4 * 1024 * 1024;

/** Levels: configs have five. */
const MAX_CONFIG_DEPTH = 1_000;

/** Layers of one image: docker stops at 127. */
const MAX_LAYERS = 1_000;

/** One image of the archive. Names and tags are what the archive says. */
export interface ArchivedImage {
  /** Name of the config inside the archive. */
  readonly config: string;
  /** As written; not looked at before an image is chosen by its name. */
  readonly repoTags: readonly string[];
  /** Names of the layers inside the archive, base first. */
  readonly layers: readonly string[];
}

/**
 * Parses `manifest.json`.
 * @throws FormatError `json-malformed`, `image-malformed`, `input-too-large`
 */
export function parseArchiveManifest(bytes: Uint8Array, location: string): readonly ArchivedImage[] {
  const root = parseJson(bytes, location, { maxBytes: MAX_ARCHIVE_MANIFEST_BYTES });
  return jsonArray(root, "the top level").map((node, position) => parseImage(node, `[${position}]`, location));
}

function parseImage(node: JsonNode, path: string, location: string): ArchivedImage {
  const members = strictObject(node, path, { required: ["Config", "Layers"], allowUnknown: true });
  const texts = (name: string): readonly string[] => {
    const list = members.get(name);
    // Go programs write a list that was never filled as null.
    if (list === undefined || list.kind === "null") return [];
    return jsonArray(list, `${path}.${name}`).map((item, at) => jsonString(item, `${path}.${name}[${at}]`));
  };
  const layers = texts("Layers");
  if (layers.length > MAX_LAYERS) {
    throw new FormatError(
      "input-too-large",
      `${location}: image ${path} has ${layers.length} layers, the limit is ${MAX_LAYERS}`,
    );
  }
  return {
    config: cleanMember(jsonString(members.get("Config")!, `${path}.Config`), `${location}: ${path}.Config`),
    repoTags: texts("RepoTags"),
    layers: layers.map((layer, at) => cleanMember(layer, `${location}: ${path}.Layers[${at}]`)),
  };
}

/** A name in the form of the archive's index. Names are only looked up there; one that would lead elsewhere was made to mislead. */
function cleanMember(name: string, what: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (name.startsWith("/") || parts.includes("..") || parts.length === 0) {
    throw new FormatError(
      "image-malformed",
      `${what}: ${JSON.stringify(name.slice(0, 300))} is no name inside the archive`,
      {
        hint: "the archive is damaged or was made to mislead",
      },
    );
  }
  return parts.join("/");
}

/**
 * Finds the image that `name` means: by position, by its reference, or the only one there is. A reference that stands for two different images is refused.
 * @throws StoreError `image-missing`; FormatError `image-malformed`
 */
export function selectArchivedImage(images: readonly ArchivedImage[], name: ImageName): ArchivedImage {
  const missing = (problem: string): StoreError =>
    new StoreError("image-missing", `${name.text}: ${problem}`, { side: "source", hint: listImages(images) });
  if (name.imagePosition !== undefined) {
    const image = images[name.imagePosition];
    if (image === undefined) throw missing(`there is no image at position ${name.imagePosition}`);
    return image;
  }
  if (name.reference === undefined || name.transport !== "docker-archive") {
    if (images.length === 1) return images[0]!;
    throw missing(images.length === 0 ? "there is no image in it" : `there are ${images.length} images in it`);
  }
  const wanted = formatReference(name.reference);
  const named = images.filter(({ repoTags }) => repoTags.some((tag) => normalTag(tag) === wanted));
  const [first] = named;
  if (first === undefined) throw missing(`no image is called ${wanted}`);
  if (named.some((image) => image.config !== first.config || image.layers.join("\n") !== first.layers.join("\n"))) {
    throw new FormatError("image-malformed", `${name.text}: several different images have that name`, {
      hint: "choose one by its position, written :@0, :@1, …",
    });
  }
  return first;
}

/** The full form of a tag in the archive; undefined for a text that is none, which then names nothing. */
function normalTag(tag: string): string | undefined {
  try {
    const reference = parseReference(tag);
    return reference.tag === undefined || reference.digest !== undefined ? undefined : formatReference(reference);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Images shown in a hint, and characters of each one's name. */
const MAX_IMAGES_SHOWN = 10;
const MAX_NAME_SHOWN = 300;

function listImages(images: readonly ArchivedImage[]): string {
  if (images.length === 0) return `${ARCHIVE_MANIFEST_FILE} lists none`;
  const names = images.slice(0, MAX_IMAGES_SHOWN).map(({ repoTags: [tag] }, position) => {
    return tag === undefined ? `:@${position}` : `:@${position} ${tag.slice(0, MAX_NAME_SHOWN)}`;
  });
  const more = images.length > MAX_IMAGES_SHOWN ? ` and ${images.length - MAX_IMAGES_SHOWN} more` : "";
  return `choose one by its name or position: it holds ${names.join(", ")}${more}`;
}

/**
 * The digests of an image's unpacked layers, base first, as its config names them: `rootfs.diff_ids`.
 * @throws FormatError `json-malformed`, `digest-malformed`, `image-malformed` for a config without them, `input-too-large`
 */
export function parseDiffIds(config: Uint8Array, location: string): readonly Digest[] {
  const document = parseJson(config, location, { maxBytes: MAX_CONFIG_BYTES, maxDepth: MAX_CONFIG_DEPTH });
  const root = strictObject(document, "", { required: [], allowUnknown: true });
  const rootfs = root.get("rootfs");
  if (rootfs === undefined || rootfs.kind === "null") {
    throw new FormatError("image-malformed", `${location}: the config has no rootfs, so it is not that of an image`);
  }
  const members = strictObject(rootfs, "rootfs", { required: [], allowUnknown: true });
  const ids = members.get("diff_ids");
  if (ids === undefined || ids.kind === "null") return [];
  const items = jsonArray(ids, "rootfs.diff_ids");
  if (items.length > MAX_LAYERS) throw jsonProblem(ids, "rootfs.diff_ids", `more than ${MAX_LAYERS} layers`);
  return items.map((item, at) => parseDigest(jsonString(item, `rootfs.diff_ids[${at}]`)));
}
