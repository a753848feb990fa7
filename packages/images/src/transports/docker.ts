/** `docker://`: images in registries. */
import {
  type Digest,
  FormatError,
  InternalError,
  type Reference,
  SignetError,
  StoreError,
  UsageError,
  formatReference,
  parseManifest,
} from "@signet/core";
import type { ImageEndpoint } from "../config/image-endpoints.ts";
import type { RegistryClient, RegistryClients } from "../registry/client.ts";
import type { ManifestName } from "../registry/manifests.ts";
import type { SignatureReading, SignatureStore } from "../stores/signature-store.ts";
import type { CompanionListing, CompanionWriter } from "./companion.ts";
import { findRegistryCompanions, registryCompanions } from "./docker-companions.ts";
import type {
  BlobDescriptor,
  EndpointAttempt,
  ImageDestination,
  ImageName,
  ImageSource,
  RawManifest,
} from "./transport.ts";

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
  /** Where to read an image, in the order in which to try; see `pullEndpoints`. Default: at the place its name says. */
  readonly resolveEndpoints?: (reference: Reference) => readonly ImageEndpoint[] | Promise<readonly ImageEndpoint[]>;
  /** How to write an image, or signatures of one; see `pushEndpoint`. Default: at the place its name says. */
  readonly resolveDestination?: (reference: Reference) => ImageEndpoint | Promise<ImageEndpoint>;
  /** Destinations: repositories of the same registry that may have the blobs already. */
  readonly mountFrom?: readonly string[];
}

/** Repositories asked for a blob one after the other; each is a request. */
const MAX_MOUNT_SOURCES = 4;

/**
 * Opens an image in a registry for reading. Nothing is asked for yet.
 * @throws UsageError `image-name-malformed` for a name with both a tag and a digest; what `resolveEndpoints` throws
 */
export async function openDockerSource(name: ImageName, options: DockerOptions | undefined): Promise<ImageSource> {
  const { reference, docker } = checkName(name, options);
  const endpoints = (await docker.resolveEndpoints?.(reference)) ?? [asWritten(reference)];
  return new DockerSource(
    name,
    endpoints.map((endpoint) => makePlace(endpoint, reference, docker)),
  );
}

/**
 * Opens an image in a registry for writing. Blobs and instances of lists go to the registry as they come, where nobody finds them by the image's name; the top manifest
 * is put under its tag by `commit`, when its signatures are there already.
 * @throws UsageError `image-name-malformed` for a name with both a tag and a digest; StoreError `registry-blocked`; what `resolveDestination` throws
 */
export async function openDockerDestination(
  name: ImageName,
  options: DockerOptions | undefined,
): Promise<ImageDestination> {
  const { reference, docker } = checkName(name, options);
  const place = makePlace((await docker.resolveDestination?.(reference)) ?? asWritten(reference), reference, docker);
  refuseBlocked(place);
  return new DockerDestination(name, place, docker.mountFrom ?? []);
}

/**
 * The store for new signatures of an image: that of the place its name says, whatever mirrors it has.
 * @throws StoreError `registry-blocked`; what choosing the store throws
 */
export async function openSignatureStore(reference: Reference, options: DockerOptions): Promise<SignatureStore> {
  const endpoint = (await options.resolveDestination?.(reference)) ?? asWritten(reference);
  const place = makePlace(endpoint, reference, options);
  refuseBlocked(place);
  return await place.store();
}

/** Where an image is, and what talks to it. */
interface Place {
  readonly endpoint: ImageEndpoint;
  readonly reference: Reference;
  readonly client: RegistryClient;
  /** By digest where the reference has one, else by its tag. */
  readonly top: ManifestName;
  store(): Promise<SignatureStore>;
}

function checkName(
  name: ImageName,
  options: DockerOptions | undefined,
): { readonly reference: Reference; readonly docker: DockerOptions } {
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
  if (reference.tag !== undefined && reference.digest !== undefined) {
    // Which of the two the user relies on must not be guessed; the reference implementation refuses it as well.
    throw new UsageError("image-name-malformed", `${formatReference(reference)} has both a tag and a digest`, {
      hint: "leave the tag out: the digest alone names the image",
    });
  }
  return { reference, docker: options };
}

function asWritten(reference: Reference): ImageEndpoint {
  return { role: "location", reference, insecure: false };
}

function makePlace(endpoint: ImageEndpoint, logical: Reference, options: DockerOptions): Place {
  const { reference, insecure } = endpoint;
  const { domain, tag, digest } = reference;
  const client = options.clients.clientFor(domain, { insecure, named: domain === logical.domain });
  let store: Promise<SignatureStore> | undefined;
  return {
    endpoint,
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

function refuseBlocked({ endpoint }: Place): void {
  if (endpoint.blocked === undefined) return;
  throw new StoreError("registry-blocked", `${formatReference(endpoint.reference)}: ${endpoint.blocked}`, {
    hint: "name another registry, or change that file",
  });
}

async function chooseStore(
  client: RegistryClient,
  reference: Reference,
  options: DockerOptions,
): Promise<SignatureStore> {
  await client.ping();
  return await options.chooseSignatureStore(client, reference);
}

/** The top manifest with the place that served it. */
interface ServedTop {
  readonly place: Place;
  readonly manifest: RawManifest;
}

class DockerSource implements ImageSource {
  readonly name: ImageName;
  /** At least one, in the order in which they are tried. */
  readonly #places: readonly Place[];
  #top: Promise<ServedTop> | undefined;
  #attempts: readonly EndpointAttempt[] = [];

  constructor(name: ImageName, places: readonly Place[]) {
    this.name = name;
    this.#places = places;
  }

  async manifest(instance?: Digest): Promise<RawManifest> {
    if (instance === undefined) return (await this.#fetchTop()).manifest;
    const { client, reference } = await this.#servingPlace();
    return await client.fetchManifest(reference.path, { digest: instance });
  }

  async *blob(descriptor: BlobDescriptor): AsyncGenerator<Uint8Array, void, undefined> {
    const { client, reference } = await this.#servingPlace();
    yield* client.fetchBlob(reference.path, descriptor);
  }

  async signatures(digest: Digest): Promise<SignatureReading> {
    const place = await this.#servingPlace();
    return await (await place.store()).read(place.reference, digest);
  }

  endpoints(): readonly EndpointAttempt[] {
    return this.#attempts;
  }

  async companions(digest: Digest): Promise<CompanionListing> {
    const { client, reference } = await this.#servingPlace();
    return findRegistryCompanions(client, reference.path, digest);
  }

  async close(): Promise<void> {
    // Connections belong to the clients, which others use as well.
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Which place serves the image is settled by its top manifest. Then all else comes from there: what two places call by one name need not be one image. */
  async #servingPlace(): Promise<Place> {
    const [only, ...others] = this.#places;
    if (others.length > 0) return (await this.#fetchTop()).place;
    refuseBlocked(only!);
    return only!;
  }

  #fetchTop(): Promise<ServedTop> {
    // Once and for all: a second look at a tag could see something else than what was judged (T1).
    if (this.#top === undefined) {
      const fetched = this.#tryPlaces();
      this.#top = fetched;
      fetched.catch(() => {
        if (this.#top === fetched) this.#top = undefined;
      });
    }
    return this.#top;
  }

  async #tryPlaces(): Promise<ServedTop> {
    const failures: FailedAttempt[] = [];
    for (const place of this.#places) {
      try {
        refuseBlocked(place);
        const manifest = await place.client.fetchManifest(place.reference.path, place.top);
        if (!this.#isPlain()) this.#attempts = [...failures.map(reportFailure), reportAttempt(place, "served")];
        return { place, manifest };
      } catch (error) {
        if (!(error instanceof SignetError) || error instanceof InternalError) throw error;
        failures.push({ place, error });
      }
    }
    throw this.#isPlain() ? failures[0]!.error : allFailed(this.name, failures);
  }

  /** The image's name is the only place. */
  #isPlain(): boolean {
    const [only, ...others] = this.#places;
    return others.length === 0 && `docker://${formatReference(only!.reference)}` === this.name.text;
  }
}

interface FailedAttempt {
  readonly place: Place;
  readonly error: SignetError;
}

function reportAttempt({ endpoint }: Place, outcome: EndpointAttempt["outcome"]): EndpointAttempt {
  return { role: endpoint.role, reference: formatReference(endpoint.reference), outcome };
}

function reportFailure({ place, error }: FailedAttempt): EndpointAttempt {
  return { ...reportAttempt(place, "failed"), code: error.code, message: error.message };
}

/** One error for all places. Its code is that of the last one that could be asked: the location's, unless that is blocked. */
function allFailed(name: ImageName, failures: readonly FailedAttempt[]): SignetError {
  const { error } = failures.findLast((one) => one.error.code !== "registry-blocked") ?? failures.at(-1)!;
  const tried = failures.map(({ place, error: { message } }) => {
    const reference = formatReference(place.reference);
    return `${place.endpoint.role} ${message.startsWith(reference) ? message : `${reference}: ${message}`}`;
  });
  const message = `${name.text} could not be fetched: ${tried.join("; ")}`;
  const common = {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details: { ...error.details, endpoints: failures.map(reportFailure) },
  };
  if (!(error instanceof StoreError)) return new FormatError(error.code, message, common);
  const { retryable, status, side } = error;
  return new StoreError(error.code, message, {
    ...common,
    retryable,
    ...(status === undefined ? {} : { status }),
    ...(side === undefined ? {} : { side }),
  });
}

class DockerDestination implements ImageDestination {
  readonly name: ImageName;
  readonly companions: CompanionWriter;
  readonly #place: Place;
  readonly #mountFrom: readonly string[];
  #top: RawManifest | undefined;
  #topStoredByDigest = false;

  constructor(name: ImageName, at: Place, mountFrom: readonly string[]) {
    this.name = name;
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
