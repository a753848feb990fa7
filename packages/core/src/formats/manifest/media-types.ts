/** Media types of manifests and configs, as docker's and the OCI's specifications name them. */

export const DOCKER_SCHEMA1_TYPE = "application/vnd.docker.distribution.manifest.v1+json";
export const DOCKER_SCHEMA1_SIGNED_TYPE = "application/vnd.docker.distribution.manifest.v1+prettyjws";
export const DOCKER_SCHEMA2_TYPE = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_LIST_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json";
export const OCI_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX_TYPE = "application/vnd.oci.image.index.v1+json";

/** The config of an image whose manifest is docker's schema 2. */
export const DOCKER_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json";

/** The config of an image whose manifest is the OCI's. */
export const OCI_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";

/** A media type of a manifest that Signet reads. */
export type ManifestMediaType =
  | typeof OCI_MANIFEST_TYPE
  | typeof OCI_INDEX_TYPE
  | typeof DOCKER_SCHEMA2_TYPE
  | typeof DOCKER_LIST_TYPE
  | typeof DOCKER_SCHEMA1_SIGNED_TYPE
  | typeof DOCKER_SCHEMA1_TYPE;

/** Every {@link ManifestMediaType}; fit for an `Accept` header. */
export const manifestMediaTypes: readonly ManifestMediaType[] = [
  OCI_MANIFEST_TYPE,
  OCI_INDEX_TYPE,
  DOCKER_SCHEMA2_TYPE,
  DOCKER_LIST_TYPE,
  DOCKER_SCHEMA1_SIGNED_TYPE,
  DOCKER_SCHEMA1_TYPE,
];

/** True for a media type of {@link manifestMediaTypes}. */
export function isManifestMediaType(text: string): text is ManifestMediaType {
  return (manifestMediaTypes as readonly string[]).includes(text);
}

/** What registries and object stores say of bytes they know nothing about: no claim, and so no contradiction to any content. */
const genericTypes: ReadonlySet<string> = new Set([
  "",
  "application/json",
  "application/octet-stream",
  "binary/octet-stream",
  "text/plain",
]);

/**
 * The media type that a declaration (an HTTP `Content-Type`, a descriptor) claims: without parameters, in lower case.
 * @returns undefined for no declaration, or one that claims nothing, such as `text/plain`
 */
export function claimedMediaType(declared: string | undefined): string | undefined {
  if (declared === undefined) return undefined;
  const type = declared.split(";", 1)[0]!.trim().toLowerCase();
  return genericTypes.has(type) ? undefined : type;
}
