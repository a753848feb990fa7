import { type Digest, FormatError, SignetError, StoreError } from "@signet/core";
import { checkBlob } from "../transports/blob-check.ts";
import type { BlobDescriptor } from "../transports/transport.ts";
import type { HttpAnswer } from "./exchange.ts";
import { MAX_UNSIZED_BLOB_BYTES } from "./limits.ts";
import { waitBeforeRetry } from "./retry.ts";
import type { RegistrySession } from "./session.ts";

/** `registry.example.com/team/app@sha256:…`, for messages. */
export function blobLabel(session: RegistrySession, repository: string, digest: Digest): string {
  return `${session.registry}/${repository}@${digest}`;
}

/**
 * Streams a blob, hashing it on its way. A connection lost in between is taken up again where it broke, as often as the retry policy says without progress
 * in between. The stream fails when digest or size differ; nothing may be used before it has ended. URLs of foreign layers are not followed.
 * @throws StoreError `image-missing`, `digest-mismatch`, `registry-…`
 */
export async function* fetchBlob(
  session: RegistrySession,
  repository: string,
  descriptor: BlobDescriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  const label = blobLabel(session, repository, descriptor.digest);
  yield* checkBlob(descriptor, resumingChunks(session, repository, descriptor), label);
}

async function* resumingChunks(
  session: RegistrySession,
  repository: string,
  descriptor: BlobDescriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  const label = blobLabel(session, repository, descriptor.digest);
  let received = 0;
  let failures = 0;
  let resumedAt = 0;
  for (;;) {
    const answer = await openAt(session, repository, descriptor.digest, received);
    try {
      // Servers may pass over the Range header and begin anew.
      let skip = answer.status === 206 ? 0 : received;
      for await (const chunk of answer.chunks()) {
        const fresh = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - fresh.length;
        if (fresh.length === 0) continue;
        received += fresh.length;
        if (descriptor.size === undefined && received > MAX_UNSIZED_BLOB_BYTES) {
          throw new FormatError("input-too-large", `blob ${label}: more than ${MAX_UNSIZED_BLOB_BYTES} bytes`);
        }
        yield fresh;
      }
      return;
    } catch (error) {
      if (!(error instanceof StoreError) || !error.retryable) throw error;
      // Only real progress starts the count anew, or a byte a connection could go on for ever.
      if (received - resumedAt >= session.minProgressBytes) failures = 0;
      resumedAt = received;
      if (failures >= session.retry.times) throw error;
      await waitBeforeRetry(session.retry, error, failures++);
    }
  }
}

async function openAt(session: RegistrySession, repository: string, digest: Digest, from: number): Promise<HttpAnswer> {
  const answer = await session.open({
    method: "GET",
    path: `/v2/${repository}/blobs/${digest}`,
    access: [{ repository, actions: "pull" }],
    ...(from === 0 ? {} : { headers: { range: `bytes=${from}-` } }),
    expect: from === 0 ? [200] : [200, 206],
    what: `blob ${blobLabel(session, repository, digest)}`,
  });
  if (
    answer.status === 206 &&
    !new RegExp(`^bytes ${from}-\\d+/(?:\\d+|\\*)$`).test(answer.header("content-range") ?? "")
  ) {
    await answer.discard();
    throw new StoreError(
      "registry-error",
      `blob ${blobLabel(session, repository, digest)}: sent another part than was asked for`,
      {
        status: 206,
      },
    );
  }
  return answer;
}

/**
 * Whether the repository has a blob, by HEAD. A size that contradicts the descriptor counts as not there: it will be sent, and then checked.
 * @throws StoreError for any answer but yes and no
 */
export async function hasBlob(
  session: RegistrySession,
  repository: string,
  descriptor: BlobDescriptor,
): Promise<boolean> {
  try {
    const answer = await session.open({
      method: "HEAD",
      path: `/v2/${repository}/blobs/${descriptor.digest}`,
      access: [{ repository, actions: "pull,push" }],
      expect: [200],
      what: `looking for blob ${blobLabel(session, repository, descriptor.digest)}`,
    });
    await answer.discard();
    const size = answer.header("content-length");
    return descriptor.size === undefined || size === undefined || Number(size) === descriptor.size;
  } catch (error) {
    if (error instanceof SignetError && error.code === "image-missing") return false;
    throw error;
  }
}
