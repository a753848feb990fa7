/** The policy identities of images: what a transport asks policy.json with (policy-json, section 3). */
import { FormatError, UsageError } from "../errors.ts";
import { formatReference, type Reference, referenceName, withDefaultTag } from "../reference/reference.ts";
import type { PolicyIdentity } from "./policy-identity.ts";

/**
 * The identity of a docker image: its full reference, then the repository, each parent path, the host with its port, and wildcards of the host's parent
 * domains. A name without tag and digest stands for `:latest`.
 *
 * @param reference the logical name that the user asked for, never that of a mirror
 * @throws FormatError `reference-malformed` for a reference with both tag and digest: which of the two scopes would govern it is not defined
 */
export function dockerPolicyIdentity(reference: Reference): PolicyIdentity {
  if (reference.tag !== undefined && reference.digest !== undefined) {
    throw new FormatError(
      "reference-malformed",
      `${formatReference(reference)}: references with both a tag and digest are not supported here`,
      { hint: "name the image by its tag or by its digest" },
    );
  }
  const namespaces: string[] = [];
  const name = referenceName(reference);
  for (let end = name.length; end >= 0; end = name.lastIndexOf("/", end - 1)) namespaces.push(name.slice(0, end));
  // Wildcards stand for one or more leading labels. They have no port, and the top-level domain keeps at least one label.
  const colon = reference.domain.indexOf(":");
  const host = colon < 0 ? reference.domain : reference.domain.slice(0, colon);
  for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) namespaces.push(`*${host.slice(dot)}`);
  return { transport: "docker", identity: formatReference(withDefaultTag(reference)), namespaces };
}

/** The identity of every image in a docker archive: none. Only the scope `""` and the policy's default can govern it. */
export function dockerArchivePolicyIdentity(): PolicyIdentity {
  return { transport: "docker-archive", identity: "", namespaces: [] };
}

/**
 * The identity of an image in a docker engine: as of a docker image of that name; none for an image that is named by its id.
 * @throws FormatError as {@link dockerPolicyIdentity}
 */
export function dockerDaemonPolicyIdentity(reference: Reference | undefined): PolicyIdentity {
  const transport = "docker-daemon";
  if (reference === undefined) return { transport, identity: "", namespaces: [] };
  return { ...dockerPolicyIdentity(reference), transport };
}

/** An image in a local storage, as it is looked for. At least one of `reference` and `id` is given. */
export interface StoredImageName {
  /** With a tag, a digest or both. */
  readonly reference?: Reference;
  /** 64 hex digits. */
  readonly id?: string;
}

/**
 * The identity of an image in a store of podman and its kin: `[driver@root]name:tag@digest@id`, then without the id, without the digest where there is a tag too, the
 * repository and each parent path down to the host, then the store with and without its driver. There are no wildcards.
 *
 * @param store storage driver and absolute root folder
 */
export function storagePolicyIdentity(
  store: { readonly driver: string; readonly root: string },
  image: StoredImageName,
): PolicyIdentity {
  const { reference, id } = image;
  const prefix = `[${store.driver}@${store.root}]`;
  const named = reference === undefined ? "" : formatReference(withDefaultTag(reference));
  const namespaces: string[] = [];
  if (reference !== undefined) {
    if (id !== undefined) namespaces.push(prefix + named);
    const name = referenceName(reference);
    if (reference.tag !== undefined && reference.digest !== undefined) {
      namespaces.push(`${prefix}${name}:${reference.tag}`);
    }
    for (let end = name.length; end > 0; end = name.lastIndexOf("/", end - 1)) {
      namespaces.push(prefix + name.slice(0, end));
    }
  }
  namespaces.push(prefix, `[${store.root}]`);
  return {
    transport: "containers-storage",
    identity: `${prefix}${named}${id === undefined ? "" : `@${id}`}`,
    namespaces,
  };
}

/**
 * The identity of an image in a folder or file: its path, then each parent folder except the root.
 *
 * @param transport `dir`, `oci` or `oci-archive`, as policy.json writes it
 * @param path absolute, symbolic links resolved, clean; without the name of an image inside
 * @throws UsageError `image-name-malformed` for a path that is not absolute
 */
export function pathPolicyIdentity(transport: string, path: string): PolicyIdentity {
  if (!path.startsWith("/")) {
    throw new UsageError("image-name-malformed", `${transport}: the path ${JSON.stringify(path)} is not absolute`);
  }
  const namespaces: string[] = [];
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    namespaces.push(path.slice(0, end));
  }
  return { transport, identity: path, namespaces };
}
