/** Blobs on their way into a registry (OCI distribution 1.1, "Pushing blobs": POST, PATCH, PUT). */
import { type Digest, SignetError, StoreError } from "@signet/core";
import { checkBlob } from "../transports/blob-check.ts";
import type { BlobDescriptor } from "../transports/transport.ts";
import type { Access } from "./authorizer.ts";
import { blobLabel } from "./blobs.ts";
import { shownUrl } from "./endpoint.ts";
import type { HttpAnswer } from "./exchange.ts";
import type { RegistrySession } from "./session.ts";

/**
 * Sends a blob as one stream, hashed on its way, and has the registry store it under its digest. When the bytes turn out not to be what the descriptor names,
 * or anything else fails, the upload is given up and nothing is stored.
 * @param chunks each with memory of its own, or unchanged until the next one is asked for and sent
 * @throws StoreError `digest-mismatch`, `registry-…`, and what `chunks` throws
 */
export async function uploadBlob(
  session: RegistrySession,
  repository: string,
  descriptor: BlobDescriptor,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const upload = new Upload(session, repository, descriptor.digest);
  await upload.start();
  const source = endingStream(checkBlob(descriptor, chunks, upload.label));
  try {
    await upload.send(source.chunks);
    source.rethrow();
    await upload.finish();
  } catch (error) {
    await upload.abandon();
    source.rethrow();
    throw error;
  }
}

/**
 * A stream that ends where its source fails, and keeps the failure. The request then ends in good order, and the registry's answer tells where the upload can be
 * cancelled; one that was torn off cannot be, at docker's registry at least. What arrived so far is never named by a digest.
 */
function endingStream(source: AsyncIterable<Uint8Array>): {
  readonly chunks: AsyncIterable<Uint8Array>;
  rethrow(): void;
} {
  let failure: { readonly error: unknown } | undefined;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* source;
    } catch (error) {
      failure = { error };
    }
  }
  return {
    chunks: chunks(),
    rethrow() {
      if (failure !== undefined) throw failure.error;
    },
  };
}

/**
 * Asks the registry to take a blob over from another of its repositories.
 * @returns false when it did not: it has no such blob there, the other repository may not be read, or it does not know how (some answer 404 or 405 instead of 202). Then the
 *   blob has to be sent, and if the target itself is what may not be written to, that will say so
 * @throws StoreError when the registry gave no answer at all
 */
export async function mountBlob(
  session: RegistrySession,
  repository: string,
  digest: Digest,
  from: string,
): Promise<boolean> {
  const upload = new Upload(session, repository, digest);
  try {
    return await upload.mount(from);
  } catch (error) {
    if (error instanceof StoreError && (error.status !== undefined || refusals.has(error.code))) return false;
    throw error;
  }
}

/** A token service refuses without a status of the registry's own. */
const refusals: ReadonlySet<string> = new Set(["registry-unauthorized", "registry-forbidden", "image-missing"]);

class Upload {
  readonly #session: RegistrySession;
  readonly #repository: string;
  readonly #digest: Digest;
  readonly #access: readonly Access[];
  /** Path and query of the upload, as the registry's last answer gave it. */
  #location: string | undefined;

  constructor(session: RegistrySession, repository: string, digest: Digest) {
    this.#session = session;
    this.#repository = repository;
    this.#digest = digest;
    this.#access = [{ repository, actions: "pull,push" }];
  }

  get label(): string {
    return blobLabel(this.#session, this.#repository, this.#digest);
  }

  async start(): Promise<void> {
    const answer = await this.#session.open({
      method: "POST",
      path: `/v2/${this.#repository}/blobs/uploads/`,
      access: this.#access,
      repeatable: true,
      expect: [202],
      what: `starting to upload blob ${this.label}`,
    });
    await this.#follow(answer);
  }

  async mount(from: string): Promise<boolean> {
    const query = new URLSearchParams({ mount: this.#digest, from });
    const answer = await this.#session.open({
      method: "POST",
      path: `/v2/${this.#repository}/blobs/uploads/?${query.toString()}`,
      access: [...this.#access, { repository: from, actions: "pull" }],
      repeatable: true,
      expect: [201, 202],
      what: `taking over blob ${this.label} from ${from}`,
    });
    if (answer.status === 201) {
      await answer.discard();
      return true;
    }
    await this.#follow(answer);
    await this.abandon();
    return false;
  }

  async send(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const answer = await this.#session.open({
      method: "PATCH",
      path: this.#location!,
      access: this.#access,
      headers: { "content-type": "application/octet-stream" },
      body: chunks,
      expect: [202, 204],
      what: `uploading blob ${this.label}`,
    });
    await this.#follow(answer);
  }

  async finish(): Promise<void> {
    const location = this.#location!;
    const answer = await this.#session.open({
      method: "PUT",
      path: `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(this.#digest)}`,
      access: this.#access,
      headers: { "content-type": "application/octet-stream" },
      expect: [201, 204],
      what: `finishing blob ${this.label}`,
    });
    await answer.discard();
    this.#location = undefined;
  }

  /** Best effort: an upload that cannot be cancelled is cleaned up by the registry in time. */
  async abandon(): Promise<void> {
    if (this.#location === undefined) return;
    try {
      const answer = await this.#session.open({
        method: "DELETE",
        path: this.#location,
        access: this.#access,
        expect: [200, 202, 204],
        what: `giving up blob ${this.label}`,
      });
      await answer.discard();
    } catch (error) {
      if (!(error instanceof SignetError)) throw error;
    }
    this.#location = undefined;
  }

  /**
   * Where the registry wants the next request. It goes to the registry's own origin in any case, with credentials: a Location with another host is refused, and
   * of one with another scheme or port, as a registry behind a proxy tends to give, only path and query are taken.
   */
  async #follow(answer: HttpAnswer): Promise<void> {
    await answer.discard();
    const location = answer.header("location");
    const next = location === undefined ? null : URL.parse(location, answer.url.href);
    if (next === null) {
      throw new StoreError(
        "registry-error",
        `uploading blob ${this.label}: the registry names no place to send it to`,
        {
          status: answer.status,
        },
      );
    }
    if (next.hostname !== answer.url.hostname) {
      throw new StoreError(
        "registry-url-refused",
        `${this.#session.registry}: uploading to ${shownUrl(next)}, another host, is refused`,
        { details: { host: next.host }, hint: "ask whoever runs the registry" },
      );
    }
    this.#location = `${next.pathname}${next.search}`;
  }
}
