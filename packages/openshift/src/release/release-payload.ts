/** What a release image says of itself: `release-manifests/image-references` and `release-metadata`. Nothing in it is trusted beyond the image's own digest. */
import { type Digest, FormatError, type Reference, parseReference } from "@signet/core";
import { type JsonRecord, fieldOf, parseJsonObject } from "../kubernetes/json-object.ts";
import { isRecord } from "../kubernetes/manifests.ts";

/** Characters of a component's name; genuine ones have some thirty. */
const MAX_NAME_LENGTH = 256;

/** Images of one release. Genuine ones have some two hundred. */
const MAX_COMPONENTS = 5_000;

/** One image that a release refers to. */
export interface ReleaseComponent {
  /** Its name in the release: `etcd`, `rhel-coreos`. */
  readonly name: string;
  /** As written. */
  readonly pullSpec: string;
  readonly reference: Reference;
  /** Undefined for a reference by tag, which nothing vouches for. */
  readonly digest: Digest | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A release as its image describes it. */
export interface UntrustedRelease {
  /** `metadata.name` of image-references. */
  readonly name: string;
  /** As written; empty when it is not given. */
  readonly created: string;
  /** In the order of the file. */
  readonly components: readonly ReleaseComponent[];
  /** Names of all tags, also of those that do not name an image. */
  readonly tagNames: readonly string[];
  /** Undefined when the image has no release-metadata. */
  readonly metadata: UntrustedReleaseMetadata | undefined;
  readonly warnings: readonly string[];
  /** The two files as they stand in the image. */
  readonly raw: { readonly imageReferences: Uint8Array; readonly metadata: Uint8Array | undefined };
}

export interface UntrustedReleaseMetadata {
  readonly version: string;
  readonly previous: readonly string[];
  readonly next: readonly string[];
  /** `url`, `description` and whatever else; texts only. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads both files.
 * @param metadata undefined when the image has none
 * @throws FormatError `release-malformed` for what is not the JSON of a release, a component without a valid reference, a name that stands twice, a release without
 *   components, and metadata of an unknown kind or another version
 */
export function parseReleasePayload(imageReferences: Uint8Array, metadata: Uint8Array | undefined): UntrustedRelease {
  const stream = parseObject(imageReferences, "image-references");
  const kind = field(stream, "kind", "image-references");
  if (kind !== "ImageStream")
    throw malformed("image-references", `kind ${JSON.stringify(kind)?.slice(0, 300)} is not ImageStream`);
  const meta = recordOf(field(stream, "metadata", "image-references"));
  const name = textOf(field(meta, "name", "image-references"));
  const spec = recordOf(field(stream, "spec", "image-references"));
  const tags = field(spec, "tags", "image-references");
  if (!Array.isArray(tags)) throw malformed("image-references", "spec.tags is not a list");
  if (tags.length > MAX_COMPONENTS) throw malformed("image-references", `more than ${MAX_COMPONENTS} images`);
  const warnings: string[] = [];
  const byName = new Map<string, ReleaseComponent>();
  for (const [index, tag] of tags.entries()) {
    const component = readComponent(tag, `image-references, spec.tags[${index}]`);
    if (component === undefined) continue;
    if (byName.has(component.name))
      throw malformed("image-references", `${JSON.stringify(component.name)} stands twice`);
    if (component.digest === undefined)
      warnings.push(`${component.name} is referred to by tag, ${component.pullSpec}: nothing vouches for it`);
    byName.set(component.name, component);
  }
  if (byName.size === 0) throw malformed("image-references", "it refers to no image");
  const read = metadata === undefined ? undefined : readMetadata(metadata);
  if (read !== undefined && read.version !== name)
    throw malformed(
      "release-metadata",
      `version ${read.version.slice(0, 300)} is not that of image-references, ${name.slice(0, 300)}`,
    );
  return {
    name,
    created: textOf(field(meta, "creationTimestamp", "image-references")),
    components: [...byName.values()],
    tagNames: tags.map((tag: unknown) => textOf(recordOf(tag)["name"])),
    metadata: read,
    warnings,
    raw: { imageReferences, metadata },
  };
}

/** Undefined for a tag that does not name an image, which readers pass over. */
function readComponent(tag: unknown, place: string): ReleaseComponent | undefined {
  const from = isRecord(tag) ? field(tag, "from", place) : undefined;
  if (!isRecord(tag) || !isRecord(from)) throw malformed(place, "it has no from");
  if (field(from, "kind", place) !== "DockerImage") return undefined;
  const name = textOf(field(tag, "name", place));
  if (name === "") throw malformed(place, "it has no name");
  if (name.length > MAX_NAME_LENGTH) throw malformed(place, `its name has more than ${MAX_NAME_LENGTH} characters`);
  const pullSpec = textOf(field(from, "name", place));
  let reference: Reference;
  try {
    reference = parseReference(pullSpec);
  } catch (cause) {
    throw malformed(place, `${JSON.stringify(pullSpec.slice(0, 300))} is no image reference`, cause);
  }
  const annotations = recordOf(field(tag, "annotations", place));
  const texts = Object.entries(annotations).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return { name, pullSpec, reference, digest: reference.digest, annotations: Object.fromEntries(texts) };
}

function readMetadata(bytes: Uint8Array): UntrustedReleaseMetadata {
  const value = parseObject(bytes, "release-metadata");
  const what = "release-metadata";
  const kind = field(value, "kind", what);
  if (kind !== "cincinnati-metadata-v0")
    throw malformed(what, `unrecognized Cincinnati metadata kind ${JSON.stringify(kind)?.slice(0, 300)}`);
  const metadata = recordOf(field(value, "metadata", what));
  const texts = Object.entries(metadata).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return {
    version: textOf(field(value, "version", what)),
    previous: textsOf(field(value, "previous", what)),
    next: textsOf(field(value, "next", what)),
    metadata: Object.fromEntries(texts),
  };
}

/** What a component says of a part of it: `kubernetes 1.27.6`, `machine-os 414.92.1 Red Hat Enterprise Linux CoreOS`. */
export interface ComponentVersion {
  readonly name: string;
  readonly version: string;
  /** Empty where none is given. */
  readonly displayName: string;
}

export interface ComponentVersions {
  /** Each name once, sorted. */
  readonly versions: readonly ComponentVersion[];
  /** Names of which images say different things. */
  readonly contradictory: readonly string[];
}

/** Whose word counts for the version of kubectl; others bring it along. */
const kubectlOwners: readonly string[] = ["cli", "cli-artifacts"];

/**
 * The versions that the components announce, as `oc adm release info` has them: where they contradict each other, the text that sorts first counts. What is no pair of name and value
 * is passed over.
 */
export function componentVersions({ components }: UntrustedRelease): ComponentVersions {
  const found = new Map<string, { readonly versions: Set<string>; readonly displayNames: Set<string> }>();
  for (const { name: owner, annotations } of components) {
    const displayNames = pairsOf(annotations["io.openshift.build.version-display-names"]);
    for (const [name, version] of pairsOf(annotations["io.openshift.build.versions"])) {
      if (name === "kubectl" && !kubectlOwners.includes(owner)) continue;
      const known = found.get(name) ?? { versions: new Set(), displayNames: new Set() };
      found.set(name, known);
      known.versions.add(version);
      known.displayNames.add(displayNames.get(name) ?? "");
    }
  }
  const sorted = [...found].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    versions: sorted.map(([name, { versions, displayNames }]) => {
      return { name, version: [...versions].toSorted()[0]!, displayName: [...displayNames].toSorted()[0]! };
    }),
    contradictory: sorted.flatMap(([name, known]) =>
      known.versions.size > 1 || known.displayNames.size > 1 ? [name] : [],
    ),
  };
}

/** `a=1,b=2`. */
function pairsOf(text: string | undefined): ReadonlyMap<string, string> {
  const pairs = (text ?? "").split(",").map((part): [string, string] => {
    const at = part.indexOf("=");
    return at < 1 ? ["", ""] : [part.slice(0, at).trim(), part.slice(at + 1).trim()];
  });
  return new Map(pairs.filter(([name, value]) => name !== "" && value !== ""));
}

/** How one release's images differ from another's. Names are sorted. */
export interface ReleaseDifference {
  readonly added: readonly ReleaseComponent[];
  readonly removed: readonly ReleaseComponent[];
  readonly changed: readonly { readonly before: ReleaseComponent; readonly after: ReleaseComponent }[];
  readonly unchanged: number;
}

/** Compares by name, then by digest, or by the whole reference where one of the two has none. */
export function compareReleases(before: UntrustedRelease, after: UntrustedRelease): ReleaseDifference {
  const old = new Map(before.components.map((component) => [component.name, component]));
  const byName = (a: ReleaseComponent, b: ReleaseComponent): number => (a.name < b.name ? -1 : 1);
  const added: ReleaseComponent[] = [];
  const changed: { before: ReleaseComponent; after: ReleaseComponent }[] = [];
  for (const component of after.components.toSorted(byName)) {
    const known = old.get(component.name);
    if (known === undefined) added.push(component);
    else if ((known.digest ?? known.pullSpec) !== (component.digest ?? component.pullSpec))
      changed.push({ before: known, after: component });
    old.delete(component.name);
  }
  const removed = [...old.values()].toSorted(byName);
  return { added, removed, changed, unchanged: after.components.length - added.length - changed.length };
}

function parseObject(bytes: Uint8Array, what: string): JsonRecord {
  try {
    return parseJsonObject(bytes, what);
  } catch (cause) {
    if (!(cause instanceof FormatError) || cause.code === "input-too-large") throw cause;
    throw malformed(what, cause.message.replace(`${what}: `, ""), cause);
  }
}

function field(object: JsonRecord, name: string, what: string): unknown {
  try {
    return fieldOf(object, name, what);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw malformed(what, cause.message.replace(`${what}: `, ""), cause);
  }
}

function recordOf(value: unknown): JsonRecord {
  return isRecord(value) ? value : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function malformed(place: string, problem: string, cause?: unknown): FormatError {
  return new FormatError("release-malformed", `release image: ${place}: ${problem}`, {
    cause,
    hint: "no cluster reads it either; `oc adm release info` is another opinion",
  });
}
