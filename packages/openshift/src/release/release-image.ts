/** A release image, taken apart as far as its own description. */
import { Readable, pipeline } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import {
  type Digest,
  FormatError,
  type Platform,
  SignetError,
  type UntrustedDescriptor,
  type UntrustedImageManifest,
} from "@signet/core";
import { type ImageSource, type TarFile, readImageManifest, readTarFiles } from "@signet/images";
import { isRecord } from "../kubernetes/manifests.ts";
import { type UntrustedRelease, parseReleasePayload } from "./release-payload.ts";

/** Bytes of one file of `release-manifests`: image-references has some 200 KB. */
const MAX_PAYLOAD_FILE_BYTES = 16 * 1024 * 1024;

/** Bytes that one layer may inflate to: an operating system's base layer has less than one thousand million. */
const MAX_INFLATED_LAYER_BYTES = 8 * 1024 ** 3;

/** Bytes of an image's configuration. */
const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

/** Layers that are looked through for the description, from the top. It stands in the top one. */
const MAX_LAYERS_SEARCHED = 64;

const IMAGE_REFERENCES = "release-manifests/image-references";
const RELEASE_METADATA = "release-manifests/release-metadata";

/** A release image that was read. Every byte of it was hashed against the digest of its manifest. */
export interface ReleaseImage {
  /** Of the image's own manifest; for a list, the list's. */
  readonly digest: Digest;
  /** Of the manifest that was read: the same, or an instance's. */
  readonly instanceDigest: Digest;
  readonly isList: boolean;
  readonly platform: Platform;
  /** Files below `release-manifests` that are neither of the two that describe the release. */
  readonly manifestCount: number;
  readonly release: UntrustedRelease;
}

/**
 * Reads what a release image says of itself.
 *
 * Not checked: any signature.
 * @param platform which instance of a list
 * @throws StoreError `image-missing`, `digest-mismatch` and what reading throws; FormatError `release-malformed` for an image that is no release,
 *   `image-malformed`, `input-too-large`
 */
export async function readReleaseImage(source: ImageSource, platform: Platform): Promise<ReleaseImage> {
  const { top, instance, manifest } = await readImageManifest(source, platform);
  const config = await readConfigPlatform(source, manifest);
  const files = await findPayload(source, manifest);
  const imageReferences = files.find(({ name }) => name === IMAGE_REFERENCES);
  if (imageReferences === undefined) {
    throw new FormatError(
      "release-malformed",
      `${source.name.text} is no release image: it has no ${IMAGE_REFERENCES}`,
      {
        hint: "name the release image, such as quay.io/openshift-release-dev/ocp-release@sha256:…",
      },
    );
  }
  const metadata = files.find(({ name }) => name === RELEASE_METADATA)?.bytes;
  return {
    digest: top.digest,
    instanceDigest: instance.digest,
    isList: top !== instance,
    platform: config,
    manifestCount: files.length - 1 - (metadata === undefined ? 0 : 1),
    release: parseReleasePayload(imageReferences.bytes, metadata),
  };
}

/** The files of `release-manifests`, from the uppermost layer that has the description. */
async function findPayload(source: ImageSource, manifest: UntrustedImageManifest): Promise<readonly TarFile[]> {
  const layers = manifest.layers.toReversed().slice(0, MAX_LAYERS_SEARCHED);
  for (const layer of layers) {
    let hidden = false;
    const files = await readTarFiles(decompress(source.blob(layer), layer), {
      location: `${source.name.text}, layer ${layer.digest}`,
      wanted: (name) => {
        if (name === "release-manifests/.wh.image-references" || name === ".wh.release-manifests") hidden = true;
        return name.startsWith("release-manifests/") ? MAX_PAYLOAD_FILE_BYTES : undefined;
      },
    });
    if (files.some(({ name }) => name === IMAGE_REFERENCES)) return files;
    // A layer that deletes the description must not make an older one below it count.
    if (hidden) return [];
  }
  return [];
}

/** The layer's content. What comes out must not be used before the stream ends without an error: only then its digest is known to be right. */
async function* decompress(
  chunks: AsyncIterable<Uint8Array>,
  { digest, mediaType }: UntrustedDescriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  const isGzip = mediaType.endsWith("gzip");
  if (!isGzip && !mediaType.endsWith("zstd")) {
    for await (const chunk of chunks) yield chunk;
    return;
  }
  const inflater = isGzip ? createGunzip() : createZstdDecompress();
  // Failures of either side end the other one, and come out of the loop below.
  pipeline(Readable.from(chunks, { objectMode: false }), inflater, () => {});
  let total = 0;
  try {
    for await (const chunk of inflater as AsyncIterable<Uint8Array>) {
      total += chunk.length;
      if (total > MAX_INFLATED_LAYER_BYTES) throw tooLarge(digest);
      yield chunk;
    }
  } catch (error) {
    // What the source has to say, a wrong digest above all, counts more than what became of the stream.
    if (error instanceof SignetError) throw error;
    throw new FormatError("compression-malformed", `layer ${digest}: its compressed data is damaged`, { cause: error });
  }
}

function tooLarge(digest: Digest): FormatError {
  return new FormatError("input-too-large", `layer ${digest} inflates to more than ${MAX_INFLATED_LAYER_BYTES} bytes`);
}

/** Operating system and architecture as the image's configuration has them. */
export async function readConfigPlatform(source: ImageSource, manifest: UntrustedImageManifest): Promise<Platform> {
  const { config } = manifest;
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source.blob(config)) {
    length += chunk.length;
    if (length > MAX_CONFIG_BYTES)
      throw new FormatError(
        "input-too-large",
        `${source.name.text}: the image's configuration is larger than ${MAX_CONFIG_BYTES} bytes`,
      );
    parts.push(chunk);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)));
  } catch (cause) {
    throw new FormatError("release-malformed", `${source.name.text}: the image's configuration is not JSON`, { cause });
  }
  const { os, architecture, variant } = isRecord(value) ? value : {};
  return {
    os: typeof os === "string" ? os : "",
    architecture: typeof architecture === "string" ? architecture : "",
    ...(typeof variant === "string" && variant !== "" ? { variant } : {}),
  };
}
