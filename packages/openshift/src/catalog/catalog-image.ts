/** A catalog or bundle inside an image. */
import { FormatError, type Digest, type Platform, type UntrustedImageManifest } from "@signet/core";
import { type ImageSource, type TarEntry, readImageManifest, visitTarEntries } from "@signet/images";
import { readImageConfig } from "../layers/image-config.ts";
import { readLayerContent } from "../layers/layer-content.ts";
import { BUNDLE_LABELS, splitChannels } from "./catalog-document.ts";
import { type CatalogDocuments, CatalogFiles } from "./catalog-files.ts";

/** Layers of one image. */
const MAX_LAYERS = 128;

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
  const { layers } = manifest;
  if (layers.length > MAX_LAYERS)
    throw new FormatError("image-malformed", `${source.name.text}: more than ${MAX_LAYERS} layers`);
  const files = new CatalogFiles();
  const overlay = new Overlay();
  for (const layer of layers.toReversed()) {
    const location = `${source.name.text}, layer ${layer.digest}`;
    await visitTarEntries(readLayerContent(source.blob(layer), layer), location, async (entry) => {
      // Runtimes clean such a name, and would put the file where this reader does not look.
      if (entry.name.split("/").includes("..")) throw misleading(location, entry, "climbs");
      if (!isRelated(entry.name, folder) || !overlay.takes(entry, location)) return;
      if (entry.kind === "folder") return;
      if (entry.kind === "other" || entry.name.length <= folder.length)
        throw misleading(location, entry, "is no plain file");
      const path = entry.name.slice(folder.length + 1);
      if (wanted.test(path)) await files.add(path, entry.content);
    });
    overlay.endLayer();
  }
  return files.finish();
}

function misleading(location: string, { name }: TarEntry, problem: string): FormatError {
  return new FormatError("image-malformed", `${location}: ${JSON.stringify(name.slice(0, 300))} ${problem}`);
}

/** `/configs` or `manifests/` as it stands in a layer. */
function cleanFolder(label: string, source: ImageSource): string {
  const parts = label.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length > 0 && !parts.includes("..")) return parts.join("/");
  throw unsuitable(source, `its label names the folder ${JSON.stringify(label.slice(0, 300))}`, "correct the label");
}

/** True for what lies in the folder, is the folder, or is one of those above it, with whiteouts of all of them. */
function isRelated(name: string, folder: string): boolean {
  const subject = name.replace(/(^|\/)\.wh\.([^/]+)$/, "$1$2");
  return (
    subject === folder || subject.startsWith(`${folder}/`) || folder.startsWith(`${subject}/`) || isOpaque(name, folder)
  );
}

const OPAQUE = ".wh..wh..opq";

function isOpaque(name: string, folder: string): boolean {
  if (name !== OPAQUE && !name.endsWith(`/${OPAQUE}`)) return false;
  const parent = name.slice(0, -OPAQUE.length);
  return parent === "" || `${folder}/`.startsWith(parent) || parent.startsWith(`${folder}/`);
}

/** What upper layers hide of lower ones (OCI image specification, layer.md, whiteouts). Layers come from the top. */
class Overlay {
  /** Paths of upper layers, with all that is below them. */
  readonly #hidden = new Set<string>();
  /** Folders of which upper layers hide all that lower ones have. */
  readonly #opaque = new Set<string>();
  readonly #own = new Set<string>();
  readonly #ownWhiteouts = new Set<string>();
  readonly #ownOpaque = new Set<string>();

  /** True for an entry that a container sees; whiteouts are taken notice of. */
  takes(entry: TarEntry, location: string): boolean {
    const { name, kind } = entry;
    const slash = name.lastIndexOf("/") + 1;
    const base = name.slice(slash);
    if (base === OPAQUE) {
      this.#ownOpaque.add(name.slice(0, slash));
      return false;
    }
    if (base.startsWith(".wh.")) {
      this.#ownWhiteouts.add(`${name.slice(0, slash)}${base.slice(".wh.".length)}`);
      return false;
    }
    if (this.#isHidden(name)) return false;
    if (kind === "folder") return true;
    // Which of two counts would be known at the end only, when the first has been read.
    if (this.#own.has(name)) throw misleading(location, entry, "stands twice");
    this.#own.add(name);
    return true;
  }

  endLayer(): void {
    for (const name of [...this.#own, ...this.#ownWhiteouts]) this.#hidden.add(name);
    for (const folder of this.#ownOpaque) this.#opaque.add(folder);
    this.#own.clear();
    this.#ownWhiteouts.clear();
    this.#ownOpaque.clear();
  }

  #isHidden(name: string): boolean {
    if (this.#hidden.has(name) || this.#opaque.has("")) return true;
    for (let slash = name.indexOf("/"); slash >= 0; slash = name.indexOf("/", slash + 1))
      if (this.#hidden.has(name.slice(0, slash)) || this.#opaque.has(name.slice(0, slash + 1))) return true;
    return false;
  }
}
