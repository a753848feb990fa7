/** The documents of a file-based catalog, and those of a bundle's manifests: what of each matters here. */
import { catalogMalformed } from "./document-stream.ts";
import {
  type DocumentPlace,
  type PlacedObject,
  memberOf,
  objectOf,
  objectsOf,
  textOf,
  textsOf,
} from "./document-tree.ts";
import {
  type ImageUse,
  isServiceVersion,
  readAnnotations,
  readEmbeddedServiceVersion,
  readRelatedImages,
  readServiceVersion,
} from "./cluster-service-version.ts";

/** Images that one bundle may name; genuine ones name at most some two hundred. */
const MAX_USES = 5_000;

/** Entries of one channel. */
const MAX_ENTRIES = 20_000;

/** A version in a channel, and which ones it takes the place of. */
export interface ChannelEntry {
  readonly name: string;
  /** Empty when it replaces none. */
  readonly replaces: string;
  readonly skips: readonly string[];
}

/** What its maker gives up: a package, one of its channels or one of its bundles. */
export interface Deprecation {
  readonly what: "package" | "channel" | "bundle";
  /** Empty for the package itself. */
  readonly name: string;
  /** Shortened. */
  readonly message: string;
}

/** One document. Names may be empty; nothing is compared with other documents yet. */
export type UntrustedCatalogDocument = { readonly place: DocumentPlace } & (
  | { readonly kind: "package"; readonly name: string; readonly defaultChannel: string }
  | {
      readonly kind: "channel";
      readonly package: string;
      readonly name: string;
      readonly entries: readonly ChannelEntry[];
    }
  | {
      readonly kind: "bundle";
      readonly package: string;
      readonly name: string;
      /** The bundle image; empty when none is named. */
      readonly image: string;
      /** The bundle image, then all others. */
      readonly uses: readonly ImageUse[];
    }
  | { readonly kind: "deprecations"; readonly package: string; readonly entries: readonly Deprecation[] }
  | { readonly kind: "service-version"; readonly name: string; readonly uses: readonly ImageUse[] }
  | { readonly kind: "bundle-annotations"; readonly package: string; readonly channels: readonly string[] }
  | { readonly kind: "other" }
);

/**
 * Reads one document: an `olm.package`, `olm.channel`, `olm.bundle` or `olm.deprecations` of a catalog, a ClusterServiceVersion, or the annotations of a bundle. Other schemas and other
 * Kubernetes objects are `other`.
 * @throws FormatError `catalog-malformed` for what is none of them, or is not as its schema says
 */
export function readCatalogDocument(object: PlacedObject): UntrustedCatalogDocument {
  const { place } = object;
  const schema = memberOf(object, "schema");
  if (schema === undefined) return readUnmarked(object);
  switch (textOf(object, "schema")) {
    case "olm.package":
      return { place, kind: "package", name: named(object), defaultChannel: textOf(object, "defaultChannel") };
    case "olm.channel":
      return {
        place,
        kind: "channel",
        package: textOf(object, "package"),
        name: named(object),
        entries: readEntries(object),
      };
    case "olm.bundle":
      return {
        place,
        kind: "bundle",
        package: textOf(object, "package"),
        name: named(object),
        image: textOf(object, "image"),
        uses: readUses(object),
      };
    case "olm.deprecations":
      return { place, kind: "deprecations", package: textOf(object, "package"), entries: readDeprecations(object) };
    case "":
      throw catalogMalformed(place.file, place.line, "the schema is empty");
    default:
      return { place, kind: "other" };
  }
}

function named(object: PlacedObject): string {
  const name = textOf(object, "name");
  if (name !== "") return name;
  throw catalogMalformed(object.place.file, object.place.line, "the name is missing");
}

function readEntries(channel: PlacedObject): readonly ChannelEntry[] {
  const entries = objectsOf(channel, "entries");
  if (entries.length > MAX_ENTRIES) throw tooMany(channel.place, MAX_ENTRIES, "entries");
  return entries.map((entry) => {
    return { name: named(entry), replaces: textOf(entry, "replaces"), skips: textsOf(entry, "skips") };
  });
}

/** Characters of a maker's words that are repeated. */
const MAX_MESSAGE_LENGTH = 300;

function readDeprecations(document: PlacedObject): readonly Deprecation[] {
  const entries = objectsOf(document, "entries");
  if (entries.length > MAX_ENTRIES) throw tooMany(document.place, MAX_ENTRIES, "entries");
  return entries.flatMap((entry): readonly Deprecation[] => {
    const reference = objectOf(entry, "reference");
    const what = /^olm\.(package|channel|bundle)$/.exec(
      reference === undefined ? "" : textOf(reference, "schema"),
    )?.[1];
    if (reference === undefined || what === undefined) return [];
    const words = memberOf(entry, "message");
    const message = words?.kind === "string" ? words.value.slice(0, MAX_MESSAGE_LENGTH) : "";
    return [{ what: what as Deprecation["what"], name: textOf(reference, "name"), message }];
  });
}

function readUses(bundle: PlacedObject): readonly ImageUse[] {
  const image = textOf(bundle, "image");
  const uses: ImageUse[] = [...(image === "" ? [] : [{ image, role: "bundle" as const, name: "" }])];
  uses.push(...readRelatedImages(bundle));
  const embedded: ImageUse[] = [];
  for (const property of objectsOf(bundle, "properties")) {
    const type = textOf(property, "type");
    if (type !== "olm.bundle.object" && type !== "olm.csv.metadata") continue;
    const value = objectOf(property, "value");
    if (value === undefined) continue;
    if (type === "olm.csv.metadata") {
      const annotations = objectOf(value, "annotations");
      if (annotations !== undefined) uses.push(...readAnnotations(annotations));
      continue;
    }
    const data = memberOf(value, "data");
    if (data?.kind !== "string")
      throw catalogMalformed(bundle.place.file, bundle.place.line, "olm.bundle.object has no data");
    embedded.push(...(readEmbeddedServiceVersion(data.value, bundle)?.uses ?? []));
  }
  const listed = new Set(uses.map((use) => use.image));
  for (const use of embedded) {
    if (use.role !== "related") uses.push(use);
    else if (!listed.has(use.image)) uses.push({ ...use, role: "manifest" });
  }
  return distinct(uses, bundle.place);
}

function distinct(uses: readonly ImageUse[], place: DocumentPlace): readonly ImageUse[] {
  if (uses.length > MAX_USES) throw tooMany(place, MAX_USES, "images");
  return [...new Map(uses.map((use) => [JSON.stringify([use.role, use.name, use.image]), use])).values()];
}

function tooMany({ file, line }: DocumentPlace, limit: number, what: string): Error {
  return catalogMalformed(file, line, `more than ${limit} ${what}`);
}

/** Documents without a schema: manifests of a bundle, and its annotations. */
function readUnmarked(object: PlacedObject): UntrustedCatalogDocument {
  const { place } = object;
  if (isServiceVersion(object)) {
    const { name, uses } = readServiceVersion(object);
    return { place, kind: "service-version", name, uses: distinct(uses, place) };
  }
  if (memberOf(object, "kind") !== undefined && memberOf(object, "apiVersion") !== undefined)
    return { place, kind: "other" };
  const annotations = objectOf(object, "annotations");
  if (annotations === undefined)
    throw catalogMalformed(place.file, place.line, "it is no document of a catalog: it has no schema");
  return {
    place,
    kind: "bundle-annotations",
    package: textOf(annotations, `${BUNDLE_LABELS}package.v1`),
    channels: splitChannels(textOf(annotations, `${BUNDLE_LABELS}channels.v1`)),
  };
}

/** How labels and annotations of bundles begin. */
export const BUNDLE_LABELS = "operators.operatorframework.io.bundle.";

/** `alpha,stable` as a list. */
export function splitChannels(text: string): readonly string[] {
  return text
    .split(",")
    .map((channel) => channel.trim())
    .filter((channel) => channel !== "");
}
