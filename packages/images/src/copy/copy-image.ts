import {
  type Digest,
  FormatError,
  MAX_SIGNATURES_PER_MANIFEST,
  type Platform,
  StoreError,
  UsageError,
  formatReference,
} from "@signet/core";
import type { BlobDescriptor, ImageDestination, ImageSource, RawManifest } from "../transports/transport.ts";
import { type TransferResult, transferBlobs } from "./blob-transfer.ts";
import type { CopyProgress } from "./copy-progress.ts";
import {
  type ImageContent,
  type ListContent,
  distinctInstances,
  instanceFor,
  readContent,
  readInstanceContent,
} from "./manifest-content.ts";

/**
 * Which manifests of a list are copied: `system`, the instance for the platform, which becomes the destination's image; `all`, the list and every instance with
 * their blobs; `index-only`, the list alone. For an image that is no list, all three copy the image.
 */
export type CopySelection = "system" | "all" | "index-only";

export interface CopyOptions {
  /** Default `system`. */
  readonly selection?: CopySelection;
  /** For `system`. Default: that of the running process. */
  readonly platform?: Platform;
  /** Leaves the source's signatures behind. */
  readonly removeSignatures?: boolean;
  /** Refuses a copy that would get another digest: nothing is ever converted, but not every place keeps manifests. Also said in messages. */
  readonly preserveDigests?: boolean;
  /**
   * Judges a manifest and throws when the image may not be copied. Called for each image manifest that will be copied, and for a list only when it is copied alone,
   * before anything is written. The bytes it sees are the bytes that are copied.
   * @param instance the digest by which the source's list names the manifest; undefined for the source's top manifest
   */
  readonly enforce?: (manifest: RawManifest, instance: Digest | undefined) => Promise<void>;
  /**
   * Makes one signature blob for a manifest; called for each manifest that is copied, with the same identity.
   * @param identity docker reference to be signed for
   */
  readonly sign?: (manifestBytes: Uint8Array, digest: Digest, identity: string) => Promise<Uint8Array>;
  /** Docker reference to be signed for. Default: the destination's; required where the destination has none. */
  readonly signIdentity?: string;
  /** Blobs moved at a time. Default 6. */
  readonly parallelBlobs?: number;
  /** Stops the copy at the next chunk. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: CopyProgress) => void;
}

export interface CopyResult {
  /** Digest of the manifest that the destination's name now stands for. */
  readonly digest: Digest;
  /** Every manifest that was written, instances first. */
  readonly manifests: readonly Digest[];
  readonly blobs: TransferResult;
  /** Layers that registries do not distribute; the manifest says where they are, they are never moved. */
  readonly foreignLayers: readonly Digest[];
  readonly signatures: {
    /** Carried along from the source. */
    readonly carried: number;
    readonly made: number;
  };
}

/** One manifest to be copied. */
interface CopyItem {
  readonly manifest: RawManifest;
  /** The digest by which the source's list names it; undefined for the source's top manifest. */
  readonly instance: Digest | undefined;
  /** It becomes the destination's top manifest: all but the instances of a list that is copied whole. */
  readonly isTop: boolean;
  readonly content: ImageContent | ListContent;
}

interface SignedItem extends CopyItem {
  readonly carried: readonly Uint8Array[];
  readonly made: readonly Uint8Array[];
}

/**
 * Copies one image, byte for byte. In this order: the manifests are fetched, once each; `enforce` judges them; what the destination cannot take is found out; signatures
 * are read and made; blobs move; manifests and signatures are written; the destination commits. A failure anywhere leaves the destination as it was, once its `close`
 * has been called. The caller opens and closes both sides.
 *
 * Not checked: any policy, unless `enforce` does. Not done: conversion between manifest types, and recompression. An image that the destination cannot hold as it is, is
 * refused; a docker archive and an engine hold its config and layers only. From a local storage, which unpacks layers, an image comes with another manifest for the same
 * config and layers.
 * @throws StoreError `destination-unsuitable`, `digest-mismatch`, `image-missing` and others of the two sides; FormatError for malformed manifests; UsageError
 *   `identity-missing`; what `enforce` and `sign` throw
 */
export async function copyImage(
  source: ImageSource,
  destination: ImageDestination,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const judged = await selectItems(source, options);
  for (const { manifest, instance, content } of judged) {
    if (content.kind === "image" || judged.length === 1) await options.enforce?.(manifest, instance);
  }
  const items = await substituteManifests(source, judged, options);
  const top = items.at(-1)!;
  checkDestination(destination, items, top, options);
  const blobs = collectBlobs(items);
  options.onProgress?.({ kind: "planned", manifests: items.map(({ manifest }) => manifest.digest), blobs: blobs.own });
  const signed = await collectSignatures(source, destination, items, options);

  const transferred = await transferBlobs(source, destination, blobs.own, options);
  for (const { manifest, isTop } of signed) {
    options.signal?.throwIfAborted();
    await destination.putManifest(manifest, { instance: !isTop });
    options.onProgress?.({ kind: "manifest-done", digest: manifest.digest });
  }
  for (const { manifest, isTop, carried, made } of signed) {
    const all = [...carried, ...made];
    if (all.length === 0) continue;
    options.signal?.throwIfAborted();
    await destination.putSignatures(all, nameOf(manifest), { top: isTop });
    options.onProgress?.({ kind: "signatures-done", digest: manifest.digest, count: all.length });
  }
  await destination.commit();
  return {
    digest: top.manifest.digest,
    manifests: items.map(({ manifest }) => manifest.digest),
    blobs: transferred,
    foreignLayers: blobs.foreign,
    signatures: {
      carried: signed.reduce((count, { carried }) => count + carried.length, 0),
      made: signed.reduce((count, { made }) => count + made.length, 0),
    },
  };
}

/** The manifests to be copied, instances first, the top one last. */
async function selectItems(source: ImageSource, options: CopyOptions): Promise<readonly CopyItem[]> {
  const top = await source.manifest();
  const content = readContent(top);
  const selection = options.selection ?? "system";
  if (content.kind === "image" || selection === "index-only") {
    return [{ manifest: top, instance: undefined, content, isTop: true }];
  }
  if (selection === "system") {
    const instance = instanceFor(content.list, options.platform);
    const manifest = await source.manifest(instance.digest);
    return [{ manifest, instance: instance.digest, content: readInstanceContent(manifest, instance), isTop: true }];
  }
  const items: CopyItem[] = [];
  for (const instance of distinctInstances(content.list)) {
    options.signal?.throwIfAborted();
    const manifest = await source.manifest(instance.digest);
    items.push({ manifest, instance: instance.digest, content: readInstanceContent(manifest, instance), isTop: false });
  }
  return [...items, { manifest: top, instance: undefined, content, isTop: true }];
}

/**
 * Puts the manifests in place under which the source can give its blobs, where these are not the image's own. What was judged stays what is copied, for config and
 * layers are the same; signatures about the old manifest would be worth nothing.
 */
async function substituteManifests(
  source: ImageSource,
  items: readonly CopyItem[],
  options: CopyOptions,
): Promise<readonly CopyItem[]> {
  if (source.substitute === undefined) return items;
  const result: CopyItem[] = [];
  for (const item of items) {
    const substitute = await source.substitute(item.manifest);
    if (substitute === undefined) {
      result.push(item);
      continue;
    }
    const { reason } = substitute;
    const { digest } = item.manifest;
    if (options.preserveDigests === true || items.length > 1) {
      throw unsuitable(`cannot copy ${digest} as it is: ${reason}`, "copy it from the registry that it came from");
    }
    if (options.removeSignatures !== true && (await readSignatures(source, item)).length > 0) {
      throw unsuitable(
        `cannot copy the signatures of ${digest}: ${reason}`,
        "copy the image without them (--remove-signatures), or from the registry that it came from",
      );
    }
    const manifest = await substitute.fetch();
    result.push({ ...item, manifest, instance: undefined, content: readContent(manifest) });
  }
  return result;
}

function checkDestination(
  destination: ImageDestination,
  items: readonly CopyItem[],
  top: CopyItem,
  options: CopyOptions,
): void {
  if (options.preserveDigests === true && destination.digestNotKept !== undefined) {
    throw unsuitable(
      `cannot copy ${top.manifest.digest} to ${destination.name.text} and preserve its digest: ${destination.digestNotKept}`,
      "copy to dir: or docker://",
    );
  }
  for (const { manifest, content } of items) {
    const reason = destination.manifestUnsupported?.(content.mediaType);
    if (reason === undefined) continue;
    const kept = options.preserveDigests === true ? ", and its digest is to be preserved" : "";
    throw unsuitable(
      `cannot copy ${manifest.digest} to ${destination.name.text}: ${reason}; it is not converted${kept}`,
      "copy to dir: or docker://, which keep every type of manifest",
    );
  }
  const wanted = destination.name.reference?.digest;
  if (wanted !== undefined && wanted !== top.manifest.digest && wanted !== top.manifest.namedDigest) {
    throw unsuitable(
      `${destination.name.text} names ${wanted}, but the image to be copied is ${top.manifest.digest}`,
      "name the destination by a tag, or choose the list itself with --all",
    );
  }
}

/** Every blob once. The same digest with two sizes cannot be true. */
function collectBlobs(items: readonly CopyItem[]): {
  readonly own: readonly BlobDescriptor[];
  readonly foreign: readonly Digest[];
} {
  const own = new Map<Digest, BlobDescriptor>();
  const foreign = new Set<Digest>();
  for (const { manifest, content } of items) {
    if (content.kind === "list") continue;
    for (const blob of content.foreignLayers) foreign.add(blob.digest);
    for (const blob of content.blobs) {
      const known = own.get(blob.digest);
      if (known?.size !== undefined && blob.size !== undefined && known.size !== blob.size) {
        throw new FormatError(
          "image-malformed",
          `${manifest.digest}: blob ${blob.digest} is given with ${known.size} and with ${blob.size} bytes`,
        );
      }
      if (known?.size === undefined) own.set(blob.digest, blob);
    }
  }
  return { own: [...own.values()], foreign: [...foreign] };
}

async function collectSignatures(
  source: ImageSource,
  destination: ImageDestination,
  items: readonly CopyItem[],
  options: CopyOptions,
): Promise<readonly SignedItem[]> {
  const { sign } = options;
  const identity = sign === undefined ? undefined : signIdentity(destination, options);
  const reason = await destination.signaturesUnsupported();
  if (sign !== undefined && reason !== undefined) {
    throw unsuitable(
      `cannot sign for ${destination.name.text}: ${reason}`,
      "sign the image where it can keep signatures, such as dir: or docker://",
    );
  }
  const signed: SignedItem[] = [];
  for (const item of items) {
    const { bytes, digest } = item.manifest;
    const carried = options.removeSignatures === true ? [] : await readSignatures(source, item);
    if (carried.length > 0 && reason !== undefined) {
      throw unsuitable(
        `cannot copy signatures to ${destination.name.text}: ${reason}`,
        "copy without them: --remove-signatures",
      );
    }
    const made = sign === undefined ? [] : [await sign(bytes, digest, identity!)];
    if (carried.length + made.length > MAX_SIGNATURES_PER_MANIFEST) {
      throw unsuitable(
        `${digest} would have ${carried.length + made.length} signatures; readers stop at ${MAX_SIGNATURES_PER_MANIFEST}`,
        "leave the old ones behind: --remove-signatures",
      );
    }
    signed.push({ ...item, carried, made });
  }
  return signed;
}

async function readSignatures(source: ImageSource, item: CopyItem): Promise<readonly Uint8Array[]> {
  const reading = await source.signatures(nameOf(item.manifest));
  return reading.signatures.map(({ bytes }) => bytes);
}

/** The digest under which stores keep what belongs to a manifest. */
function nameOf(manifest: RawManifest): Digest {
  return manifest.namedDigest ?? manifest.digest;
}

function signIdentity(destination: ImageDestination, options: CopyOptions): string {
  if (options.signIdentity !== undefined) return options.signIdentity;
  const { reference } = destination.name;
  if (reference !== undefined) return formatReference(reference);
  throw new UsageError("identity-missing", `${destination.name.text} has no docker reference to sign for`, {
    hint: "say which image the signature is for: --sign-identity host/repo:tag",
  });
}

function unsuitable(problem: string, hint: string): StoreError {
  return new StoreError("destination-unsuitable", problem, { side: "destination", hint });
}
