/** What a release image says of itself: `release-manifests/image-references` and `release-metadata`. Nothing in it is trusted beyond the image's own digest. */
import { type Digest, FormatError, type Reference, parseReference } from "@signet/core";
import { isRecord } from "../kubernetes/manifests.ts";

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
  if (stream["kind"] !== "ImageStream")
    throw malformed("image-references", `kind ${JSON.stringify(stream["kind"])} is not ImageStream`);
  const meta = isRecord(stream["metadata"]) ? stream["metadata"] : {};
  const name = textOf(meta["name"]);
  const spec = isRecord(stream["spec"]) ? stream["spec"] : {};
  const tags = spec["tags"];
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
    throw malformed("release-metadata", `version ${read.version} is not that of image-references, ${name}`);
  return {
    name,
    created: textOf(meta["creationTimestamp"]),
    components: [...byName.values()],
    metadata: read,
    warnings,
    raw: { imageReferences, metadata },
  };
}

/** Undefined for a tag that does not name an image, which readers pass over. */
function readComponent(tag: unknown, place: string): ReleaseComponent | undefined {
  if (!isRecord(tag) || !isRecord(tag["from"])) throw malformed(place, "it has no from");
  if (tag["from"]["kind"] !== "DockerImage") return undefined;
  const name = textOf(tag["name"]);
  if (name === "") throw malformed(place, "it has no name");
  const pullSpec = textOf(tag["from"]["name"]);
  let reference: Reference;
  try {
    reference = parseReference(pullSpec);
  } catch (cause) {
    throw malformed(place, `${JSON.stringify(pullSpec)} is no image reference`, cause);
  }
  const annotations = isRecord(tag["annotations"]) ? tag["annotations"] : {};
  const texts = Object.entries(annotations).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return { name, pullSpec, reference, digest: reference.digest, annotations: Object.fromEntries(texts) };
}

function readMetadata(bytes: Uint8Array): UntrustedReleaseMetadata {
  const value = parseObject(bytes, "release-metadata");
  if (value["kind"] !== "cincinnati-metadata-v0")
    throw malformed("release-metadata", `unrecognized Cincinnati metadata kind ${JSON.stringify(value["kind"])}`);
  const metadata = isRecord(value["metadata"]) ? value["metadata"] : {};
  const texts = Object.entries(metadata).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return {
    version: textOf(value["version"]),
    previous: textsOf(value["previous"]),
    next: textsOf(value["next"]),
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

/** The versions that the components announce, each name once, sorted: what `oc adm release info` calls component versions. */
export function componentVersions({ components }: UntrustedRelease): readonly ComponentVersion[] {
  const versions = new Map<string, ComponentVersion>();
  for (const { annotations } of components) {
    const displayNames = pairsOf(annotations["io.openshift.build.version-display-names"]);
    for (const [name, version] of pairsOf(annotations["io.openshift.build.versions"])) {
      if (!versions.has(name)) versions.set(name, { name, version, displayName: displayNames.get(name) ?? "" });
    }
  }
  return [...versions.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
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

function parseObject(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw malformed(what, "it is not JSON", cause);
  }
  if (!isRecord(value)) throw malformed(what, "it is not a JSON object");
  return value;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function malformed(place: string, problem: string, cause?: unknown): FormatError {
  return new FormatError("release-malformed", `release image: ${place}: ${problem}`, { cause });
}
