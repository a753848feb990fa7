import { type Digest, parseDigest } from "../../bytes/digest.ts";
import type { JsonNode } from "../../bytes/strict-json.ts";
import { FormatError } from "../../errors.ts";
import { manifestProblem, readAnnotations, readArray, readMembers, readText, readWhole } from "./members.ts";

/** What a manifest says of a blob or of another manifest. The digest is well-formed; whether anything has it is not known. */
export interface UntrustedDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Places outside the registry; used by layers that may not be distributed. Never followed without being asked to. */
  readonly urls: readonly string[];
  readonly annotations: ReadonlyMap<string, string>;
  /** The content itself in base64, where the manifest holds it. Not decoded, and not held against digest and size. */
  readonly data?: string;
}

/** What an image runs on. */
export interface Platform {
  /** As Go names it: `linux`. */
  readonly os: string;
  /** As Go names it: `amd64`, `arm64`, `arm`. */
  readonly architecture: string;
  /** Such as `v7` for arm. Absent and empty mean the same. */
  readonly variant?: string;
}

/** One manifest of a list. */
export interface UntrustedInstance extends UntrustedDescriptor {
  /** OCI indexes may leave it out. */
  readonly platform?: Platform & {
    readonly osVersion?: string;
  };
}

/** URLs of one descriptor; genuine ones have one or two. */
const MAX_URLS = 100;

const descriptorMembers = ["mediaType", "digest", "size", "urls", "annotations", "platform", "data", "artifactType"];
const platformMembers = ["architecture", "os", "variant", "os.version", "os.features", "features"];

/** @throws FormatError `manifest-malformed`, `digest-malformed` */
export function readDescriptor(node: JsonNode, path: string): UntrustedDescriptor {
  return readParts(node, path).descriptor;
}

/** @throws FormatError `manifest-malformed`, `digest-malformed` */
export function readInstance(node: JsonNode, path: string): UntrustedInstance {
  const { descriptor, platform } = readParts(node, path);
  if (platform === undefined || platform.kind === "null") return descriptor;
  return { ...descriptor, platform: readPlatform(platform, `${path}.platform`) };
}

function readParts(node: JsonNode, path: string): { descriptor: UntrustedDescriptor; platform: JsonNode | undefined } {
  const members = readMembers(node, path, descriptorMembers);
  const mediaType = readText(members.get("mediaType"), `${path}.mediaType`);
  const size = members.get("size");
  if (mediaType === undefined) throw manifestProblem(node, path, `${path} has no mediaType`);
  if (size === undefined) throw manifestProblem(node, path, `${path} has no size`);
  const urls = members.get("urls");
  const data = members.get("data");
  const descriptor = {
    mediaType,
    digest: readDigest(members.get("digest"), node, `${path}.digest`),
    size: readWhole(size, `${path}.size`),
    urls:
      urls === undefined ? [] : readArray(urls, `${path}.urls`, MAX_URLS).map((url) => readUrl(url, `${path}.urls`)),
    annotations: readAnnotations(members.get("annotations"), `${path}.annotations`),
    ...(data?.kind === "string" ? { data: data.value } : {}),
  };
  return { descriptor, platform: members.get("platform") };
}

/** A digest with its place in the manifest, should it be none. */
export function readDigest(node: JsonNode | undefined, owner: JsonNode, path: string): Digest {
  const text = readText(node, path);
  if (text === undefined) throw manifestProblem(node ?? owner, path, `${path} is missing or empty`);
  try {
    return parseDigest(text);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError(error.code, `manifest: ${path}: ${error.message}`, { offset: node!.start, path });
  }
}

function readUrl(node: JsonNode, path: string): string {
  const url = readText(node, path);
  if (url === undefined) throw manifestProblem(node, path, `${path} holds an empty text`);
  return url;
}

function readPlatform(node: JsonNode, path: string): NonNullable<UntrustedInstance["platform"]> {
  const members = readMembers(node, path, platformMembers);
  const variant = readText(members.get("variant"), `${path}.variant`);
  const osVersion = readText(members.get("os.version"), `${path}.os.version`);
  return {
    os: readText(members.get("os"), `${path}.os`) ?? "",
    architecture: readText(members.get("architecture"), `${path}.architecture`) ?? "",
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
  };
}
