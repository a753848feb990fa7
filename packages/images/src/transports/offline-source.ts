/** An image as it lies in files that somebody fetched: its manifests, and the signatures beside them. No registry is asked. */
import {
  type Digest,
  MAX_MANIFEST_BYTES,
  StoreError,
  computeManifestDigest,
  digestAlgorithm,
  digestLike,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { readFileBounded } from "../config/bounded-file.ts";
import { readGivenSignatures } from "../stores/given-signatures.ts";
import type { SignatureReading } from "../stores/signature-store.ts";
import type { ImageName, ImageSource, RawManifest } from "./transport.ts";

/** Files in place of a registry. */
export interface OfflineImage {
  /** The image's own manifest first; of a list the instances behind it. At least one. */
  readonly manifests: readonly string[];
  /** Folder or file, see `readGivenSignatures`. Without it the image counts as unsigned. */
  readonly signatures?: string;
}

/** What is said of signatures when no place for them was named. */
export const noSignaturesGiven = "no signatures given";

/**
 * Opens an image for judging without a network. It has no layers and cannot be copied.
 * @throws StoreError `file-missing`, `file-unreadable`; FormatError `input-too-large`
 */
export async function openOfflineSource(name: ImageName, image: OfflineImage): Promise<ImageSource> {
  const manifests: RawManifest[] = [];
  for (const path of image.manifests) {
    const bytes = await readFileBounded(path, MAX_MANIFEST_BYTES, "manifest");
    manifests.push({ bytes, digest: computeManifestDigest(bytes, nodeEngine), declaredMediaType: undefined });
  }
  return new OfflineSource(name, manifests, image.signatures);
}

class OfflineSource implements ImageSource {
  readonly name: ImageName;
  readonly #manifests: readonly RawManifest[];
  readonly #signatures: string | undefined;

  constructor(name: ImageName, manifests: readonly RawManifest[], signatures: string | undefined) {
    this.name = name;
    this.#manifests = manifests;
    this.#signatures = signatures;
  }

  async manifest(instance?: Digest): Promise<RawManifest> {
    const [top] = this.#manifests;
    if (instance === undefined) return top!;
    for (const manifest of this.#manifests) {
      if (manifest.digest === instance) return manifest;
      if (digestAlgorithm(instance) !== "sha256" && digestLike(instance, manifest.bytes, nodeEngine) === instance)
        return { ...manifest, namedDigest: instance };
    }
    throw new StoreError("image-missing", `none of the manifests that were given is ${instance}`, {
      side: "source",
      hint: "the image is a list: give the manifest of its instance as well, with another --manifest",
    });
  }

  // oxlint-disable-next-line require-yield
  async *blob(): AsyncIterable<Uint8Array> {
    throw new StoreError("image-missing", `${this.name.text}: only its manifest was given`, { side: "source" });
  }

  async signatures(digest: Digest): Promise<SignatureReading> {
    if (this.#signatures === undefined) return { store: noSignaturesGiven, signatures: [], attempts: [], warnings: [] };
    return readGivenSignatures(this.#signatures, this.name.reference, digest);
  }

  async close(): Promise<void> {
    // Everything was read when it was opened.
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
