import type { FileHandle } from "node:fs/promises";
import { type Digest, FormatError, StoreError, sha256Digest } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { fileError } from "../config/file-error.ts";
import type { SignatureReading } from "../stores/signature-store.ts";
import { checkBlob, checkBytes, chunksOf, collectChunks } from "./blob-check.ts";
import {
  ARCHIVE_MANIFEST_FILE,
  type ArchivedImage,
  MAX_ARCHIVE_MANIFEST_BYTES,
  MAX_CONFIG_BYTES,
  parseArchiveManifest,
  parseDiffIds,
  selectArchivedImage,
} from "./docker-archive-index.ts";
import { openRegularFile, readRange } from "./file-chunks.ts";
import { COMPRESSION_MAGIC_BYTES, type LayerCompression, detectCompression, expandLayer } from "./layer-expansion.ts";
import { type TarEntry, indexTar } from "./tar-index.ts";
import type { BlobDescriptor, ImageName, ImageSource, RawManifest } from "./transport.ts";

/** Why such archives keep no signatures. */
export const ARCHIVE_SIGNATURES_UNSUPPORTED: string = "a docker archive has no place for signatures";

const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG_TYPE = "application/vnd.docker.container.image.v1+json";
/** What the reference calls the layers of such an archive, although they are not compressed; another type would give another digest. */
const LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/** A layer where it lies. */
interface ArchivedLayer {
  readonly member: string;
  readonly entry: TarEntry;
  readonly compression: LayerCompression;
}

/**
 * Opens an image of an archive as `docker save` writes it. Nothing is unpacked: the archive is indexed once, and layers are read from their place in it.
 *
 * Such an archive holds no manifest. The one given is made from the config and the sizes of the unpacked layers, the same as the reference makes, so that the same
 * image has the same digest. Layers are hashed when they are read, and compared with what the config calls them.
 * @throws StoreError `file-missing`, `file-unreadable`, `image-missing`, `digest-mismatch`; FormatError `image-malformed`, `json-malformed`, `digest-malformed`,
 *   `input-too-large`
 */
export async function openDockerArchiveSource(name: ImageName): Promise<ImageSource> {
  const path = name.path!;
  const { handle } = await openRegularFile(path, "the archive");
  return await openArchiveFile(name, { label: path, handle });
}

/** An archive that is open for reading. */
export interface OpenArchive {
  /** For messages. */
  readonly label: string;
  /** Closed with the image, also when that cannot be opened. */
  readonly handle: FileHandle;
}

/**
 * As {@link openDockerArchiveSource}, of an archive that may have no name.
 * @throws as there
 */
export async function openArchiveFile(name: ImageName, { label, handle }: OpenArchive): Promise<ImageSource> {
  try {
    return await readArchive(name, new ArchiveFile(label, handle, (await handle.stat()).size));
  } catch (error) {
    await handle.close();
    throw fileError(error, label, "read", "the archive");
  }
}

async function readArchive(name: ImageName, archive: ArchiveFile): Promise<DockerArchiveSource> {
  await archive.readIndex();
  const { location } = archive;
  const list = await archive.readFile(ARCHIVE_MANIFEST_FILE, MAX_ARCHIVE_MANIFEST_BYTES);
  const image = selectArchivedImage(parseArchiveManifest(list, `${location}: ${ARCHIVE_MANIFEST_FILE}`), name);
  const config = await archive.readFile(image.config, MAX_CONFIG_BYTES);
  const what = `${location}: ${image.config}`;
  const digest = sha256Digest(config, nodeEngine);
  // Writers name the config after its digest; one that says another is no longer what was saved.
  const named = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(image.config)?.[1];
  if (named !== undefined && digest !== `sha256:${named}`) checkBytes(`sha256:${named}` as Digest, config, what);
  const diffIds = parseDiffIds(config, what);
  const layers = await findLayers(archive, image, diffIds);
  return new DockerArchiveSource(name, archive, { bytes: config, digest }, diffIds, layers);
}

/** The layers by what the config calls them. The same one may occur twice, as a copy or as a link. */
async function findLayers(
  archive: ArchiveFile,
  image: ArchivedImage,
  diffIds: readonly Digest[],
): Promise<ReadonlyMap<Digest, ArchivedLayer>> {
  if (image.layers.length !== diffIds.length) {
    throw archive.malformed(
      `${ARCHIVE_MANIFEST_FILE} lists ${image.layers.length} layers, the config ${diffIds.length}`,
    );
  }
  const layers = new Map<Digest, ArchivedLayer>();
  const owners = new Map<number, Digest>();
  for (const [at, diffId] of diffIds.entries()) {
    const member = image.layers[at]!;
    const entry = archive.find(member);
    const owner = owners.get(entry.offset);
    if (owner !== undefined && owner !== diffId) {
      throw archive.malformed(`${JSON.stringify(member.slice(0, 300))} stands for two different layers`);
    }
    owners.set(entry.offset, diffId);
    if (!layers.has(diffId)) layers.set(diffId, { member, entry, compression: await archive.compressionOf(entry) });
  }
  return layers;
}

class DockerArchiveSource implements ImageSource {
  readonly name: ImageName;
  readonly #archive: ArchiveFile;
  readonly #config: { readonly bytes: Uint8Array; readonly digest: Digest };
  /** Base first, repeated ones repeated. */
  readonly #diffIds: readonly Digest[];
  readonly #layers: ReadonlyMap<Digest, ArchivedLayer>;
  #top: Promise<RawManifest> | undefined;
  #isClosed = false;

  constructor(
    name: ImageName,
    archive: ArchiveFile,
    config: { readonly bytes: Uint8Array; readonly digest: Digest },
    diffIds: readonly Digest[],
    layers: ReadonlyMap<Digest, ArchivedLayer>,
  ) {
    this.name = name;
    this.#archive = archive;
    this.#config = config;
    this.#diffIds = diffIds;
    this.#layers = layers;
  }

  async manifest(instance?: Digest): Promise<RawManifest> {
    if (instance !== undefined) throw this.#missing("manifest", instance);
    return await (this.#top ??= this.#makeManifest());
  }

  /** Members, their order and the spacing are those of the reference: the digest hangs on them. */
  async #makeManifest(): Promise<RawManifest> {
    const sizes = new Map<Digest, number>();
    for (const [diffId, layer] of this.#layers) sizes.set(diffId, await this.#sizeOf(diffId, layer));
    const { bytes, digest } = this.#config;
    const document = {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: { mediaType: CONFIG_TYPE, size: bytes.length, digest },
      layers: this.#diffIds.map((diffId) => ({ mediaType: LAYER_TYPE, size: sizes.get(diffId)!, digest: diffId })),
    };
    const manifest = new TextEncoder().encode(JSON.stringify(document));
    return { bytes: manifest, digest: sha256Digest(manifest, nodeEngine), declaredMediaType: MANIFEST_TYPE };
  }

  /** Of a compressed layer only unpacking tells; the digest is compared on the way. */
  async #sizeOf(diffId: Digest, layer: ArchivedLayer): Promise<number> {
    if (layer.compression === "none") return layer.entry.size;
    let size = 0;
    for await (const chunk of this.#read({ digest: diffId }, layer)) size += chunk.length;
    return size;
  }

  async *blob(descriptor: BlobDescriptor): AsyncIterable<Uint8Array> {
    const { digest } = descriptor;
    if (digest === this.#config.digest) {
      yield* checkBlob(descriptor, chunksOf(this.#config.bytes), `${this.#archive.location}: the config`);
      return;
    }
    const layer = this.#layers.get(digest);
    if (layer === undefined) throw this.#missing("blob", digest);
    yield* this.#read(descriptor, layer);
  }

  #read(descriptor: BlobDescriptor, { member, entry, compression }: ArchivedLayer): AsyncIterable<Uint8Array> {
    const location = `${this.#archive.location}: ${member.slice(0, 300)}`;
    return checkBlob(descriptor, expandLayer(compression, this.#archive.read(entry), location), location);
  }

  #missing(what: string, digest: Digest): StoreError {
    return new StoreError("image-missing", `no ${what} ${digest} in ${this.#archive.location}`, { side: "source" });
  }

  async signatures(): Promise<SignatureReading> {
    return { store: `none (${ARCHIVE_SIGNATURES_UNSUPPORTED})`, signatures: [], attempts: [], warnings: [] };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#archive.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The archive as a set of named files. */
class ArchiveFile {
  readonly location: string;
  readonly #handle: FileHandle;
  readonly #size: number;
  #entries: ReadonlyMap<string, TarEntry> = new Map();
  readonly #links = new Map<string, string>();

  constructor(location: string, handle: FileHandle, size: number) {
    this.location = location;
    this.#handle = handle;
    this.#size = size;
  }

  async readIndex(): Promise<void> {
    this.#entries = await indexTar(this.#handle, this.#size, this.location, this.#links);
  }

  /** A layer; one link is followed, which is what writers make of a repeated layer. */
  find(member: string): TarEntry {
    const entry = this.#entries.get(this.#links.get(member) ?? member);
    if (entry !== undefined) return entry;
    throw new StoreError("image-missing", `${this.location}: no layer ${JSON.stringify(member.slice(0, 300))}`, {
      side: "source",
      hint: "the archive is not complete",
    });
  }

  async readFile(member: string, maxBytes: number): Promise<Uint8Array> {
    const what = `${this.location}: ${member.slice(0, 300)}`;
    const entry = this.#entries.get(member);
    if (entry === undefined) {
      const isList = member === ARCHIVE_MANIFEST_FILE;
      throw this.malformed(
        isList ? `it has no ${member}, so it is no docker archive` : `no file ${JSON.stringify(member.slice(0, 300))}`,
        isList ? "for an OCI layout in an archive use oci-archive:" : undefined,
      );
    }
    if (entry.size > maxBytes) {
      throw new FormatError("input-too-large", `${what}: ${entry.size} bytes, the limit is ${maxBytes}`);
    }
    return await collectChunks(this.read(entry), maxBytes, what);
  }

  async compressionOf({ offset, size }: TarEntry): Promise<LayerCompression> {
    const start = this.read({ offset, size: Math.min(COMPRESSION_MAGIC_BYTES, size) });
    return detectCompression(await collectChunks(start, COMPRESSION_MAGIC_BYTES, this.location));
  }

  async *read(entry: TarEntry): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* readRange(this.#handle, entry.offset, entry.size);
    } catch (error) {
      throw fileError(error, this.location, "read");
    }
  }

  malformed(problem: string, hint = "the archive is damaged or was made to mislead"): FormatError {
    return new FormatError("image-malformed", `${this.location}: ${problem}`, { hint });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
