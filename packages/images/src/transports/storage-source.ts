import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Digest,
  FormatError,
  InternalError,
  StoreError,
  type UntrustedImageManifest,
  computeManifestDigest,
  digestAlgorithm,
  parseManifest,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type HostEnvironment, currentHost } from "../config/host-environment.ts";
import type { SignatureReading } from "../stores/signature-store.ts";
import { checkBytes } from "./blob-check.ts";
import { openDirSource } from "./dir-source.ts";
import { parseDiffIds } from "./docker-archive-index.ts";
import { nameStoredImage } from "./local-image-name.ts";
import { makePrivateFolder } from "./private-folder.ts";
import { findTool, runTool } from "./run-tool.ts";
import { type ImageRecord, StorageRecords } from "./storage-records.ts";
import type {
  BlobDescriptor,
  ImageName,
  ImageSource,
  RawManifest,
  StoreLocation,
  SubstituteManifest,
} from "./transport.ts";

/**
 * Opens an image in a store of podman and its kin. Manifest, config and signatures are read from the store's own records; layers, which a driver keeps unpacked, are
 * brought out by skopeo (or podman) into a private folder when the first is asked for.
 *
 * The policy identity of the opened image has the image's id in it, as with the reference. From then on the image is spoken of by that id: a name that moves meanwhile
 * changes nothing.
 * @throws StoreError `image-missing`, `file-unreadable`; FormatError `json-malformed`, `image-malformed`
 */
export async function openStorageSource(name: ImageName, host: HostEnvironment = currentHost()): Promise<ImageSource> {
  const { store } = name;
  if (store === undefined) throw new InternalError(`${name.text} names no store`);
  const records = new StorageRecords(store);
  const { record, byId } = await records.find(name);
  const reference = byId && name.imageId!.length < 64 ? undefined : name.reference;
  const resolved = nameStoredImage(store, { id: record.id, ...(reference === undefined ? {} : { reference }) });
  return new StorageSource(resolved, store, records, record, host);
}

const LAYERS_UNPACKED = "the local storage keeps layers unpacked, which gives the image another manifest";

class StorageSource implements ImageSource {
  readonly name: ImageName;
  readonly #store: StoreLocation;
  readonly #records: StorageRecords;
  readonly #record: ImageRecord;
  readonly #host: HostEnvironment;
  readonly #stop = new AbortController();
  #top: Promise<RawManifest> | undefined;
  #exported: Promise<ImageSource> | undefined;

  constructor(
    name: ImageName,
    store: StoreLocation,
    records: StorageRecords,
    record: ImageRecord,
    host: HostEnvironment,
  ) {
    this.name = name;
    this.#store = store;
    this.#records = records;
    this.#record = record;
    this.#host = host;
  }

  manifest(instance?: Digest): Promise<RawManifest> {
    if (instance !== undefined) return this.#instance(instance);
    return (this.#top ??= this.#readTop());
  }

  async #readTop(): Promise<RawManifest> {
    const asked = this.name.reference?.digest;
    const bytes = asked === undefined ? undefined : await this.#records.manifestByDigest(this.#record, asked);
    const manifest = toRawManifest(bytes ?? (await this.#records.manifest(this.#record)));
    if (asked === undefined) return manifest;
    checkBytes(asked, manifest.bytes, `${this.name.text}: its manifest`);
    return digestAlgorithm(asked) === "sha256" ? manifest : { ...manifest, namedDigest: asked };
  }

  async #instance(instance: Digest): Promise<RawManifest> {
    const bytes = await this.#records.manifestByDigest(this.#record, instance);
    if (bytes === undefined) throw this.#missing("manifest", instance);
    checkBytes(instance, bytes, `${this.name.text}: manifest ${instance}`);
    return { ...toRawManifest(bytes), ...(digestAlgorithm(instance) === "sha256" ? {} : { namedDigest: instance }) };
  }

  async *blob(descriptor: BlobDescriptor): AsyncIterable<Uint8Array> {
    yield* (await this.#export()).blob(descriptor);
  }

  async signatures(digest: Digest): Promise<SignatureReading> {
    const own = computeManifestDigest(await this.#records.manifest(this.#record), nodeEngine);
    const { blobs, location } = await this.#records.signatures(this.#record, digest, digest === own);
    const outcome = blobs.length === 0 ? "absent" : "found";
    return {
      store: `containers-storage:${this.#records.label}`,
      signatures: blobs.map((bytes, at) => ({ bytes, location: `${location}, number ${at + 1}` })),
      attempts: [{ location, outcome }],
      warnings: [],
    };
  }

  async substitute(manifest: RawManifest): Promise<SubstituteManifest | undefined> {
    const parsed = parseManifest(manifest.bytes, manifest.declaredMediaType);
    if (parsed.kind !== "image") {
      throw new StoreError("image-missing", `${this.name.text}: ${parsed.mediaType} cannot be copied from here`, {
        side: "source",
        hint: "copy the instance of the platform alone, or the image from its registry",
      });
    }
    const config = await this.#records.config(this.#record, parsed.config.digest);
    checkBytes(parsed.config.digest, config, `${this.name.text}: its config`);
    const diffIds = parseDiffIds(config, `${this.name.text}: its config`);
    const isSame = (layers: UntrustedImageManifest["layers"]): boolean =>
      layers.length === diffIds.length && layers.every(({ digest }, at) => digest === diffIds[at]);
    if (isSame(parsed.layers)) return undefined;
    return {
      reason: LAYERS_UNPACKED,
      fetch: async () => {
        const found = await (await this.#export()).manifest();
        const other = parseManifest(found.bytes, found.declaredMediaType);
        // The judged manifest names the config, the config names the layers: what is copied is what was judged.
        if (other.kind === "image" && other.config.digest === parsed.config.digest && isSame(other.layers))
          return found;
        throw new FormatError("image-malformed", `${this.name.text}: the storage gave out another image`, {
          hint: "the store may be damaged: `podman system check`, or pull the image again",
        });
      },
    };
  }

  /** The image as a dir: image, written by a tool that knows the driver. */
  #export(): Promise<ImageSource> {
    return (this.#exported ??= this.#runExport());
  }

  async #runExport(): Promise<ImageSource> {
    const tool = findTool(["skopeo", "podman"], this.#host, "to read layers from the local storage");
    const folder = await makePrivateFolder(this.#host);
    try {
      const path = join(folder.path, "image");
      const id = this.#record.id;
      if (tool.name === "skopeo") {
        const from = `containers-storage:${this.#store.written}@${id}`;
        const args = ["copy", "--insecure-policy", "--remove-signatures", "--quiet", from, `dir:${path}`];
        await runTool(tool, args, this.#host, this.#stop.signal);
      } else {
        // The image was judged by the policy that counts; podman's own would be asked a second time.
        const policy = join(folder.path, "policy.json");
        await writeFile(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
        const flags = ["--quiet", "--remove-signatures", "--signature-policy", policy];
        const args = [...podmanStore(this.#store), "push", ...flags, id, `dir:${path}`];
        await runTool(tool, args, this.#host, this.#stop.signal);
      }
      const policyIdentity = { transport: "dir", identity: path, namespaces: [] };
      const source = await openDirSource({
        transport: "dir",
        text: this.name.text,
        reference: undefined,
        policyIdentity,
        path,
      });
      this.#stop.signal.throwIfAborted();
      this.#remove = folder.remove;
      return source;
    } catch (error) {
      await folder.remove();
      throw error;
    }
  }

  #remove: () => Promise<void> = async () => {};

  #missing(what: string, digest: Digest): StoreError {
    return new StoreError("image-missing", `${this.name.text}: no ${what} ${digest} in the local storage`, {
      side: "source",
      hint: "of a list only the instance that was pulled is there",
    });
  }

  async close(): Promise<void> {
    this.#stop.abort(new StoreError("tool-failed", `${this.name.text} was closed`, { side: "local" }));
    await this.#exported?.catch(() => {});
    await this.#remove();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function toRawManifest(bytes: Uint8Array): RawManifest {
  return { bytes, digest: computeManifestDigest(bytes, nodeEngine), declaredMediaType: undefined };
}

/** Options that make podman use a store that was named. */
function podmanStore({ written, driver, root }: StoreLocation): readonly string[] {
  if (written === "") return [];
  const runRoot = /\+([^:\]]+)/.exec(written)?.[1];
  return ["--storage-driver", driver, "--root", root, ...(runRoot === undefined ? [] : ["--runroot", runRoot])];
}
