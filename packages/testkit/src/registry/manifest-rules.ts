import type { RegistryErrorCode } from "./answer.ts";
import type { Repository } from "./storage.ts";

interface Descriptor {
  readonly mediaType?: string;
  readonly digest?: string;
  readonly size?: number;
  readonly urls?: readonly string[];
}

interface ManifestDocument {
  readonly schemaVersion?: number;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

const schema1 = "application/vnd.docker.distribution.manifest.v1+";

/** What a registry checks of a pushed manifest: JSON, the media type, and that everything it names is there. Undefined when it may be stored. */
export function checkManifest(
  repository: Repository,
  bytes: Uint8Array,
  mediaType: string,
): { readonly code: RegistryErrorCode; readonly message: string } | undefined {
  const document = parseDocument(bytes);
  if (document === undefined) return { code: "MANIFEST_INVALID", message: "manifest is not a JSON object" };
  if (mediaType === "") return { code: "MANIFEST_INVALID", message: "Content-Type is required" };
  if (document.mediaType !== undefined && document.mediaType !== mediaType)
    return { code: "MANIFEST_INVALID", message: "mediaType differs from Content-Type" };
  if (mediaType.startsWith(schema1)) return undefined;
  const blobs = [document.config, ...(document.layers ?? [])].filter((one) => one !== undefined);
  const missingBlob = blobs.find(({ digest = "", urls }) => urls === undefined && !repository.blobs.has(digest));
  if (missingBlob !== undefined)
    return { code: "MANIFEST_BLOB_UNKNOWN", message: `blob unknown to registry: ${missingBlob.digest}` };
  const missingInstance = (document.manifests ?? []).find(({ digest = "" }) => !repository.manifests.has(digest));
  if (missingInstance !== undefined)
    return { code: "MANIFEST_BLOB_UNKNOWN", message: `manifest unknown to registry: ${missingInstance.digest}` };
  return undefined;
}

/** The digest that the manifest's `subject` names. */
export function subjectOf(bytes: Uint8Array): string | undefined {
  return parseDocument(bytes)?.subject?.digest;
}

/** Descriptors of all manifests in the repository whose subject is `digest`. */
export function listReferrers(
  repository: Repository,
  digest: string,
): readonly (Descriptor & { readonly artifactType: string | undefined })[] {
  return [...repository.manifests.values()]
    .filter((manifest) => subjectOf(manifest.bytes) === digest)
    .map((manifest) => {
      const document = parseDocument(manifest.bytes);
      return {
        mediaType: manifest.mediaType,
        digest: manifest.digest,
        size: manifest.bytes.length,
        artifactType: document?.artifactType ?? document?.config?.mediaType,
        ...(document?.annotations && { annotations: document.annotations }),
      };
    });
}

function parseDocument(bytes: Uint8Array): ManifestDocument | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
