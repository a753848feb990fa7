/** The media types of docker's and the OCI's images, mapped on each other. */
import {
  DOCKER_CONFIG_TYPE,
  DOCKER_LIST_TYPE,
  DOCKER_SCHEMA2_TYPE,
  OCI_CONFIG_TYPE,
  OCI_INDEX_TYPE,
  OCI_MANIFEST_TYPE,
} from "./media-types.ts";

/** A family of manifests that an image can be written in: docker's schema 2 with its lists, or the OCI's manifests with their indexes. */
export type ManifestFormat = "docker" | "oci";

/** What the manifests of one family and their configs are called. */
export interface FormatTypes {
  readonly image: typeof DOCKER_SCHEMA2_TYPE | typeof OCI_MANIFEST_TYPE;
  readonly list: typeof DOCKER_LIST_TYPE | typeof OCI_INDEX_TYPE;
  readonly config: typeof DOCKER_CONFIG_TYPE | typeof OCI_CONFIG_TYPE;
}

export const formatTypes: Readonly<Record<ManifestFormat, FormatTypes>> = {
  docker: { image: DOCKER_SCHEMA2_TYPE, list: DOCKER_LIST_TYPE, config: DOCKER_CONFIG_TYPE },
  oci: { image: OCI_MANIFEST_TYPE, list: OCI_INDEX_TYPE, config: OCI_CONFIG_TYPE },
};

/** The family that a manifest's media type belongs to; undefined for schema 1, which belongs to neither. */
export function formatOfManifest(mediaType: string): ManifestFormat | undefined {
  for (const format of ["docker", "oci"] as const) {
    const { image, list } = formatTypes[format];
    if (mediaType === image || mediaType === list) return format;
  }
  return undefined;
}

/** Layers by what they are, in both families. Docker's registries and daemons know no zstd, though some builders write its type: it is read, and never written. */
const layerTypes: readonly { readonly docker: string; readonly oci: string; readonly dockerWrites: boolean }[] = [
  {
    docker: "application/vnd.docker.image.rootfs.diff.tar",
    oci: "application/vnd.oci.image.layer.v1.tar",
    dockerWrites: true,
  },
  {
    docker: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    oci: "application/vnd.oci.image.layer.v1.tar+gzip",
    dockerWrites: true,
  },
  {
    docker: "application/vnd.docker.image.rootfs.foreign.diff.tar",
    oci: "application/vnd.oci.image.layer.nondistributable.v1.tar",
    dockerWrites: true,
  },
  {
    docker: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    oci: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    dockerWrites: true,
  },
  {
    docker: "application/vnd.docker.image.rootfs.diff.tar.zstd",
    oci: "application/vnd.oci.image.layer.v1.tar+zstd",
    dockerWrites: false,
  },
];

/** What a layer is called in the other family; undefined where that has no word for it. A layer that is named in the wanted family already keeps its name. */
export function convertLayerType(mediaType: string, format: ManifestFormat): string | undefined {
  const row = layerTypes.find(({ docker, oci }) => mediaType === docker || mediaType === oci);
  if (row === undefined) return undefined;
  return format === "oci" ? row.oci : row.dockerWrites ? row.docker : undefined;
}
