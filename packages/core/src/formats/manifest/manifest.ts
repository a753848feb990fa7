/** Image manifests as they arrive: which kind a byte string is, and what it names. Nothing read here is trusted. */
import { MAX_MANIFEST_BYTES } from "../../bytes/limits.ts";
import { type JsonNode, parseJson } from "../../bytes/strict-json.ts";
import { FormatError } from "../../errors.ts";
import { type UntrustedDescriptor, type UntrustedInstance, readDescriptor, readInstance } from "./descriptor.ts";
import {
  DOCKER_CONFIG_TYPE,
  DOCKER_LIST_TYPE,
  DOCKER_SCHEMA1_SIGNED_TYPE,
  DOCKER_SCHEMA1_TYPE,
  DOCKER_SCHEMA2_TYPE,
  OCI_INDEX_TYPE,
  OCI_MANIFEST_TYPE,
  claimedMediaType,
  isManifestMediaType,
} from "./media-types.ts";
import {
  MAX_LAYERS,
  type Members,
  manifestProblem,
  readAnnotations,
  readArray,
  readMembers,
  readText,
  readWhole,
} from "./members.ts";
import { type UntrustedSchema1Manifest, parseSchema1 } from "./schema1.ts";

/** A manifest of one image: docker schema 2 or OCI. */
export interface UntrustedImageManifest {
  readonly kind: "image";
  readonly mediaType: typeof DOCKER_SCHEMA2_TYPE | typeof OCI_MANIFEST_TYPE;
  readonly config: UntrustedDescriptor;
  /** Base layer first. */
  readonly layers: readonly UntrustedDescriptor[];
  readonly annotations: ReadonlyMap<string, string>;
  /** OCI: the manifest that this one is about. */
  readonly subject?: UntrustedDescriptor;
  readonly artifactType?: string;
  readonly raw: Uint8Array;
}

/** A docker manifest list or an OCI index. */
export interface UntrustedManifestList {
  readonly kind: "list";
  readonly mediaType: typeof DOCKER_LIST_TYPE | typeof OCI_INDEX_TYPE;
  readonly instances: readonly UntrustedInstance[];
  readonly annotations: ReadonlyMap<string, string>;
  readonly subject?: UntrustedDescriptor;
  readonly artifactType?: string;
  readonly raw: Uint8Array;
}

/** A manifest of a kind that Signet reads. */
export type UntrustedManifest = UntrustedImageManifest | UntrustedSchema1Manifest | UntrustedManifestList;

/**
 * Instances of one list. The largest genuine ones have some dozens (platforms times attestations). Each one costs a request when a whole list is copied or verified,
 * so a hostile list must not name tens of thousands.
 */
export const MAX_INSTANCES: number = 1_000;

/** The members that decide what a manifest is. Each belongs to some kinds only, and is a sign of confusion in the others. */
const structural = ["config", "layers", "manifests", "fsLayers", "history", "signatures"] as const;

const topMembers = [
  ...structural,
  "schemaVersion",
  "mediaType",
  "subject",
  "artifactType",
  "annotations",
  "name",
  "tag",
  "architecture",
];

/**
 * Reads a manifest so that it can mean one thing only. Refused, besides what is malformed: members of two kinds in one document (`layers` and `manifests`), a `mediaType`
 * that contradicts the other members or the declared type, a member that occurs twice or in another case (Go programs match names without case), digests that are none.
 *
 * Not checked: the digest of the bytes, and what the descriptors point to.
 *
 * @param bytes as stored; kept as `raw`
 * @param declaredMediaType what the source says, such as HTTP's `Content-Type`; undefined, empty or generic (`application/json`, `text/plain`) means nothing was said
 * @throws FormatError `manifest-malformed`, `manifest-unsupported` for a kind that is not known, `json-malformed`, `digest-malformed`, `input-too-large`
 *
 * Source: docker image manifest v2 schemas 1 and 2; OCI image-spec 1.1, manifest and image-index; advisory GHSA-qq97-vm5h-rrhg for the confusion.
 */
export function parseManifest(bytes: Uint8Array, declaredMediaType?: string): UntrustedManifest {
  const document = parseJson(bytes, "manifest", { maxBytes: MAX_MANIFEST_BYTES });
  const top = readMembers(document, "", topMembers);
  const schemaVersion = top.get("schemaVersion");
  const mediaType = readText(top.get("mediaType"), "mediaType");
  const claimed = claimedMediaType(declaredMediaType);
  const version = schemaVersion === undefined ? undefined : readWhole(schemaVersion, "schemaVersion");

  if (version === 1) {
    refuseMembers(top, ["config", "layers", "manifests"], "a schema 1 manifest");
    for (const type of [mediaType, claimed]) {
      if (type !== undefined && type !== DOCKER_SCHEMA1_TYPE && type !== DOCKER_SCHEMA1_SIGNED_TYPE) {
        throw contradiction(type, "a schema 1 manifest");
      }
    }
    return parseSchema1(bytes, document, top);
  }
  if (version !== 2) {
    throw new FormatError("manifest-unsupported", `manifest schema version ${version ?? "missing"} is not known`, {
      hint: "docker schema 1 and 2, docker lists, OCI manifests and indexes are read",
    });
  }
  const stated = agreedType(mediaType, claimed);
  return top.has("manifests") ? readList(bytes, top, stated) : readImage(bytes, top, stated);
}

/** The one type that document and declaration state; undefined when neither does. */
function agreedType(mediaType: string | undefined, claimed: string | undefined): string | undefined {
  if (mediaType !== undefined && claimed !== undefined && mediaType !== claimed) {
    throw new FormatError(
      "manifest-malformed",
      `the manifest says it is ${quote(mediaType)}, its source says ${quote(claimed)}`,
      { path: "mediaType" },
    );
  }
  const type = mediaType ?? claimed;
  if (type === undefined || isManifestMediaType(type)) return type;
  throw new FormatError("manifest-unsupported", `manifests of type ${quote(type)} are not known`, {
    path: "mediaType",
    hint: "docker schema 1 and 2, docker lists, OCI manifests and indexes are read",
  });
}

function readList(bytes: Uint8Array, top: Members, stated: string | undefined): UntrustedManifestList {
  const what = "a manifest list";
  refuseMembers(top, ["config", "layers", "fsLayers", "history", "signatures"], what);
  const mediaType = stated ?? OCI_INDEX_TYPE;
  if (mediaType !== DOCKER_LIST_TYPE && mediaType !== OCI_INDEX_TYPE) throw contradiction(mediaType, what);
  const items = readArray(top.get("manifests")!, "manifests", MAX_INSTANCES);
  const instances = items.map((item, index) => readInstance(item, `manifests[${index}]`));
  return { kind: "list", mediaType, instances, ...readCommon(top), raw: bytes };
}

function readImage(bytes: Uint8Array, top: Members, stated: string | undefined): UntrustedImageManifest {
  const what = "an image manifest";
  refuseMembers(top, ["manifests", "fsLayers", "history", "signatures"], what);
  const configNode = top.get("config");
  const layersNode = top.get("layers");
  if (configNode === undefined || layersNode === undefined) {
    throw manifestProblem({ start: 0 }, "", "neither an image (config and layers) nor a list (manifests)");
  }
  const config = readDescriptor(configNode, "config");
  // Without a word on its type, the config tells docker's manifests from the OCI's, as in the reference implementation.
  const mediaType = stated ?? (config.mediaType === DOCKER_CONFIG_TYPE ? DOCKER_SCHEMA2_TYPE : OCI_MANIFEST_TYPE);
  if (mediaType !== DOCKER_SCHEMA2_TYPE && mediaType !== OCI_MANIFEST_TYPE) throw contradiction(mediaType, what);
  const items = readArray(layersNode, "layers", MAX_LAYERS);
  const layers = items.map((item, index) => readDescriptor(item, `layers[${index}]`));
  return { kind: "image", mediaType, config, layers, ...readCommon(top), raw: bytes };
}

function readCommon(top: Members): Pick<UntrustedManifestList, "annotations" | "subject" | "artifactType"> {
  const subject = top.get("subject");
  const artifactType = readText(top.get("artifactType"), "artifactType");
  return {
    annotations: readAnnotations(top.get("annotations"), "annotations"),
    ...(subject === undefined || subject.kind === "null" ? {} : { subject: readDescriptor(subject, "subject") }),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}

/** Present is enough: some readers take a member that is null or empty for a sign of another kind of manifest. */
function refuseMembers(top: Members, names: readonly (typeof structural)[number][], what: string): void {
  for (const name of names) {
    const node: JsonNode | undefined = top.get(name);
    if (node !== undefined) throw manifestProblem(node, name, `${JSON.stringify(name)} has no place in ${what}`);
  }
}

function contradiction(type: string, what: string): FormatError {
  return new FormatError(
    "manifest-malformed",
    `type ${quote(type)} contradicts the content, which is that of ${what}`,
    {
      path: "mediaType",
    },
  );
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
