/** `index.json` and `oci-layout` of an OCI image layout (image-spec 1.1, image-layout): read strictly, extended without touching what others wrote. */
import {
  type Digest,
  FormatError,
  type JsonNode,
  MAX_MANIFEST_BYTES,
  StoreError,
  jsonArray,
  jsonProblem,
  jsonString,
  parseDigest,
  parseJson,
  strictObject,
} from "@signet/core";
import { isCompanionTag } from "../registry/companion-tags.ts";
import type { ImageName } from "./transport.ts";

export const INDEX_FILE = "index.json";
export const LAYOUT_FILE = "oci-layout";

/** Held while the index is read, changed and replaced. */
export const INDEX_LOCK_FILE = ".index.json.signet-lock";

/** Content of a new `oci-layout` file. */
export const LAYOUT_TEXT: string = '{"imageLayoutVersion":"1.0.0"}';

/** Bytes: `oci-layout` is one short line. */
export const MAX_LAYOUT_BYTES = 4096;

/** Bytes: `index.json` is an image index, and bounded like one. */
export const MAX_INDEX_BYTES: number = MAX_MANIFEST_BYTES;

const REF_NAME = "org.opencontainers.image.ref.name";
const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";

/** One image that the index points to. Nothing in here is trusted beyond naming what to fetch. */
export interface IndexEntry {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Its name inside the layout, where it has one. */
  readonly refName: string | undefined;
  /** Stated for artifacts that are no images: signatures, SBOMs. */
  readonly artifactType?: string;
}

/**
 * Checks the content of `oci-layout`.
 * @throws FormatError `image-malformed` for another version, `json-malformed`
 */
export function checkLayoutFile(bytes: Uint8Array, location: string): void {
  const members = strictObject(parseJson(bytes, location, { maxBytes: MAX_LAYOUT_BYTES }), "", {
    required: ["imageLayoutVersion"],
    allowUnknown: true,
  });
  const version = jsonString(members.get("imageLayoutVersion")!, "imageLayoutVersion");
  if (version !== "1.0.0") {
    throw new FormatError("image-malformed", `${location}: unknown image layout version ${JSON.stringify(version)}`, {
      hint: "only version 1.0.0 of the OCI image layout is known",
    });
  }
}

/**
 * Parses `index.json`.
 * @throws FormatError `json-malformed`, `digest-malformed`, `image-malformed`, `input-too-large`
 */
export function parseOciIndex(bytes: Uint8Array, location: string): readonly IndexEntry[] {
  const root = parseJson(bytes, location, { maxBytes: MAX_INDEX_BYTES });
  const members = strictObject(root, "", { required: ["schemaVersion", "manifests"], allowUnknown: true });
  const version = members.get("schemaVersion")!;
  if (version.kind !== "number" || version.value !== 2) {
    throw new FormatError("image-malformed", `${location}: schemaVersion is not 2`);
  }
  const mediaType = members.get("mediaType");
  if (mediaType !== undefined && jsonString(mediaType, "mediaType") !== INDEX_TYPE) {
    throw new FormatError("image-malformed", `${location}: mediaType is not ${INDEX_TYPE}`);
  }
  return jsonArray(members.get("manifests")!, "manifests").map((node, position) =>
    parseEntry(node, `manifests[${position}]`),
  );
}

function parseEntry(node: JsonNode, path: string): IndexEntry {
  const members = strictObject(node, path, { required: ["mediaType", "digest", "size"], allowUnknown: true });
  const size = members.get("size")!;
  if (size.kind !== "number" || !Number.isSafeInteger(size.value) || size.value < 0) {
    throw jsonProblem(size, `${path}.size`, `${path}.size: not a number of bytes`);
  }
  const annotations = members.get("annotations");
  const artifactType = members.get("artifactType");
  return {
    mediaType: jsonString(members.get("mediaType")!, `${path}.mediaType`),
    digest: parseDigest(jsonString(members.get("digest")!, `${path}.digest`)),
    size: size.value,
    refName: annotations === undefined || annotations.kind === "null" ? undefined : parseRefName(annotations, path),
    ...(artifactType === undefined || artifactType.kind === "null"
      ? {}
      : { artifactType: jsonString(artifactType, `${path}.artifactType`) }),
  };
}

function parseRefName(annotations: JsonNode, path: string): string | undefined {
  const name = strictObject(annotations, `${path}.annotations`, { required: [], allowUnknown: true }).get(REF_NAME);
  return name === undefined ? undefined : jsonString(name, `${path}.annotations[${REF_NAME}]`);
}

/**
 * Finds the image that `name` means: by position, by name, or the only one there is, signatures and other companions not counted. A name that stands for several different images is refused rather
 * than guessed at.
 * @throws StoreError `image-missing`; FormatError `image-malformed` for an ambiguous name
 */
export function selectEntry(entries: readonly IndexEntry[], name: ImageName): IndexEntry {
  const missing = (problem: string): StoreError =>
    new StoreError("image-missing", `${name.text}: ${problem}`, { side: "source", hint: listNames(entries) });
  if (name.imagePosition !== undefined) {
    const entry = entries[name.imagePosition];
    if (entry === undefined) throw missing(`there is no image at position ${name.imagePosition}`);
    return entry;
  }
  if (name.imageName === undefined) {
    const images = entries.length === 1 ? entries : entries.filter(isImage);
    if (images.length === 1) return images[0]!;
    throw missing(entries.length === 0 ? "there is no image in it" : `there are ${entries.length} images in it`);
  }
  const named = entries.filter((entry) => entry.refName === name.imageName);
  const [first] = named;
  if (first === undefined) throw missing(`no image is called ${JSON.stringify(name.imageName)}`);
  if (named.some((entry) => entry.digest !== first.digest)) {
    throw new FormatError("image-malformed", `${name.text}: several different images have that name`, {
      hint: "choose one by its position, written :@0, :@1, …",
    });
  }
  return first;
}

/** Not something that only belongs to an image. */
function isImage({ refName, artifactType }: IndexEntry): boolean {
  return (artifactType ?? "") === "" && (refName === undefined || !isCompanionTag(refName));
}

/** Names shown in a hint. */
const MAX_NAMES_SHOWN = 10;

function listNames(entries: readonly IndexEntry[]): string {
  if (entries.length === 0) return "the index is empty";
  const names = entries.map((entry, position) => entry.refName ?? `@${position}`);
  const more = names.length > MAX_NAMES_SHOWN ? ` and ${names.length - MAX_NAMES_SHOWN} more` : "";
  return `it holds ${names.slice(0, MAX_NAMES_SHOWN).join(", ")}${more}`;
}

interface IndexDocument {
  manifests: { digest: string; annotations?: Record<string, string> | null }[];
}

/**
 * Returns `index.json` with one more image. Other images and unknown members stay as they are; an image that had the name loses the name and stays, as other
 * tools do it; an unnamed entry of the same digest takes the new name; without a name, an image that is there already is not listed twice.
 * @param bytes the index so far; undefined for a new one
 * @throws as {@link parseOciIndex}, and FormatError `input-too-large` when the index would outgrow its limit
 */
export function addEntry(bytes: Uint8Array | undefined, entry: IndexEntry, location: string): Uint8Array {
  const document = readDocument(bytes, location);
  const { mediaType, digest, size, refName } = entry;
  const added = {
    mediaType,
    digest,
    size,
    ...(refName === undefined ? {} : { annotations: { [REF_NAME]: refName } }),
  };
  if (refName !== undefined) {
    for (const other of document.manifests) {
      if (other.annotations?.[REF_NAME] !== refName) continue;
      delete other.annotations[REF_NAME];
      if (Object.keys(other.annotations).length === 0) delete other.annotations;
    }
  }
  const same = document.manifests.filter((other) => other.digest === digest);
  const unnamed = same.find((other) => other.annotations?.[REF_NAME] === undefined);
  if (unnamed !== undefined) {
    const annotations = { ...unnamed.annotations, ...added.annotations };
    Object.assign(unnamed, added, Object.keys(annotations).length === 0 ? {} : { annotations });
  } else if (refName !== undefined || same.length === 0) {
    document.manifests.push(added);
  }
  return writeDocument(document, location);
}

/**
 * Returns `index.json` with what belongs to images: under cosign's names, of which each stands for one manifest only, and without a name for referrers.
 * @throws as {@link addEntry}
 */
export function addCompanions(bytes: Uint8Array, entries: readonly IndexEntry[], location: string): Uint8Array {
  if (entries.length === 0) return bytes;
  const document = readDocument(bytes, location);
  for (const { mediaType, digest, size, refName, artifactType } of entries) {
    if (refName !== undefined)
      document.manifests = document.manifests.filter((other) => other.annotations?.[REF_NAME] !== refName);
    else if (document.manifests.some((other) => other.digest === digest)) continue;
    document.manifests.push({
      ...{ mediaType, digest, size },
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(refName === undefined ? {} : { annotations: { [REF_NAME]: refName } }),
    });
  }
  return writeDocument(document, location);
}

function writeDocument(document: IndexDocument, location: string): Uint8Array {
  const result = new TextEncoder().encode(JSON.stringify(document));
  if (result.length > MAX_INDEX_BYTES) {
    throw new FormatError("input-too-large", `${location} would grow beyond ${MAX_INDEX_BYTES} bytes`, {
      hint: "use another layout",
    });
  }
  return result;
}

/**
 * Returns `index.json` without some of its images; unknown members stay as they are.
 * @throws as {@link parseOciIndex}
 */
export function removeEntries(
  bytes: Uint8Array,
  isDoomed: (digest: string, position: number) => boolean,
  location: string,
): Uint8Array {
  const document = readDocument(bytes, location);
  document.manifests = document.manifests.filter(({ digest }, position) => !isDoomed(digest, position));
  return new TextEncoder().encode(JSON.stringify(document));
}

function readDocument(bytes: Uint8Array | undefined, location: string): IndexDocument {
  if (bytes === undefined) {
    return { schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [] } as IndexDocument;
  }
  // The strict reader has the say on what is acceptable; only then is the document taken as an object.
  parseOciIndex(bytes, location);
  return JSON.parse(new TextDecoder().decode(bytes)) as IndexDocument;
}
