/** A catalog or bundle inside an image. */
import { FormatError, type Digest, type Platform, type UntrustedImageManifest } from "@signet/core";
import { type ImageSource, readImageManifest } from "@signet/images";
import { readImageConfig } from "../layers/image-config.ts";
import { visitLayerFolder } from "../layers/layer-folder.ts";
import { BUNDLE_LABELS, splitChannels } from "./catalog-document.ts";
import { type CatalogDocuments, CatalogFiles } from "./catalog-files.ts";

const CONFIGS_LABEL = "operators.operatorframework.io.index.configs.v1";
const DATABASE_LABEL = "operators.operatorframework.io.index.database.v1";

/** What an image holds by its labels. Every byte of it was hashed against the digest of its manifest. */
export interface CatalogImage {
  readonly kind: "catalog" | "bundle";
  /** Of the image's own manifest; for a list, the list's. */
  readonly digest: Digest;
  readonly content: CatalogDocuments;
  /** What a bundle's labels say. */
  readonly bundle?: { readonly package: string; readonly channels: readonly string[] };
}

/**
 * Reads the files that the image's labels point to, from its layers as a container would see them: upper ones hide lower ones. Layers are streamed; no more than one document
 * is in memory.
 *
 * Not checked: any signature.
 * @param platform which instance of a list
 * @throws StoreError `image-missing`, `digest-mismatch` and what reading throws; FormatError `catalog-malformed` for an image that is neither catalog nor bundle,
 *   `image-malformed` for files that a container would not see as they seem (links, names that climb or stand twice), `input-too-large`
 */
export async function readCatalogImage(source: ImageSource, platform: Platform): Promise<CatalogImage> {
  const { top, manifest } = await readImageManifest(source, platform);
  const { labels } = await readImageConfig(source, manifest);
  const { digest } = top;
  const configs = labels[CONFIGS_LABEL];
  if (configs !== undefined)
    return { kind: "catalog", digest, content: await readFiles(source, manifest, configs, /./) };
  if (labels[DATABASE_LABEL] !== undefined) {
    throw unsuitable(source, "its catalog is a SQLite database, which is not read here", "name a file-based catalog");
  }
  const mediaType = labels[`${BUNDLE_LABELS}mediatype.v1`];
  if (mediaType !== "registry+v1") {
    const found = mediaType === undefined ? "it has none of their labels" : `a bundle of the form ${mediaType}`;
    throw unsuitable(source, found, "name an operator catalog, or a bundle of the form registry+v1");
  }
  const manifests = labels[`${BUNDLE_LABELS}manifests.v1`] ?? "manifests/";
  return {
    kind: "bundle",
    digest,
    content: await readFiles(source, manifest, manifests, /\.(?:json|ya?ml)$/),
    bundle: {
      package: labels[`${BUNDLE_LABELS}package.v1`] ?? "",
      channels: splitChannels(labels[`${BUNDLE_LABELS}channels.v1`] ?? ""),
    },
  };
}

function unsuitable(source: ImageSource, problem: string, hint: string): FormatError {
  const message = `${source.name.text} is neither an operator catalog nor a bundle that can be read: ${problem}`;
  return new FormatError("catalog-malformed", message, { hint });
}

/** @param wanted files by their path below the folder that the label names */
async function readFiles(
  source: ImageSource,
  manifest: UntrustedImageManifest,
  label: string,
  wanted: RegExp,
): Promise<CatalogDocuments> {
  const folder = cleanFolder(label, source);
  const files = new CatalogFiles();
  await visitLayerFolder(source, manifest, {
    folder,
    visit: async (path, { content }) => {
      if (wanted.test(path)) await files.add(path, content);
    },
  });
  return files.finish();
}

/** `/configs` or `manifests/` as it stands in a layer. */
function cleanFolder(label: string, source: ImageSource): string {
  const parts = label.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length > 0 && !parts.includes("..")) return parts.join("/");
  throw unsuitable(source, `its label names the folder ${JSON.stringify(label.slice(0, 300))}`, "correct the label");
}
