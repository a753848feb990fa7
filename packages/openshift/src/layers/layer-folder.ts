/** The files of one folder of an image, as a container would see them. */
import { FormatError, type UntrustedImageManifest } from "@signet/core";
import { type ImageSource, type TarEntry, visitTarEntries } from "@signet/images";
import { ContentBudget, readLayerContent } from "./layer-content.ts";
import { Overlay, misleading } from "./overlay.ts";

/** Layers of one image. */
const MAX_LAYERS = 128;

export interface LayerFolderOptions {
  /** Clean and relative: `release-manifests`. */
  readonly folder: string;
  /** Called for each plain file, with its path below the folder; its content can be read until the call ends. */
  readonly visit: (path: string, entry: TarEntry) => Promise<void>;
  /** Asked after each layer: true when lower ones need not be read. Default: all are. */
  readonly isEnough?: () => boolean;
}

/**
 * Visits the plain files of the folder, layer by layer from the top: upper ones hide lower ones. Layers are streamed, and each is read to its end, by which time its digest
 * is known to be right: what was visited must not be used before.
 *
 * @throws FormatError `image-malformed` for files that a container would not see as they seem (links, names that climb or stand twice), and for more than 128 layers;
 *   `input-too-large`; what reading and visiting throw
 */
export async function visitLayerFolder(
  source: ImageSource,
  { layers }: UntrustedImageManifest,
  { folder, visit, isEnough }: LayerFolderOptions,
): Promise<void> {
  if (layers.length > MAX_LAYERS)
    throw new FormatError("image-malformed", `${source.name.text}: more than ${MAX_LAYERS} layers`);
  const overlay = new Overlay(folder);
  const budget = new ContentBudget();
  for (const layer of layers.toReversed()) {
    const location = `${source.name.text}, layer ${layer.digest}`;
    await visitTarEntries(readLayerContent(source.blob(layer), layer, budget), location, async (entry) => {
      if (!overlay.takes(entry, location) || entry.kind === "folder") return;
      if (entry.kind === "other" || entry.name.length <= folder.length)
        throw misleading(location, entry, "is no plain file");
      await visit(entry.name.slice(folder.length + 1), entry);
    });
    overlay.endLayer();
    if (isEnough?.() === true) return;
  }
}
