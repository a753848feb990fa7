/** Putting together an archive as `docker load`, podman and skopeo read it. */
import { createHash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Digest,
  FormatError,
  InternalError,
  type Reference,
  StoreError,
  digestAlgorithm,
  digestHex,
  parseManifest,
} from "@signet/core";
import { readFileBounded } from "../config/bounded-file.ts";
import { fileError } from "../config/file-error.ts";
import { checkBlob } from "./blob-check.ts";
import { blobFile } from "./dir-layout.ts";
import { ARCHIVE_MANIFEST_FILE, MAX_CONFIG_BYTES, parseDiffIds } from "./docker-archive-index.ts";
import { legacyLayers, legacyRepositories } from "./docker-archive-legacy.ts";
import { openRegularFile, readRange, readWholeFile, writeAt, writeNewFile } from "./file-chunks.ts";
import { COMPRESSION_MAGIC_BYTES, detectCompression, expandLayer } from "./layer-expansion.ts";
import { TAR_BLOCK, paddedSize, writeLinkHeader, writeSizedHeader } from "./tar-header.ts";
import type { BlobDescriptor, RawManifest } from "./transport.ts";

const imageTypes: readonly string[] = [
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
];

/** Why an archive cannot hold an image of this manifest type; undefined when it can. */
export function manifestUnsupportedInArchive(mediaType: string): string | undefined {
  return imageTypes.includes(mediaType)
    ? undefined
    : `a docker archive holds single images with a config, this one is ${mediaType}`;
}

/** Why the digest of an image does not survive. */
export const ARCHIVE_DIGEST_NOT_KEPT: string = "a docker archive keeps config and layers, no manifest";

/**
 * Collects an image's blobs in a folder of its own, then writes them as one archive. Blobs may arrive side by side; what arrived is held against its digest before it
 * is used, and each unpacked layer against the name that the config has for it.
 */
export class DockerArchiveWriter {
  readonly #folder: string;
  readonly #blobs = new Set<Digest>();
  #manifest: RawManifest | undefined;

  /** @param folder empty, private to this image; whoever made it removes it */
  constructor(folder: string) {
    this.#folder = folder;
  }

  hasBlob(digest: Digest): boolean {
    return this.#blobs.has(digest);
  }

  /** @throws StoreError `digest-mismatch`, `file-unwritable`, `disk-full`, and what `chunks` throws */
  async putBlob(descriptor: BlobDescriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { digest } = descriptor;
    const arriving = join(this.#folder, `${blobFile(digest)}.${crypto.randomUUID()}`);
    await writeNewFile(arriving, checkBlob(descriptor, chunks, `blob ${digest}`));
    try {
      await rename(arriving, join(this.#folder, blobFile(digest)));
    } catch (error) {
      throw fileError(error, this.#folder, "write");
    }
    this.#blobs.add(digest);
  }

  putManifest(manifest: RawManifest): void {
    this.#manifest = manifest;
  }

  /**
   * Writes the archive to a new file and flushes it to disk. Layers are unpacked, as the reference does: whatever reads the archive knows them by what they unpack to.
   * @param reference what `RepoTags` names the image; undefined leaves it unnamed
   * @throws StoreError `destination-unsuitable` for an image that cannot be expressed, `digest-mismatch` for a layer that is not what the config says, and others;
   *   FormatError `image-malformed`, `input-too-large`, `compression-malformed`
   */
  async writeTo(path: string, reference: Reference | undefined): Promise<void> {
    if (this.#manifest === undefined) throw new InternalError("a docker archive without a manifest");
    const parsed = parseManifest(this.#manifest.bytes, this.#manifest.declaredMediaType);
    if (parsed.kind !== "image") throw unsuitable(manifestUnsupportedInArchive(parsed.mediaType) ?? parsed.mediaType);
    const config = await this.#readConfig(parsed.config.digest);
    const diffIds = this.#readDiffIds(config, parsed.config.digest);
    if (diffIds.length !== parsed.layers.length) {
      throw unsuitable(`the manifest has ${parsed.layers.length} layers, the config names ${diffIds.length}`);
    }
    try {
      const handle = await open(path, "wx", 0o644);
      try {
        const tar = new TarWriter(handle);
        const written = new Map<Digest, Digest>();
        for (const [at, diffId] of diffIds.entries()) {
          const { digest } = parsed.layers[at]!;
          if (written.get(diffId) === digest) continue;
          const location = `layer ${digest}`;
          const layer = checkUnpacked(diffId, await this.#openLayer(digest), location);
          if (written.has(diffId)) for await (const _ of layer);
          else await tar.stream(layerFile(diffId), layer);
          written.set(diffId, digest);
        }
        await tar.file(`${digestHex(parsed.config.digest)}.json`, config);
        const legacy = legacyLayers(config, diffIds);
        for (const { id, json, diffId } of legacy) {
          await tar.link(`${id}/layer.tar`, `../${layerFile(diffId)}`);
          await tar.file(`${id}/VERSION`, encode("1.0"));
          await tar.file(`${id}/json`, json);
        }
        await tar.file(ARCHIVE_MANIFEST_FILE, archiveManifest(parsed.config.digest, reference, diffIds));
        await tar.file("repositories", legacyRepositories(reference, legacy.at(-1)));
        await tar.finish();
      } finally {
        await handle.close();
      }
    } catch (error) {
      await rm(path, { force: true });
      throw fileError(error, path, "write");
    }
  }

  async #readConfig(digest: Digest): Promise<Uint8Array> {
    if (!this.#blobs.has(digest)) throw new InternalError(`a docker archive whose config ${digest} is missing`);
    return await readFileBounded(join(this.#folder, blobFile(digest)), MAX_CONFIG_BYTES, "config");
  }

  #readDiffIds(config: Uint8Array, digest: Digest): readonly Digest[] {
    let diffIds: readonly Digest[];
    try {
      diffIds = parseDiffIds(config, `config ${digest}`);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      // Artifacts of other kinds come with OCI manifests as well.
      throw new StoreError("destination-unsuitable", `cannot be kept in a docker archive: ${error.message}`, {
        cause: error,
        side: "destination",
        hint: "copy to dir: or docker://, which keep every type of manifest",
      });
    }
    const foreign = [digest, ...diffIds].find((one) => digestAlgorithm(one) !== "sha256");
    if (foreign !== undefined) throw unsuitable(`${foreign}: only sha256 digests have a place in it`);
    return diffIds;
  }

  /** The unpacked bytes of a layer; not yet compared with anything. */
  async #openLayer(digest: Digest): Promise<AsyncIterable<Uint8Array>> {
    if (!this.#blobs.has(digest)) {
      throw unsuitable(`layer ${digest} is not there; layers that may not be distributed are never fetched`);
    }
    const path = join(this.#folder, blobFile(digest));
    const file = await openRegularFile(path, "temporary file");
    let compression: ReturnType<typeof detectCompression>;
    try {
      const start = new Uint8Array(COMPRESSION_MAGIC_BYTES);
      let length = 0;
      for await (const chunk of readRange(file.handle, 0, start.length)) {
        start.set(chunk, length);
        length += chunk.length;
      }
      compression = detectCompression(start.subarray(0, length));
    } catch (error) {
      await file.handle.close();
      throw fileError(error, path, "read");
    }
    return expandLayer(compression, readWholeFile(file, path), `layer ${digest}`);
  }
}

function layerFile(diffId: Digest): string {
  return `${digestHex(diffId)}.tar`;
}

function archiveManifest(config: Digest, reference: Reference | undefined, diffIds: readonly Digest[]): Uint8Array {
  const tags = reference === undefined ? [] : [`${reference.domain}/${reference.path}:${reference.tag ?? "latest"}`];
  return encode(
    JSON.stringify([{ Config: `${digestHex(config)}.json`, RepoTags: tags, Layers: diffIds.map(layerFile) }]),
  );
}

/** Layers of another content than the config names would be another image to whoever loads the archive. */
async function* checkUnpacked(
  diffId: Digest,
  chunks: AsyncIterable<Uint8Array>,
  location: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash("sha256");
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  const found = `sha256:${hash.digest("hex")}`;
  if (found === diffId) return;
  throw new StoreError("digest-mismatch", `${location} unpacks to ${found}, but the image's config names ${diffId}`, {
    side: "source",
    hint: "the image contradicts itself; nothing was written",
  });
}

/** A tar archive that is written front to back. */
class TarWriter {
  readonly #handle: FileHandle;
  #end = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async file(name: string, bytes: Uint8Array): Promise<void> {
    await writeAt(this.#handle, writeSizedHeader(name, bytes.length), this.#end);
    await writeAt(this.#handle, bytes, this.#end + TAR_BLOCK);
    this.#end += TAR_BLOCK + paddedSize(bytes.length);
  }

  async link(name: string, target: string): Promise<void> {
    await writeAt(this.#handle, writeLinkHeader(name, target), this.#end);
    this.#end += TAR_BLOCK;
  }

  /** The header comes first and says the size, which is known last: its place is left free until then. */
  async stream(name: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    let position = this.#end + TAR_BLOCK;
    for await (const chunk of chunks) {
      await writeAt(this.#handle, chunk, position);
      position += chunk.length;
    }
    const size = position - this.#end - TAR_BLOCK;
    await writeAt(this.#handle, writeSizedHeader(name, size), this.#end);
    this.#end += TAR_BLOCK + paddedSize(size);
  }

  /** Two blocks of zeros are the end mark; growing a file fills it, and every gap, with zeros. */
  async finish(): Promise<void> {
    await this.#handle.truncate(this.#end + 2 * TAR_BLOCK);
    await this.#handle.sync();
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function unsuitable(problem: string): StoreError {
  return new StoreError("destination-unsuitable", `cannot be kept in a docker archive: ${problem}`, {
    side: "destination",
    hint: "copy to dir: or docker://, which keep every type of manifest",
  });
}
