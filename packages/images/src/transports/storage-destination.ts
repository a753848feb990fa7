import { join } from "node:path";
import { type Reference, InternalError, StoreError, UsageError, formatReference } from "@signet/core";
import { type HostEnvironment, currentHost } from "../config/host-environment.ts";
import { openDirDestination } from "./dir-destination.ts";
import { makePrivateFolder } from "./private-folder.ts";
import { type Tool, findTool, runTool } from "./run-tool.ts";
import type { BlobDescriptor, ImageDestination, ImageName, RawManifest } from "./transport.ts";

const imageTypes: readonly string[] = [
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
];

/**
 * Opens a place in a store of podman and its kin for writing one image. The image is put together as a dir: image in a private folder; `commit` lets skopeo, which
 * knows the storage drivers, bring it in, with its manifest as it is and its signatures.
 * @throws UsageError `image-name-malformed` for a name that cannot be written to; StoreError `tool-missing`, `file-unwritable`, `disk-full`
 */
export async function openStorageDestination(
  name: ImageName,
  host: HostEnvironment = currentHost(),
): Promise<ImageDestination> {
  const { reference } = name;
  if (reference === undefined || name.imageId?.length === 64) {
    throw new UsageError("image-name-malformed", `${name.text}: an image is stored under a name, not under an id`, {
      hint: "write containers-storage:HOST/REPOSITORY:TAG",
    });
  }
  const tool = findTool(["skopeo"], host, "to write to the local storage");
  const folder = await makePrivateFolder(host);
  try {
    const path = join(folder.path, "image");
    const policyIdentity = { transport: "dir", identity: path, namespaces: [] };
    const inner = await openDirDestination({
      transport: "dir",
      text: name.text,
      reference: undefined,
      policyIdentity,
      path,
    });
    return new StorageDestination(name, reference, tool, host, inner, path, folder.remove);
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

class StorageDestination implements ImageDestination {
  readonly name: ImageName;
  readonly #reference: Reference;
  readonly #tool: Tool;
  readonly #host: HostEnvironment;
  readonly #inner: ImageDestination;
  readonly #path: string;
  readonly #remove: () => Promise<void>;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    name: ImageName,
    reference: Reference,
    tool: Tool,
    host: HostEnvironment,
    inner: ImageDestination,
    path: string,
    remove: () => Promise<void>,
  ) {
    this.name = name;
    this.#reference = reference;
    this.#tool = tool;
    this.#host = host;
    this.#inner = inner;
    this.#path = path;
    this.#remove = remove;
  }

  async signaturesUnsupported(): Promise<undefined> {
    return undefined;
  }

  manifestUnsupported(mediaType: string): string | undefined {
    if (imageTypes.includes(mediaType)) return undefined;
    return `the local storage holds single images, this one is ${mediaType}`;
  }

  hasBlob(descriptor: BlobDescriptor): Promise<boolean> {
    return this.#inner.hasBlob(descriptor);
  }

  putBlob(descriptor: BlobDescriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#inner.putBlob(descriptor, chunks);
  }

  async putManifest(manifest: RawManifest, options: { readonly instance?: boolean } = {}): Promise<void> {
    if (options.instance === true) {
      throw new StoreError("destination-unsuitable", `${this.name.text}: the local storage holds single images`, {
        side: "destination",
        hint: "copy the instance of one platform",
      });
    }
    await this.#inner.putManifest(manifest);
  }

  putSignatures(
    blobs: readonly Uint8Array[],
    digest: RawManifest["digest"],
    options: { readonly top: boolean },
  ): Promise<void> {
    return this.#inner.putSignatures(blobs, digest, options);
  }

  async commit(): Promise<void> {
    await this.#inner.commit();
    const { store } = this.name;
    if (store === undefined) throw new InternalError(`${this.name.text} names no store`);
    const to = `containers-storage:${store.written}${formatReference(this.#reference)}`;
    const args = ["copy", "--insecure-policy", "--quiet", `dir:${this.#path}`, to];
    this.#running = runTool(this.#tool, args, this.#host, this.#stop.signal);
    await this.#running;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running?.catch(() => {});
    await this.#inner.close();
    await this.#remove();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
