/** Image names as skopeo writes them: a transport, a colon, and what that transport makes of the rest. */
import { lstat, realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import {
  type Reference,
  StoreError,
  UsageError,
  dockerArchivePolicyIdentity,
  dockerPolicyIdentity,
  formatReference,
  pathPolicyIdentity,
  withDefaultTag,
} from "@signet/core";
import { errnoOf, fileError } from "../config/file-error.ts";
import { type HostEnvironment, currentHost } from "../config/host-environment.ts";
import { knownTransports, malformedName, parseNameReference, shownName } from "./image-name-parts.ts";
import { parseDaemonName, parseStorageName } from "./local-image-name.ts";
import { isShortName } from "../config/short-names.ts";
import type { ImageName } from "./transport.ts";

/** What the field knows besides the transports that are offered, and where such an image can be brought from. */
const transportsElsewhere: ReadonlyMap<string, string> = new Map([
  ["atomic", "use the docker:// name of the registry that the image stream is served from"],
  ["ostree", "the transport was withdrawn by its makers"],
  ["sif", "convert it first: `skopeo copy sif:FILE dir:PATH`"],
  ["tarball", "convert it first: `skopeo copy tarball:FILE dir:PATH`"],
]);

/** Characters: longest image name looked at; a path can be 4096 long, and a tag comes on top. */
const MAX_NAME_LENGTH = 8192;

export interface ImageNameOptions {
  /** Where relative paths start. Default: the working directory of the process. */
  readonly cwd?: string;
  /** Where the configuration of the local image storage is found. Default: the environment of this process. */
  readonly host?: HostEnvironment;
  /**
   * Completes a bare name without a host, such as `busybox:1`; see `resolveShortName`. Never asked about `docker://busybox:1`, which always means docker.io. Default: docker.io.
   */
  readonly resolveShortName?: (name: string) => string | Promise<string>;
}

/**
 * Parses an image name and settles what policy.json will be asked with. A docker name without tag and digest gets `:latest`; paths become absolute with
 * their symbolic links resolved, and of a destination that does not exist yet the folder it will lie in.
 *
 * Not checked: whether the image exists.
 * @param text `docker://host/repo:tag`, `dir:PATH`, `oci:PATH[:TAG|:@N]`, `oci-archive:FILE[:TAG|:@N]`, `docker-archive:FILE[:REF|:@N]`, `docker-daemon:REF|ID`,
 *   `containers-storage:[[STORE]]NAME`, or a bare docker reference
 * @throws UsageError `image-name-malformed`, `transport-unsupported`; StoreError `file-missing`, `file-unreadable` when the path cannot be resolved; of names in the
 *   local storage what `locateStore` throws; what `resolveShortName` throws
 */
export async function parseImageName(text: string, options: ImageNameOptions = {}): Promise<ImageName> {
  if (text.length > MAX_NAME_LENGTH) throw malformedName(text, `longer than ${MAX_NAME_LENGTH} characters`);
  if (text.includes("\0")) throw malformedName(text, "it holds a NUL character");
  const cwd = options.cwd ?? process.cwd();
  const colon = text.indexOf(":");
  const transport = colon < 0 ? "" : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  if (transport === "docker") return dockerName(text, rest);
  if (transport === "dir") return dirName(text, rest, cwd);
  if (transport === "oci" || transport === "oci-archive") return ociName(text, transport, rest, cwd);
  if (transport === "docker-archive") return dockerArchiveName(text, rest, cwd);
  if (transport === "docker-daemon") return parseDaemonName(text, rest);
  if (transport === "containers-storage") return parseStorageName(text, rest, options.host ?? currentHost());
  const elsewhere = transportsElsewhere.get(transport);
  if (elsewhere !== undefined) {
    throw new UsageError(
      "transport-unsupported",
      `${shownName(text)}: the transport ${transport}: is not offered here`,
      {
        hint: elsewhere,
      },
    );
  }
  if (looksLikeTransport(transport, rest)) {
    throw new UsageError(
      "transport-unsupported",
      `${shownName(text)}: unknown transport ${JSON.stringify(transport)}`,
      {
        hint: `the transports are ${knownTransports}; a bare name means docker://`,
      },
    );
  }
  return await bareName(text, options);
}

/** `name:tag` and `host:5000/repo` are docker references; a path or `//` after the colon can only belong to a transport. */
function looksLikeTransport(transport: string, rest: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+-]*$/.test(transport) && /^(?:\/|\.{1,2}(?:\/|$)|~)/.test(rest);
}

async function bareName(text: string, { resolveShortName }: ImageNameOptions): Promise<ImageName> {
  if (/^(?:\.{0,2}\/|~\/)/.test(text))
    throw malformedName(text, "a path needs its transport in front", `write dir:${text} or oci:${text}`);
  const name = dockerReferenceName(text, text);
  if (resolveShortName === undefined || !isShortName(text)) return name;
  return dockerReferenceName(text, await resolveShortName(text));
}

function dockerName(text: string, rest: string): ImageName {
  if (!rest.startsWith("//")) {
    throw malformedName(
      text,
      "docker: must be followed by //",
      `write docker://${rest}, or docker://${text} for an image called docker`,
    );
  }
  return dockerReferenceName(text, rest.slice(2));
}

function dockerReferenceName(text: string, reference: string): ImageName {
  const parsed = parseNameReference(reference);
  if (parsed.tag !== undefined && parsed.digest !== undefined) {
    // A registry is asked by one of the two; which one the user meant to rely on must not be guessed.
    throw malformedName(
      text,
      "a docker name with both a tag and a digest is not supported",
      "leave the tag out: the digest alone names the image",
    );
  }
  const full = withDefaultTag(parsed);
  return {
    transport: "docker",
    text: `docker://${formatReference(full)}`,
    reference: full,
    policyIdentity: dockerPolicyIdentity(full),
  };
}

async function dirName(text: string, rest: string, cwd: string): Promise<ImageName> {
  const path = await resolvePath(text, rest, cwd);
  return {
    transport: "dir",
    text: `dir:${path}`,
    reference: undefined,
    policyIdentity: pathPolicyIdentity("dir", path),
    path,
  };
}

/** `org.opencontainers.image.ref.name` as the OCI image-spec (annotations, "Pre-Defined Annotation Keys") spells its grammar. */
const imageNameForm =
  /^[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*(?:\/[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*)*$/;

async function ociName(text: string, transport: "oci" | "oci-archive", rest: string, cwd: string): Promise<ImageName> {
  // The first colon ends the path; the name after it may hold further ones.
  const colon = rest.indexOf(":");
  const image = colon < 0 ? "" : rest.slice(colon + 1);
  const position = parsePosition(text, image);
  if (position === undefined && image !== "" && !imageNameForm.test(image)) {
    throw malformedName(
      text,
      `invalid image name ${JSON.stringify(image)} after the path`,
      "write PATH:TAG or PATH:@N",
    );
  }
  const path = await resolvePath(text, colon < 0 ? rest : rest.slice(0, colon), cwd);
  if (path.includes(":"))
    throw malformedName(text, "the resolved path holds a colon, which separates path and name here");
  return {
    transport,
    text: `${transport}:${path}${image === "" ? "" : `:${image}`}`,
    reference: undefined,
    policyIdentity: pathPolicyIdentity(transport, path),
    path,
    ...(position !== undefined ? { imagePosition: position } : image === "" ? {} : { imageName: image }),
  };
}

async function dockerArchiveName(text: string, rest: string, cwd: string): Promise<ImageName> {
  const colon = rest.indexOf(":");
  const image = colon < 0 ? undefined : rest.slice(colon + 1);
  const position = image === undefined ? undefined : parsePosition(text, image);
  let reference: Reference | undefined;
  if (image !== undefined && position === undefined) {
    reference = withDefaultTag(parseNameReference(image));
    if (reference.digest !== undefined) {
      throw malformedName(text, "such an archive knows no digests", "write FILE:REPOSITORY:TAG or FILE:@N");
    }
  }
  const path = await resolvePath(text, colon < 0 ? rest : rest.slice(0, colon), cwd);
  if (path.includes(":"))
    throw malformedName(text, "the resolved path holds a colon, which separates path and name here");
  const suffix = reference !== undefined ? `:${formatReference(reference)}` : image === undefined ? "" : `:${image}`;
  return {
    transport: "docker-archive",
    text: `docker-archive:${path}${suffix}`,
    reference,
    policyIdentity: dockerArchivePolicyIdentity(),
    path,
    ...(position === undefined ? {} : { imagePosition: position }),
  };
}

/** `@3`: the fourth image of the index, whatever its name. */
function parsePosition(text: string, image: string): number | undefined {
  if (!image.startsWith("@")) return undefined;
  if (!/^@[0-9]{1,9}$/.test(image))
    throw malformedName(text, `${JSON.stringify(image)} is not a position`, "a position is written :@0, :@1, …");
  return Number(image.slice(1));
}

async function resolvePath(text: string, path: string, cwd: string): Promise<string> {
  if (path === "") throw malformedName(text, "the path is missing");
  const absolute = resolve(cwd, path);
  try {
    return await realpath(absolute);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw fileError(error, absolute, "read");
  }
  if (await isThere(absolute)) {
    throw new StoreError("file-missing", `${absolute} is a symbolic link to something that does not exist`, {
      side: "local",
      hint: "remove the link or create its target",
    });
  }
  try {
    return join(await realpath(dirname(absolute)), basename(absolute));
  } catch (error) {
    throw fileError(error, dirname(absolute), "read", "the folder");
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}
