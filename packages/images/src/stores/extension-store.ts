/** The registry's signatures API as a store (registries.d, section 5; the `X-Registry-Supports-Signatures` extension of OpenShift and Pulp). */
import { randomBytes } from "node:crypto";
import {
  type Digest,
  FormatError,
  MAX_SIGNATURES_PER_MANIFEST,
  MAX_SIGNATURE_BYTES,
  type Reference,
  StoreError,
  type UntrustedSignatureBlob,
  encodeHex,
  equalBytes,
  parseSignatureBlob,
} from "@signet/core";
import type { RegistryClient } from "../registry/client.ts";
import type { ApiSignature, ApiSignatureList } from "../registry/signatures-api.ts";
import { withAttempts } from "./failed-reading.ts";
import type { SignatureReading, SignatureStore } from "./signature-store.ts";

/** Octets of the random part of a signature's name; 32 hex digits, as every client writes them. */
const NAME_OCTETS = 16;

/** Names tried when the registry says that one is taken; a second one is as unlikely as a collision of 128 random bits. */
const MAX_NAME_ATTEMPTS = 3;

/**
 * The store behind a registry's signatures API. It can be read and added to. Nothing can be removed or changed through that API, so `replace` succeeds only when
 * everything that is there is wanted, and `remove` only when there is nothing.
 *
 * Read are objects of version 2 and type `atomic`, and of type `AtomicImageV1`: those came in by OpenShift's own import, and hold the same thing. What they
 * hold is judged like any other blob. More than 128 objects are taken for a fault of the registry.
 *
 * Not checked: whether the registry announced the API; `RegistryClient.ping` says that.
 */
export function extensionStore(client: RegistryClient): SignatureStore {
  return new ExtensionStore(client);
}

class ExtensionStore implements SignatureStore {
  readonly label: string;
  readonly unwritable: undefined = undefined;
  readonly appendOnly = true;
  readonly #client: RegistryClient;

  constructor(client: RegistryClient) {
    this.#client = client;
    this.label = `${client.domain} (signatures API)`;
  }

  async read(reference: Reference, digest: Digest): Promise<SignatureReading> {
    const request = `${this.label}: ${reference.path}/signatures/${digest}`;
    const { signatures, skipped } = await this.#list(reference, digest).catch((error: unknown) => {
      throw withAttempts(error, [], request);
    });
    const place = (name: string): string => `${this.label}: ${name}`;
    return {
      store: this.label,
      signatures: signatures.map(({ name, content }) => ({ bytes: content, location: place(name) })),
      attempts: [
        ...(signatures.length + skipped.length === 0
          ? [{ location: request, outcome: "absent" as const, status: 200 }]
          : []),
        ...signatures.map(({ name }) => ({ location: place(name), outcome: "found" as const, status: 200 })),
        ...skipped.map(({ name }) => ({ location: place(name), outcome: "skipped" as const, status: 200 })),
      ],
      warnings: skipped.map(({ name, reason }) => `${place(name)}: ${reason}, skipped`),
    };
  }

  async replace(reference: Reference, digest: Digest, blobs: readonly Uint8Array[]): Promise<void> {
    const wanted = blobs.map((blob) => this.#contentOf(blob));
    const { signatures } = await this.#list(reference, digest);
    const surplus = signatures.filter(({ content }) => !wanted.some((one) => equalBytes(one, content)));
    if (surplus.length > 0) throw this.#cannotRemove(reference, digest, surplus.length);
    await this.#addAll(reference, digest, wanted, signatures);
  }

  async add(reference: Reference, digest: Digest, blob: Uint8Array): Promise<string> {
    const content = this.#contentOf(blob);
    const { signatures } = await this.#list(reference, digest);
    const [location] = await this.#addAll(reference, digest, [content], signatures);
    return location!;
  }

  async remove(reference: Reference, digest: Digest): Promise<void> {
    const { signatures } = await this.#list(reference, digest);
    if (signatures.length > 0) throw this.#cannotRemove(reference, digest, signatures.length);
  }

  async #list(reference: Reference, digest: Digest): Promise<ApiSignatureList> {
    this.#checkHost(reference);
    const list = await this.#client.listSignatures(reference.path, digest);
    if (list.signatures.length + list.skipped.length > MAX_SIGNATURES_PER_MANIFEST) {
      throw new StoreError(
        "signature-store-error",
        `${this.label}: more than ${MAX_SIGNATURES_PER_MANIFEST} signatures for ${reference.path}@${digest}`,
        { side: "source", hint: "no image has that many; ask whoever runs the registry" },
      );
    }
    return list;
  }

  /** Adds what is not there yet; returns where each lies. */
  async #addAll(
    reference: Reference,
    digest: Digest,
    contents: readonly Uint8Array[],
    present: readonly ApiSignature[],
  ): Promise<string[]> {
    const known = [...present];
    const fresh = contents.filter((content) => !known.some((one) => equalBytes(one.content, content)));
    if (known.length + fresh.length > MAX_SIGNATURES_PER_MANIFEST) {
      throw this.#refusal(
        `there are ${known.length} signatures; readers stop at ${MAX_SIGNATURES_PER_MANIFEST}`,
        "let old ones be removed first",
      );
    }
    const locations: string[] = [];
    for (const content of contents) {
      let name = known.find((one) => equalBytes(one.content, content))?.name;
      if (name === undefined) {
        name = await this.#put(reference, digest, content, known);
        known.push({ name, content });
      }
      locations.push(`${this.label}: ${name}`);
    }
    return locations;
  }

  async #put(
    reference: Reference,
    digest: Digest,
    content: Uint8Array,
    present: readonly ApiSignature[],
  ): Promise<string> {
    let taken = present;
    for (let attempt = 0; attempt < MAX_NAME_ATTEMPTS; attempt++) {
      const name = newName(digest, taken);
      if ((await this.#client.putSignature(reference.path, digest, { name, content })) === "created") return name;
      // The registry has that name or that content. Another client may have been faster, or the answer to our own first attempt was lost.
      taken = (await this.#list(reference, digest)).signatures;
      const equal = taken.find((signature) => equalBytes(signature.content, content));
      if (equal !== undefined) return equal.name;
    }
    throw new StoreError(
      "signature-store-error",
      `${this.label}: says that the signature exists, and does not list it`,
      {
        side: "destination",
        status: 409,
      },
    );
  }

  /** What goes into the API: the OpenPGP message itself, without the frame that other stores may put around it. */
  #contentOf(blob: Uint8Array): Uint8Array {
    if (blob.length > MAX_SIGNATURE_BYTES) {
      throw this.#refusal(
        `a signature of ${blob.length} bytes, the limit is ${MAX_SIGNATURE_BYTES}`,
        "no genuine signature is that large",
      );
    }
    let parsed: UntrustedSignatureBlob;
    try {
      parsed = parseSignatureBlob(blob);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw this.#refusal(`that is no signature: ${error.message}`, "leave it out");
    }
    if (parsed.format === "simple-signing") return parsed.message;
    throw this.#refusal(
      "the signatures API takes simple signing only, not sigstore",
      "leave sigstore signatures out, or use another store",
    );
  }

  #checkHost(reference: Reference): void {
    if (reference.domain === this.#client.domain) return;
    throw new StoreError("signature-store-error", `${this.label} does not serve ${reference.domain}/${reference.path}`);
  }

  #cannotRemove(reference: Reference, digest: Digest, count: number): StoreError {
    return this.#refusal(
      `${count} ${count === 1 ? "signature" : "signatures"} of ${reference.path}@${digest} would have to be removed, and the API has no way to`,
      "add to them instead, or let an administrator of the registry remove them there",
    );
  }

  #refusal(problem: string, hint: string): StoreError {
    return new StoreError("signature-store-unwritable", `${this.label}: ${problem}`, { side: "destination", hint });
  }
}

function newName(digest: Digest, taken: readonly ApiSignature[]): string {
  for (;;) {
    const name = `${digest}@${encodeHex(randomBytes(NAME_OCTETS))}`;
    if (!taken.some((signature) => signature.name === name)) return name;
  }
}
