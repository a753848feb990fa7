/** Lists of what refers to a manifest: an index whose entries name their type (distribution specification 1.1, "Listing Referrers"). */
import type { Digest } from "../../bytes/digest.ts";
import { MAX_MANIFEST_BYTES } from "../../bytes/limits.ts";
import { parseJson } from "../../bytes/strict-json.ts";
import { FormatError } from "../../errors.ts";
import { type UntrustedDescriptor, readDescriptor } from "./descriptor.ts";
import type { UntrustedManifest } from "./manifest.ts";
import { OCI_INDEX_TYPE } from "./media-types.ts";
import { manifestProblem, readArray, readMembers, readText, readWhole } from "./members.ts";

/** One entry of such a list. What it says has to be held against the manifest it names. */
export interface UntrustedReferrer extends UntrustedDescriptor {
  readonly artifactType?: string;
}

/** Entries of one list; see the limit on instances. */
const MAX_ENTRIES = 1_000;

/**
 * Reads a list of referrers.
 * @param what for messages
 * @throws FormatError `manifest-malformed`, `digest-malformed`, `json-malformed`, `input-too-large`
 */
export function parseReferrers(bytes: Uint8Array, what: string): readonly UntrustedReferrer[] {
  const document = parseJson(bytes, what, { maxBytes: MAX_MANIFEST_BYTES });
  const top = readMembers(document, "", ["schemaVersion", "mediaType", "manifests", "config", "layers"]);
  const version = top.get("schemaVersion");
  if (version === undefined || readWhole(version, "schemaVersion") !== 2)
    throw manifestProblem({ start: 0 }, "schemaVersion", `${what}: schemaVersion is not 2`);
  const mediaType = readText(top.get("mediaType"), "mediaType");
  if (mediaType !== undefined && mediaType !== OCI_INDEX_TYPE)
    throw manifestProblem({ start: 0 }, "mediaType", `${what}: not an OCI index`);
  if (top.has("config") || top.has("layers"))
    throw manifestProblem({ start: 0 }, "", `${what}: an image manifest and a list at once`);
  const entries = top.get("manifests");
  if (entries === undefined) throw manifestProblem({ start: 0 }, "manifests", `${what}: no manifests`);
  return readArray(entries, "manifests", MAX_ENTRIES).map((node, index) => {
    const path = `manifests[${index}]`;
    const artifactType = readText(
      readMembers(node, path, ["artifactType"]).get("artifactType"),
      `${path}.artifactType`,
    );
    return { ...readDescriptor(node, path), ...(artifactType === undefined ? {} : { artifactType }) };
  });
}

/**
 * What a list says of a manifest (distribution specification 1.1, "Pushing Manifests with Subject").
 * @param digest by which it is stored
 */
export function describeReferrer(manifest: UntrustedManifest, digest: Digest): UntrustedReferrer {
  const artifactType = artifactTypeOf(manifest);
  return {
    mediaType: manifest.mediaType,
    digest,
    size: manifest.raw.length,
    urls: [],
    annotations: manifest.kind === "schema1" ? new Map() : manifest.annotations,
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}

/** The type of an artifact: the one it states, or that of its config. */
export function artifactTypeOf(manifest: UntrustedManifest): string | undefined {
  if (manifest.kind === "schema1") return undefined;
  return manifest.artifactType ?? (manifest.kind === "image" ? manifest.config.mediaType : undefined);
}

interface ReferrersDocument {
  manifests: { digest: string }[] | null;
}

/**
 * Adds entries to a list and takes some out. Other entries and members that are not known stay as they are; a digest that is listed is not listed again.
 * @param bytes the list so far; undefined for a new one
 * @param what for messages
 * @returns undefined when nothing changes
 * @throws as {@link parseReferrers}; FormatError `input-too-large` when the list would outgrow what readers take
 */
export function writeReferrers(
  bytes: Uint8Array | undefined,
  change: { readonly add?: readonly UntrustedReferrer[]; readonly remove?: ReadonlySet<Digest> },
  what: string,
): Uint8Array | undefined {
  const { add = [], remove = new Set() } = change;
  const document: ReferrersDocument =
    bytes === undefined
      ? ({ schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests: [] } as ReferrersDocument)
      : readDocument(bytes, what);
  const before = document.manifests ?? [];
  const after = before.filter(({ digest }) => !remove.has(digest as Digest));
  const known = new Set(after.map(({ digest }) => digest));
  for (const referrer of add) {
    if (known.has(referrer.digest)) continue;
    known.add(referrer.digest);
    after.push(entryOf(referrer));
  }
  if (bytes !== undefined && after.length === before.length && after.every((entry, index) => entry === before[index]))
    return undefined;
  const result = new TextEncoder().encode(JSON.stringify({ ...document, manifests: after }));
  if (after.length > MAX_ENTRIES || result.length > MAX_MANIFEST_BYTES) {
    throw new FormatError("input-too-large", `${what} would grow beyond ${MAX_ENTRIES} referrers or 4 MiB`, {
      hint: "remove referrers that are not needed any more",
    });
  }
  return result;
}

/** The strict reader has the say on what is acceptable; only then is the document taken as an object. */
function readDocument(bytes: Uint8Array, what: string): ReferrersDocument {
  parseReferrers(bytes, what);
  return JSON.parse(new TextDecoder().decode(bytes)) as ReferrersDocument;
}

function entryOf({ mediaType, digest, size, artifactType, annotations }: UntrustedReferrer): { digest: string } {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations.size === 0 ? {} : { annotations: Object.fromEntries(annotations) }),
  } as { digest: string };
}
