/** `docker://`: images in registries. */
import {
  type Digest,
  InternalError,
  type Reference,
  StoreError,
  UsageError,
  formatReference,
  parseManifest,
} from "@signet/core";
import type { RegistryClient, RegistryClients } from "../registry/client.ts";
import type { ManifestName } from "../registry/manifests.ts";
import type { SignatureReading, SignatureStore } from "../stores/signature-store.ts";
import type { CompanionListing, CompanionWriter } from "./companion.ts";
import { findRegistryCompanions, registryCompanions } from "./docker-companions.ts";
import type { BlobDescriptor, ImageDestination, ImageName, ImageSource, RawManifest } from "./transport.ts";

/** What the docker transport needs and cannot find out by itself. */
export interface DockerOptions {
  /** Makes the registry clients; stays open when an image is closed. */
  readonly clients: RegistryClients;
  /**
   * Which store keeps the signatures of an image; asked once, after the registry's ping. The registry's signatures API, if it announced one, else the lookaside
   * store that registries.d names.
   */
  readonly chooseSignatureStore: (
    client: RegistryClient,
    reference: Reference,
  ) => SignatureStore | Promise<SignatureStore>;
  /** Destinations: repositories of the same registry that may have the blobs already. */
  readonly mountFrom?: readonly string[];
}

/** Repositories asked for a blob one after the other; each is a request. */
const MAX_MOUNT_SOURCES = 4;

/**
 * Opens an image in a registry for reading. Nothing is asked for yet.
 * @throws UsageError `image-name-malformed` for a name with both a tag and a digest
 */
export async function openDockerSource(name: ImageName, options: DockerOptions | undefined): Promise<ImageSource> {
  return new DockerSource(place(name, options));
}

/**
 * Opens an image in a registry for writing. Blobs and instances of lists go to the registry as they come, where nobody finds them by the image's name; the top manifest
 * is put under its tag by `commit`, when its signatures are there already.
 * @throws UsageError `image-name-malformed` for a name with both a tag and a digest
 */
export async function openDockerDestination(
  name: ImageName,
  options: DockerOptions | undefined,
): Promise<ImageDestination> {
  return new DockerDestination(place(name, options), options?.mountFrom ?? []);
}

/** Where the image is, and what talks to it. */
interface Place {
  readonly name: ImageName;
  readonly reference: Reference;
  readonly client: RegistryClient;
  /** By digest where the reference has one, else by its tag. */
  readonly top: ManifestName;
  store(): Promise<SignatureStore>;
}

function place(name: ImageName, options: DockerOptions | undefined): Place {
  const { reference } = name;
  if (reference === undefined) throw new InternalError(`${name.text} has no docker reference`);
  if (options === undefined) {
    throw new UsageError(
      "transport-unsupported",
      `${name.text}: docker:// needs a registry client, and none was given`,
      {
        hint: "pass `docker: { clients, chooseSignatureStore }` in the options",
      },
    );
  }
  const { tag, digest } = reference;
  if (tag !== undefined && digest !== undefined) {
    // Which of the two the user relies on must not be guessed; the reference implementation refuses it as well.
    throw new UsageError("image-name-malformed", `${formatReference(reference)} has both a tag and a digest`, {
      hint: "leave the tag out: the digest alone names the image",
    });
  }
  const client = options.clients.clientFor(reference.domain);
  let store: Promise<SignatureStore> | undefined;
  return {
    name,
    reference,
    client,
    top: digest === undefined ? { tag: tag ?? "latest" } : { digest },
    store: () => {
      store ??= chooseStore(client, reference, options);
      // A registry that cannot be reached now may be later.
      store.catch(() => (store = undefined));
      return store;
    },
  };
}

async function chooseStore(
  client: RegistryClient,
  reference: Reference,
  options: DockerOptions,
): Promise<SignatureStore> {
  await client.ping();
  return await options.chooseSignatureStore(client, reference);
}

class DockerSource implements ImageSource {
  readonly name: ImageName;
  readonly #place: Place;
  #top: Promise<RawManifest> | undefined;

  constructor(at: Place) {
    this.name = at.name;
    this.#place = at;
  }

  manifest(instance?: Digest): Promise<RawManifest> {
    const { client, reference, top } = this.#place;
    if (instance !== undefined) return client.fetchManifest(reference.path, { digest: instance });
    // Once and for all: a second look at a tag could see something else than what was judged (T1).
    if (this.#top === undefined) {
      const fetched = client.fetchManifest(reference.path, top);
      this.#top = fetched;
      fetched.catch(() => {
        if (this.#top === fetched) this.#top = undefined;
      });
    }
    return this.#top;
  }

  blob(descriptor: BlobDescriptor): AsyncIterable<Uint8Array> {
    return this.#place.client.fetchBlob(this.#place.reference.path, descriptor);
  }

  async signatures(digest: Digest): Promise<SignatureReading> {
    const store = await this.#place.store();
    return await store.read(this.#place.reference, digest);
  }

  companions(digest: Digest): Promise<CompanionListing> {
    return findRegistryCompanions(this.#place.client, this.#place.reference.path, digest);
  }

  async close(): Promise<void> {
    // Connections belong to the clients, which others use as well.
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class DockerDestination implements ImageDestination {
  readonly name: ImageName;
  readonly companions: CompanionWriter;
  readonly #place: Place;
  readonly #mountFrom: readonly string[];
  #top: RawManifest | undefined;
  #topStoredByDigest = false;

  constructor(at: Place, mountFrom: readonly string[]) {
    this.name = at.name;
    this.companions = registryCompanions(at.client, at.reference.path, (digest) => this.#makeSubjectKnown(digest));
    this.#place = at;
    this.#mountFrom = mountFrom.filter((repository) => repository !== at.reference.path).slice(0, MAX_MOUNT_SOURCES);
  }

  async signaturesUnsupported(blobs?: readonly Uint8Array[]): Promise<string | undefined> {
    const store = await this.#place.store();
    if (blobs === undefined || store.unwritableFor === undefined) return store.unwritable;
    for (const blob of blobs) {
      const reason = store.unwritableFor(blob);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  async hasBlob(descriptor: BlobDescriptor): Promise<boolean> {
    const { client, reference } = this.#place;
    if (await client.hasBlob(reference.path, descriptor)) return true;
    for (const repository of this.#mountFrom) {
      if (await client.mountBlob(reference.path, descriptor.digest, repository)) return true;
    }
    return false;
  }

  async putBlob(descriptor: BlobDescriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#place.client.uploadBlob(this.#place.reference.path, descriptor, chunks);
  }

  async putManifest(manifest: RawManifest, options: { readonly instance?: boolean } = {}): Promise<void> {
    if (options.instance === true) return await this.#storeByDigest(manifest);
    const wanted = this.#place.reference.digest;
    if (wanted !== undefined && wanted !== manifest.digest && wanted !== manifest.namedDigest) {
      throw new StoreError("digest-mismatch", `${this.name.text}: the image's digest is ${manifest.digest}`, {
        side: "destination",
        hint: "name the destination by a tag, or by the digest of the image",
      });
    }
    this.#top = manifest;
    this.#topStoredByDigest = false;
  }

  async putSignatures(blobs: readonly Uint8Array[], digest: Digest, options: { readonly top: boolean }): Promise<void> {
    const { reference } = this.#place;
    const store = await this.#place.store();
    if (store.appendOnly !== true) return await store.replace(reference, digest, blobs);
    await this.addSignatures(blobs, digest, options);
  }

  async heldSignatures(digest: Digest): Promise<readonly Uint8Array[]> {
    const { reference } = this.#place;
    const store = await this.#place.store();
    try {
      const { signatures } = await (store.readWritten?.(reference, digest) ?? store.read(reference, digest));
      return signatures.map(({ bytes }) => bytes);
    } catch (error) {
      // A signatures API does not know a manifest that has not been pushed yet.
      if (error instanceof StoreError && error.code === "image-missing") return [];
      throw error;
    }
  }

  async addSignatures(blobs: readonly Uint8Array[], digest: Digest, options: { readonly top: boolean }): Promise<void> {
    const { reference } = this.#place;
    const store = await this.#place.store();
    if (blobs.length === 0) await store.tidy?.(reference, digest);
    // An append-only store is the registry itself, which takes signatures only for manifests it has. Under its digest nobody finds the image by name yet.
    if (store.appendOnly === true && options.top) await this.#makeSubjectKnown(digest);
    for (const blob of blobs) await store.add(reference, digest, blob);
  }

  async commit(): Promise<void> {
    const top = this.#top;
    if (top === undefined) throw new InternalError(`${this.name.text}: commit before the image's own manifest`);
    const { client, reference } = this.#place;
    if ("digest" in this.#place.top && this.#topStoredByDigest) return;
    await client.storeManifest(reference.path, this.#place.top, top.bytes, mediaTypeOf(top));
  }

  async close(): Promise<void> {
    // What was sent and is not named by any tag is the registry's to clean up; there is no way to take it back.
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Registries shall take what refers to a manifest they do not have; not all do. Under its digest nobody finds the image by name yet. */
  async #makeSubjectKnown(digest: Digest): Promise<void> {
    const top = this.#top;
    if (top === undefined || this.#topStoredByDigest || digest !== (top.namedDigest ?? top.digest)) return;
    await this.#storeByDigest(top);
    this.#topStoredByDigest = true;
  }

  async #storeByDigest(manifest: RawManifest): Promise<void> {
    const digest = manifest.namedDigest ?? manifest.digest;
    await this.#place.client.storeManifest(
      this.#place.reference.path,
      { digest },
      manifest.bytes,
      mediaTypeOf(manifest),
    );
  }
}

/** A manifest that means two things, or that is of no known kind, is not passed on. */
function mediaTypeOf(manifest: RawManifest): string {
  return parseManifest(manifest.bytes, manifest.declaredMediaType).mediaType;
}
