/** One fetch for several judgements. */
import type { Digest } from "@signet/core";
import type { SignatureReading } from "../stores/signature-store.ts";
import type { BlobDescriptor, EndpointAttempt, ImageName, ImageSource, RawManifest } from "../transports/transport.ts";

/** Bytes of manifests and signatures kept from one image to the next: several tags often name the same manifest. */
const MAX_KEPT_BYTES: number = 4 * 1024 * 1024;

/** Bytes that an entry takes besides its content: names, places that were looked at, the buffer around a small signature. */
const ENTRY_BYTES = 4096;

/** What was read lately, by repository and digest, so that content that several tags name is read once. What was used longest ago goes first. */
export class RecentReadings {
  readonly #kept = new Map<string, { readonly reading: Promise<unknown>; bytes: number }>();
  #bytes = 0;

  /** The reading that is kept, or under way, for `key`; else that of `read`. Failures are not kept. */
  async take<T>(key: string, read: () => Promise<T>, sizeOf: (reading: T) => number): Promise<T> {
    const known = this.#kept.get(key);
    if (known !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return (await known.reading) as T;
    }
    const entry = { reading: read(), bytes: 0 };
    this.#kept.set(key, entry);
    try {
      const reading = await entry.reading;
      entry.bytes = sizeOf(reading) + ENTRY_BYTES;
      this.#bytes += entry.bytes;
      for (const [oldest, { bytes }] of this.#kept) {
        if (this.#bytes <= MAX_KEPT_BYTES) break;
        this.#kept.delete(oldest);
        this.#bytes -= bytes;
      }
      return reading;
    } catch (error) {
      if (this.#kept.get(key) === entry) this.#kept.delete(key);
      throw error;
    }
  }
}

/**
 * The same image, each part of it read once: all judgements are about the same bytes and the same signatures, and a failure is the same for all of them.
 * Closing it does not close `source`.
 * @param recent readings shared with other images of the run; only images of registries are, since files have other ways to change
 */
export function shareSource(source: ImageSource, recent: RecentReadings): ImageSource {
  return new SharedSource(source, recent);
}

class SharedSource implements ImageSource {
  readonly name: ImageName;
  readonly #source: ImageSource;
  readonly #recent: RecentReadings;
  readonly #manifests = new Map<Digest | undefined, Promise<RawManifest>>();
  readonly #signatures = new Map<Digest, Promise<SignatureReading>>();

  constructor(source: ImageSource, recent: RecentReadings) {
    this.name = source.name;
    this.#source = source;
    this.#recent = recent;
  }

  manifest(instance?: Digest): Promise<RawManifest> {
    const digest = instance ?? this.name.reference?.digest;
    return once(this.#manifests, instance, () => {
      const read = (): Promise<RawManifest> => this.#source.manifest(instance);
      return digest === undefined ? read() : this.#take(`manifest ${digest}`, read, ({ bytes }) => bytes.length);
    });
  }

  blob(descriptor: BlobDescriptor): AsyncIterable<Uint8Array> {
    return this.#source.blob(descriptor);
  }

  signatures(digest: Digest): Promise<SignatureReading> {
    return once(this.#signatures, digest, () => {
      const read = (): Promise<SignatureReading> => this.#source.signatures(digest);
      return this.#take(`signatures ${digest}`, read, ({ signatures }) =>
        signatures.reduce((sum, { bytes }) => sum + bytes.length + ENTRY_BYTES, 0),
      );
    });
  }

  endpoints(): readonly EndpointAttempt[] {
    return this.#source.endpoints?.() ?? [];
  }

  async close(): Promise<void> {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #take<T>(what: string, read: () => Promise<T>, sizeOf: (reading: T) => number): Promise<T> {
    const { reference } = this.name;
    if (this.name.transport !== "docker" || reference === undefined) return read();
    return this.#recent.take(`${reference.domain}/${reference.path} ${what}`, read, sizeOf);
  }
}

function once<K, T>(known: Map<K, Promise<T>>, key: K, read: () => Promise<T>): Promise<T> {
  let reading = known.get(key);
  if (reading === undefined) {
    reading = read();
    known.set(key, reading);
  }
  return reading;
}
