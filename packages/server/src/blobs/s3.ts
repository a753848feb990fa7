/**
 * Blobs in a bucket of S3, or of what speaks its protocol. Every object has a random key that is used once, `PREFIXblobs/<32 hex>`, so that nothing is ever overwritten:
 * a blob; or the end of an upload that is too small for a part, which becomes the blob if nothing follows. Larger uploads are multipart uploads of the blob's own key.
 */
import { Agent as HttpsAgent } from "node:https";
import type { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { StoreError } from "@signet/core";
import type { BlobStore, ByteRange, StoredObject, UploadState } from "./blob-store.ts";
import { checkLocation, isName, makeName, missingBlob, missingUpload } from "./place-grammar.ts";
import { isAbsence, tooLarge, unusable } from "./s3-error.ts";
import { MAX_PARTS, type Part, type S3Upload, parseUpload, printUpload } from "./s3-upload.ts";
import { UploadTurns } from "./upload-turns.ts";

/** Bytes of every part but the last: S3 wants 5 MiB at least, some of its kind want all alike, and each upload at work holds two in memory. */
const PART_BYTES = 8 * 1024 * 1024;
/** Tries of one request, the first included; the library waits longer each time. */
const MAX_ATTEMPTS = 4;
/** Milliseconds until a connection that does not come about is an error. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Milliseconds until an answer begins: completing a large upload may take a minute. */
const ANSWER_TIMEOUT_MS = 120_000;
/** Milliseconds in which not one byte comes or goes. */
const IDLE_TIMEOUT_MS = 60_000;
/** Connections of one process: as many as clients that pull at once, and some. */
const MAX_SOCKETS = 256;
/** Seconds: the longest that S3 lets a signed URL live. */
const MAX_PRESIGN_SECONDS = 7 * 24 * 3_600;

export interface S3Options {
  readonly bucket: string;
  /** Such as `eu-central-1`; other makers' servers take any. */
  readonly region: string;
  /** `https://HOST[:PORT]`. Default: Amazon's of the region. */
  readonly endpoint?: string;
  /** Default: where Amazon's tools look for them (environment, files, the machine's role). Never logged. */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** Name the bucket in the path and not in the host name, as most servers but Amazon's want it. Default false. */
  readonly pathStyle?: boolean;
  /** PEM certificates of the authorities that are trusted in place of the system's. */
  readonly ca?: string;
  /** In front of every key, such as `registry/`. Default none. */
  readonly prefix?: string;
}

/**
 * Opens a store in a bucket that exists.
 *
 * Two requests on one upload at once: in one process the second is refused with `store-busy`; of two processes the one whose state is saved can finish, unless the other
 * has sent another part in the place of one of its parts: then `finish` fails, and never mixes them.
 * @throws StoreError `blob-store-unusable` when the bucket cannot be reached or the credentials are refused
 */
export async function openS3Store(options: S3Options): Promise<BlobStore> {
  const store = new S3Store(options);
  try {
    await store.checkBucket();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}

class S3Store implements BlobStore {
  readonly kind = "s3";
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  /** For messages. */
  readonly #place: string;
  readonly #turns = new UploadTurns();

  constructor({ bucket, region, endpoint, credentials, pathStyle = false, ca, prefix = "" }: S3Options) {
    this.#bucket = bucket;
    this.#prefix = `${prefix}blobs/`;
    this.#place = `the bucket ${bucket}${endpoint === undefined ? "" : ` at ${endpoint}`}`;
    this.#client = new S3Client({
      region,
      forcePathStyle: pathStyle,
      maxAttempts: MAX_ATTEMPTS,
      // The blob's own digest is checked on the way in, and clients check it again; many servers know none of the newer checksums.
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: ANSWER_TIMEOUT_MS,
        throwOnRequestTimeout: true,
        socketTimeout: IDLE_TIMEOUT_MS,
        httpAgent: { maxSockets: MAX_SOCKETS, keepAlive: true },
        httpsAgent: new HttpsAgent({ maxSockets: MAX_SOCKETS, keepAlive: true, ...(ca !== undefined && { ca }) }),
      },
      ...(endpoint !== undefined && { endpoint }),
      // A copy: the library writes into the object that it is given, and a configuration is frozen.
      ...(credentials !== undefined && { credentials: { ...credentials } }),
    });
  }

  async checkBucket(): Promise<void> {
    await this.#ask(this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket })));
  }

  begin(): Promise<UploadState> {
    return Promise.resolve(
      printUpload({ id: makeName(), multipart: undefined, parts: [], tail: undefined, superseded: [] }),
    );
  }

  async append(state: UploadState, chunks: AsyncIterable<Uint8Array>): Promise<UploadState> {
    const upload = parseUpload(state);
    return this.#turns.take(upload.id, async () => {
      const next = await this.#extend(upload, chunks);
      // The state that we were given is saved, so nobody needs what it has superseded.
      for (const name of upload.superseded) await this.#removeObject(name).catch(() => undefined);
      return next;
    });
  }

  async *readUpload(state: UploadState): AsyncIterable<Uint8Array> {
    const upload = parseUpload(state);
    if (state.received === 0) return;
    // Parts cannot be read before they are put together.
    const location = await this.#turns.take(upload.id, () => this.#complete(upload, state.received));
    yield* (await this.open(location)) as AsyncIterable<Uint8Array>;
  }

  async finish(state: UploadState): Promise<string> {
    const upload = parseUpload(state);
    return this.#turns.take(upload.id, async () => {
      const location = await this.#complete(upload, state.received);
      const rest = [...upload.superseded, ...(upload.tail === undefined ? [] : [upload.tail.name])];
      for (const name of rest) if (name !== location) await this.#removeObject(name).catch(() => undefined);
      return location;
    });
  }

  async abort(state: UploadState): Promise<void> {
    const upload = parseUpload(state);
    await this.#turns.take(upload.id, async () => {
      const { multipart, tail, superseded } = upload;
      if (multipart !== undefined) {
        await this.#abortMultipart(multipart.name, multipart.uploadId);
        // It may have been put together already.
        await this.#removeObject(multipart.name);
      }
      for (const name of [...superseded, ...(tail === undefined ? [] : [tail.name])]) await this.#removeObject(name);
    });
  }

  async open(location: string, range?: ByteRange): Promise<Readable> {
    const request = new GetObjectCommand({
      ...this.#object(location),
      ...(range !== undefined && { Range: `bytes=${range.first}-${range.last}` }),
    });
    const { Body } = await this.#ask(this.#client.send(request), (error) => missingBlob(location, error));
    return Body as Readable;
  }

  async size(location: string): Promise<number | undefined> {
    try {
      const head = await this.#ask(this.#client.send(new HeadObjectCommand(this.#object(location))), (error) =>
        missingBlob(location, error),
      );
      return head.ContentLength;
    } catch (error) {
      if (error instanceof StoreError && error.code === "blob-missing") return undefined;
      throw error;
    }
  }

  async remove(location: string): Promise<void> {
    await this.#removeObject(checkLocation(location));
  }

  async *list(): AsyncIterable<StoredObject> {
    let token: string | undefined;
    do {
      const page = await this.#ask(
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: this.#prefix,
            ...(token !== undefined && { ContinuationToken: token }),
          }),
        ),
      );
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        const location = Key?.slice(this.#prefix.length);
        if (isName(location) && Size !== undefined && LastModified !== undefined)
          yield { location, size: Size, modifiedAt: LastModified };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async removeStaleUploads(before: Date, isKnown: (mark: string) => Promise<boolean>): Promise<number> {
    let removed = 0;
    for await (const { name, uploadId, initiated } of this.#listMultiparts()) {
      if (initiated >= before || (await isKnown(name)) || (await this.#wasWrittenSince(name, uploadId, before)))
        continue;
      await this.#abortMultipart(name, uploadId);
      removed += 1;
    }
    return removed;
  }

  async presign(location: string, seconds: number): Promise<string> {
    const command = new GetObjectCommand(this.#object(location));
    return this.#ask(getSignedUrl(this.#client, command, { expiresIn: Math.min(seconds, MAX_PRESIGN_SECONDS) }));
  }

  async ping(): Promise<void> {
    const name = makeName();
    await this.#putObject(name, new Uint8Array());
    await this.#removeObject(name);
  }

  close(): Promise<void> {
    this.#client.destroy();
    return Promise.resolve();
  }

  /** Sends what is full as parts, one while the next is filled, and the rest as an object of its own. */
  async #extend(upload: S3Upload, chunks: AsyncIterable<Uint8Array>): Promise<UploadState> {
    let { multipart } = upload;
    const parts: Part[] = [...upload.parts];
    let sending: Promise<void> = Promise.resolve();
    let waiting: Uint8Array[] = [];
    let length = 0;
    let received = 0;
    const send = async (bytes: Uint8Array): Promise<void> => {
      const target = (multipart ??= await this.#createMultipart());
      if (parts.length >= MAX_PARTS) throw tooLarge(this.#place, MAX_PARTS * PART_BYTES);
      parts.push(await this.#sendPart(target, parts.length + 1, bytes));
    };
    try {
      for await (const chunk of this.#behindTail(upload, chunks, (size) => (received += size))) {
        waiting.push(chunk);
        length += chunk.length;
        while (length >= PART_BYTES) {
          const all = Buffer.concat(waiting, length);
          waiting = [all.subarray(PART_BYTES)];
          length -= PART_BYTES;
          await sending;
          sending = send(all.subarray(0, PART_BYTES));
          // Looked at before the next one, and at the end: not a failure that nobody hears of.
          sending.catch(() => undefined);
        }
      }
      await sending;
      if (received === 0) return printUpload(upload);
      const tail = length === 0 ? undefined : { name: makeName(), size: length };
      if (tail !== undefined) await this.#putObject(tail.name, Buffer.concat(waiting, length));
      const superseded = upload.tail === undefined ? [] : [upload.tail.name];
      return printUpload({ id: upload.id, multipart, parts, tail, superseded });
    } catch (error) {
      await sending.catch(() => undefined);
      // Known to nobody but us.
      if (multipart !== undefined && upload.multipart === undefined)
        await this.#abortMultipart(multipart.name, multipart.uploadId).catch(() => undefined);
      throw error;
    }
  }

  /** The end of the upload so far, then what comes. @param count is told the bytes that came */
  async *#behindTail(
    { tail, id }: S3Upload,
    chunks: AsyncIterable<Uint8Array>,
    count: (size: number) => void,
  ): AsyncIterable<Uint8Array> {
    let isFirst = true;
    for await (const chunk of chunks) {
      if (chunk.length === 0) continue;
      if (isFirst && tail !== undefined) {
        const before = await readWhole(await this.#openTail(tail.name, id));
        if (before.length !== tail.size) throw missingUpload(id);
        yield before;
      }
      isFirst = false;
      count(chunk.length);
      yield chunk;
    }
  }

  async #openTail(name: string, upload: string): Promise<Readable> {
    const request = this.#client.send(new GetObjectCommand(this.#object(name)));
    return (await this.#ask(request, (error) => missingUpload(upload, error))).Body as Readable;
  }

  /** Makes one object of it; of one that is that already, says where. */
  async #complete({ id, multipart, parts, tail }: S3Upload, size: number): Promise<string> {
    if (multipart === undefined) {
      if (tail === undefined) {
        const name = makeName();
        await this.#putObject(name, new Uint8Array());
        return name;
      }
      if ((await this.size(tail.name)) !== size) throw missingUpload(id);
      return tail.name;
    }
    try {
      const all = tail === undefined ? parts : [...parts, await this.#copyPart(multipart, parts.length + 1, tail)];
      await this.#client.send(
        new CompleteMultipartUploadCommand({
          ...this.#object(multipart.name),
          UploadId: multipart.uploadId,
          MultipartUpload: {
            Parts: all.map(({ etag }, index): CompletedPart => ({ ETag: etag, PartNumber: index + 1 })),
          },
        }),
      );
    } catch (error) {
      if (!isAbsence(error)) throw unusable(error, this.#place);
      if ((await this.size(multipart.name)) !== size) throw missingUpload(id, error);
      return multipart.name;
    }
    return multipart.name;
  }

  async #createMultipart(): Promise<{ readonly name: string; readonly uploadId: string }> {
    const name = makeName();
    const { UploadId } = await this.#ask(
      this.#client.send(
        new CreateMultipartUploadCommand({ ...this.#object(name), ContentType: "application/octet-stream" }),
      ),
    );
    return { name, uploadId: UploadId ?? "" };
  }

  async #sendPart(
    { name, uploadId }: { readonly name: string; readonly uploadId: string },
    number: number,
    bytes: Uint8Array,
  ): Promise<Part> {
    const request = new UploadPartCommand({
      ...this.#object(name),
      UploadId: uploadId,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.length,
    });
    const { ETag } = await this.#ask(this.#client.send(request), (error) => missingUpload(name, error));
    return { etag: ETag ?? "", size: bytes.length };
  }

  async #copyPart(
    { name, uploadId }: { readonly name: string; readonly uploadId: string },
    number: number,
    from: { readonly name: string; readonly size: number },
  ): Promise<Part> {
    const { CopyPartResult } = await this.#client.send(
      new UploadPartCopyCommand({
        ...this.#object(name),
        UploadId: uploadId,
        PartNumber: number,
        CopySource: `${this.#bucket}/${this.#prefix}${from.name}`,
      }),
    );
    return { etag: CopyPartResult?.ETag ?? "", size: from.size };
  }

  async #putObject(name: string, bytes: Uint8Array): Promise<void> {
    const request = new PutObjectCommand({
      ...this.#object(name),
      Body: bytes,
      ContentLength: bytes.length,
      ContentType: "application/octet-stream",
    });
    await this.#ask(this.#client.send(request));
  }

  async #removeObject(name: string): Promise<void> {
    try {
      await this.#client.send(new DeleteObjectCommand(this.#object(name)));
    } catch (error) {
      if (!isAbsence(error)) throw unusable(error, this.#place);
    }
  }

  async #abortMultipart(name: string, uploadId: string): Promise<void> {
    try {
      await this.#client.send(new AbortMultipartUploadCommand({ ...this.#object(name), UploadId: uploadId }));
    } catch (error) {
      if (!isAbsence(error)) throw unusable(error, this.#place);
    }
  }

  async *#listMultiparts(): AsyncIterable<{
    readonly name: string;
    readonly uploadId: string;
    readonly initiated: Date;
  }> {
    let marker: { readonly KeyMarker: string; readonly UploadIdMarker?: string } | undefined;
    do {
      const page = await this.#ask(
        this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: this.#prefix, ...marker })),
      );
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        const name = Key?.slice(this.#prefix.length);
        if (isName(name) && UploadId !== undefined && Initiated !== undefined)
          yield { name, uploadId: UploadId, initiated: Initiated };
      }
      marker =
        page.IsTruncated === true && page.NextKeyMarker !== undefined
          ? {
              KeyMarker: page.NextKeyMarker,
              ...(page.NextUploadIdMarker !== undefined && { UploadIdMarker: page.NextUploadIdMarker }),
            }
          : undefined;
    } while (marker !== undefined);
  }

  async #wasWrittenSince(name: string, uploadId: string, time: Date): Promise<boolean> {
    let marker: string | undefined;
    do {
      const request = new ListPartsCommand({
        ...this.#object(name),
        UploadId: uploadId,
        ...(marker !== undefined && { PartNumberMarker: marker }),
      });
      let page;
      try {
        page = await this.#client.send(request);
      } catch (error) {
        if (isAbsence(error)) return false;
        throw unusable(error, this.#place);
      }
      if (page.Parts?.some(({ LastModified }) => LastModified !== undefined && LastModified >= time) === true)
        return true;
      marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
    } while (marker !== undefined);
    return false;
  }

  #object(location: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + checkLocation(location) };
  }

  async #ask<T>(answer: Promise<T>, absence?: (error: unknown) => StoreError): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw absence !== undefined && isAbsence(error) ? absence(error) : unusable(error, this.#place);
    }
  }
}

async function readWhole(stream: Readable): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}
