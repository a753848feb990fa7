/** Uploads of blobs in flight: begun, added to in order, finished with a digest or given up. */
import { type Hash, createHash, randomUUID } from "node:crypto";
import { type Digest, digestAlgorithm } from "@signet/core";
import type { BlobStore, UploadState } from "../blobs/blob-store.ts";
import type { Database, Writer } from "../db/database.ts";
import { type StoredBlob, addBlob, mountBlob } from "./blobs.ts";
import { ContentError } from "./content-error.ts";
import { holdBody } from "./held-body.ts";
import { type QuotaUse, holdQuota, overQuota, readQuotaUse, refuseOverQuota } from "./quotas.ts";
import { ensureRepository } from "./repositories.ts";

/** Bytes of one blob: twice the largest layers seen (models of some tens of GiB). Whoever wants less sets a quota. */
const MAX_BLOB_BYTES: number = 128 * 1024 ** 3;
/**
 * Uploads of one account that have not ended. Those that are given up without a word stay for a day; this is so many pushes of a busy pipeline that break off, and
 * their rows take some megabytes.
 */
export const MAX_OPEN_UPLOADS: number = 10_000;
/** Uploads whose running hash is kept; what falls out is read again when it goes on. A hash takes some hundred bytes. */
const MAX_RUNNING_HASHES = 10_000;

/**
 * Bytes of a whole blob that is held in memory until it is known whether its repository has it already. Configurations and the empty blob of artifacts are far below, and many clients
 * send them with each push.
 */
const MAX_HELD_BYTES = 64 * 1024;

/** An upload as its row has it. */
export interface Upload {
  readonly id: string;
  readonly path: string;
  readonly state: UploadState;
}

/** What an upload is after bytes came. */
interface Received {
  readonly state: UploadState;
  readonly running: RunningHash;
}

/** A request that works on an upload. */
interface RunningRequest {
  /** Makes it end soon, without its bytes. */
  readonly giveUp: () => void;
  /** Resolves when it has ended, however. */
  readonly ended: Promise<void>;
}

interface RunningHash {
  /** Undefined where the beginning was received by a process that is gone: then the whole is read again at the end. */
  readonly hash: Hash | undefined;
  /** What it is the hash of. As many bytes may have come another way: when two processes receive at once, the row has what one of them did, and it may be the other's. */
  readonly state: UploadState;
}

/**
 * Takes blobs in. Rows and bytes of an upload outlive the process, so any process can go on with one; what a process keeps is the running hash, so that bytes are not
 * read twice.
 */
export class Uploads {
  readonly #database: Database;
  readonly #store: BlobStore;
  readonly #hashes = new Map<string, RunningHash>();
  readonly #running = new Map<string, RunningRequest>();
  /** Bytes, by path, that came in requests which have not ended, and so are in no row. */
  readonly #incoming = new Map<string, number>();

  constructor(database: Database, store: BlobStore) {
    this.#database = database;
    this.#store = store;
  }

  /**
   * Begins an upload, and makes the repository where it is missing.
   * @throws ContentError `uploads-too-many`
   */
  async begin(path: string, account: string, now: number): Promise<Upload> {
    await this.#refuseTooMany(account);
    const state = await this.#store.begin();
    const id = randomUUID();
    // Not yet promised to anybody: after a loss of power the client begins anew.
    await this.#database.note(async (writer) => {
      const { repositoryId } = await ensureRepository(writer, path, now);
      await writer
        .insertInto("upload")
        .values({
          id,
          repository_id: repositoryId,
          account,
          received: state.received,
          state: state.details,
          created_at: now,
          updated_at: now,
        })
        .execute();
    });
    return { id, path, state };
  }

  /**
   * The upload with this id in this repository.
   * @throws ContentError `upload-unknown`
   */
  async find(path: string, id: string): Promise<Upload> {
    const row = await this.#database.read
      .selectFrom("upload")
      .innerJoin("distribution", "distribution.repository_id", "upload.repository_id")
      .select(["upload.received", "upload.state"])
      .where("upload.id", "=", id)
      .where("distribution.path", "=", path)
      .executeTakeFirst();
    if (row === undefined) throw unknownUpload(id);
    return { id, path, state: { received: row.received, details: row.state } };
  }

  /**
   * Adds bytes; durable, with the row that says so, when this resolves.
   * @throws ContentError `upload-conflict` when another request took the upload over meanwhile; `quota-exceeded`: then the upload is what it was before, or is
   *   given up where others used up the quota meanwhile
   */
  async append(upload: Upload, chunks: AsyncIterable<Uint8Array>, now: number): Promise<Upload> {
    return await this.#alone(upload.id, async (interruption) => {
      const { state } = await this.#receive(upload, chunks, interruption);
      // After a loss of power an older state may be back; its bytes are durable as well.
      const noted = this.#database.note(async (writer) => {
        const row = await writer
          .selectFrom("upload")
          .select("repository_id")
          .where("id", "=", upload.id)
          .executeTakeFirst();
        if (row === undefined) throw conflict(upload.id);
        await holdQuota(writer, row.repository_id);
        const changed = await writer
          .updateTable("upload")
          .set({ received: state.received, state: state.details, updated_at: now })
          .where("id", "=", upload.id)
          .where("received", "=", upload.state.received)
          .where("state", "=", upload.state.details)
          .executeTakeFirst();
        if (changed.numUpdatedRows === 0n) throw conflict(upload.id);
        await refuseOverQuota(writer, row.repository_id);
      });
      await noted.catch(async (error: unknown) => {
        // The bytes are there and in no row: nobody would count them until they are collected.
        if (error instanceof ContentError && error.problem === "quota-exceeded") await this.#giveUp(upload.id, state);
        throw error;
      });
      return { ...upload, state };
    });
  }

  /**
   * Adds the last bytes and makes the upload a blob, pending in its repository.
   * @throws ContentError `digest-mismatch`: then the upload is given up; `quota-exceeded`
   */
  async finish(upload: Upload, chunks: AsyncIterable<Uint8Array>, digest: Digest, now: number): Promise<StoredBlob> {
    const remove = async (writer: Writer): Promise<void> => {
      const gone = await writer
        .deleteFrom("upload")
        .where("id", "=", upload.id)
        // Another process may have gone on with it meanwhile.
        .where("received", "=", upload.state.received)
        .where("state", "=", upload.state.details)
        .executeTakeFirst();
      if (gone.numDeletedRows === 0n) throw conflict(upload.id);
    };
    return await this.#alone(upload.id, (interruption) =>
      this.#takeLast(upload, chunks, interruption, digest, now, remove),
    );
  }

  /**
   * Takes a whole blob at once, pending in its repository when this resolves.
   * @throws ContentError `digest-mismatch`, `quota-exceeded`
   */
  async take(path: string, chunks: AsyncIterable<Uint8Array>, digest: Digest, now: number): Promise<StoredBlob> {
    const upload = { id: randomUUID(), path, state: await this.#store.begin() };
    return await this.#alone(upload.id, async (interruption) => {
      try {
        return await this.#takeLast(upload, chunks, interruption, digest, now, () => Promise.resolve());
      } catch (error) {
        // Nobody can go on with it.
        await this.#store.abort(upload.state).catch(() => undefined);
        throw error;
      }
    });
  }

  /** Gives an upload up. */
  async cancel(upload: Upload): Promise<void> {
    await this.#alone(upload.id, async () => {
      await this.#giveUp(upload.id, upload.state);
    });
  }

  async #giveUp(id: string, state: UploadState): Promise<void> {
    this.#hashes.delete(id);
    await this.#forget(id);
    await this.#store.abort(state);
  }

  /** Takes the last bytes of an upload. A small blob that the repository has already is not stored again only to be removed. */
  async #takeLast(
    upload: Upload,
    chunks: AsyncIterable<Uint8Array>,
    interruption: Interruption,
    digest: Digest,
    now: number,
    finish: (writer: Writer) => Promise<void>,
  ): Promise<StoredBlob> {
    if (upload.state.received > 0)
      return await this.#complete(
        upload,
        await this.#receive(upload, chunks, interruption, digest),
        digest,
        now,
        finish,
      );
    const held = await holdBody(interruption.guard(chunks), MAX_HELD_BYTES);
    const found = held.whole === undefined ? undefined : digestOf(digestAlgorithm(digest), held.whole);
    // From this repository only: from the time that an upload takes, nobody learns what others hold.
    const mount = { from: upload.path, to: upload.path, digest, now, finish };
    const known = found === digest ? await mountBlob(this.#database, mount) : undefined;
    if (known !== undefined) {
      this.#hashes.delete(upload.id);
      await this.#store.abort(upload.state).catch(() => undefined);
      return known;
    }
    const received = await this.#receive(upload, held.chunks, interruption, digest);
    return await this.#complete(upload, received, digest, now, finish);
  }

  async #complete(
    { id, path }: Upload,
    { state, running }: Received,
    digest: Digest,
    now: number,
    finish: (writer: Writer) => Promise<void>,
  ): Promise<StoredBlob> {
    this.#hashes.delete(id);
    const algorithm = digestAlgorithm(digest);
    const known = algorithm === "sha256" ? running.hash : undefined;
    const hash = known ?? (await this.#hashAgain(state, algorithm));
    const found = `${algorithm}:${hash.digest("hex")}`;
    if (found !== digest) {
      await this.#forget(id);
      await this.#store.abort(state);
      throw new ContentError("digest-mismatch", `the ${state.received} bytes have the digest ${found}`, { digest });
    }
    const location = await this.#store.finish(state);
    const blob = { digest, size: state.received, location };
    try {
      await addBlob(this.#database, this.#store, blob, path, now, finish);
    } catch (error) {
      // Refused, and so in no row. After a failure it is not known whether it was committed: then collection looks later.
      if (error instanceof ContentError) await this.#store.remove(location).catch(() => undefined);
      throw error;
    }
    return blob;
  }

  async #forget(id: string): Promise<void> {
    await this.#database.write(async (writer) => {
      await writer.deleteFrom("upload").where("id", "=", id).execute();
    });
  }

  async #receive(
    upload: Upload,
    chunks: AsyncIterable<Uint8Array>,
    interruption: Interruption,
    digest?: Digest,
  ): Promise<Received> {
    const hash = this.#takeHash(upload);
    let received = upload.state.received;
    const use = await readQuotaUse(this.#database.read, upload.path, digest);
    const count = (bytes: number): void => this.#count(upload.path, bytes, use);
    let state: UploadState;
    try {
      state = await this.#store.append(upload.state, hashed(chunks));
    } finally {
      this.#discount(upload.path, received - upload.state.received);
    }
    const running = { hash, state };
    if (state.received !== received) throw conflict(upload.id);
    if (this.#hashes.size >= MAX_RUNNING_HASHES) {
      const [oldest] = this.#hashes.keys();
      if (oldest !== undefined) this.#hashes.delete(oldest);
    }
    this.#hashes.set(upload.id, running);
    return { state, running };

    async function* hashed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      const iterator = source[Symbol.asyncIterator]();
      for (;;) {
        const next = await interruption.next(iterator);
        if (next.done === true) return;
        const chunk = next.value;
        received += chunk.length;
        count(chunk.length);
        if (received > MAX_BLOB_BYTES) {
          throw new ContentError("size-mismatch", `a blob may have ${MAX_BLOB_BYTES} bytes at most`);
        }
        hash?.update(chunk);
        yield chunk;
      }
    }
  }

  /**
   * Counts bytes as they come, with those of all other requests to the same path, against what the quota left when this request began: so it can end before the disk is
   * full. What each request adds is looked at again in the transaction that notes it, so rows never say more than the quota, and the requests that run beside them hold
   * no more than it once again.
   */
  #count(path: string, bytes: number, { quota, used }: QuotaUse): void {
    const incoming = (this.#incoming.get(path) ?? 0) + bytes;
    this.#incoming.set(path, incoming);
    if (quota !== null && used + incoming > quota) throw overQuota(quota, used + incoming);
  }

  #discount(path: string, bytes: number): void {
    const left = (this.#incoming.get(path) ?? 0) - bytes;
    if (left > 0) this.#incoming.set(path, left);
    else this.#incoming.delete(path);
  }

  async #refuseTooMany(account: string): Promise<void> {
    const open = await this.#database.read
      .selectFrom("upload")
      .select("id")
      .where("account", "=", account)
      .offset(MAX_OPEN_UPLOADS - 1)
      .limit(1)
      .executeTakeFirst();
    if (open === undefined) return;
    throw new ContentError("uploads-too-many", `${account} has ${MAX_OPEN_UPLOADS} uploads that have not ended`);
  }

  /** The hash of what is durable. It is taken out: an append that fails half-way has spoiled it. */
  #takeHash({ id, state }: Upload): Hash | undefined {
    const known = this.#hashes.get(id);
    this.#hashes.delete(id);
    if (known?.state.received === state.received && known.state.details === state.details) return known.hash;
    return state.received === 0 ? createHash("sha256") : undefined;
  }

  /** Only at the end: what was read again, a store may not be able to add to. */
  async #hashAgain(state: UploadState, algorithm: string): Promise<Hash> {
    const hash = createHash(algorithm);
    if (state.received > 0) for await (const chunk of this.#store.readUpload(state)) hash.update(chunk);
    return hash;
  }

  /**
   * One request at a time, and the newest counts: when a client comes back on another connection, the one that broke may not have noticed yet. Between processes the row's
   * `received` decides.
   */
  async #alone<T>(id: string, work: (interruption: Interruption) => Promise<T>): Promise<T> {
    for (let older = this.#running.get(id); older !== undefined; older = this.#running.get(id)) {
      older.giveUp();
      await older.ended;
    }
    const interruption = new Interruption();
    const ended = Promise.withResolvers<void>();
    this.#running.set(id, { giveUp: () => interruption.raise(conflict(id)), ended: ended.promise });
    try {
      return await work(interruption);
    } finally {
      this.#running.delete(id);
      ended.resolve();
    }
  }
}

/** Lets a wait for the next bytes be ended from outside. */
class Interruption {
  #error: Error | undefined;
  #reject: ((error: Error) => void) | undefined;

  raise(error: Error): void {
    this.#error ??= error;
    this.#reject?.(this.#error);
  }

  /** The same chunks; the wait for each can be ended. */
  async *guard<T>(chunks: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = chunks[Symbol.asyncIterator]();
    for (let next = await this.next(iterator); next.done !== true; next = await this.next(iterator)) yield next.value;
  }

  async next<T>(iterator: AsyncIterator<T>): Promise<IteratorResult<T>> {
    return await new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#reject = reject;
      iterator.next().then(resolve, reject);
    });
  }
}

function digestOf(algorithm: string, bytes: Uint8Array): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

function unknownUpload(id: string): ContentError {
  return new ContentError("upload-unknown", "there is no such upload; it may have been finished or given up", { id });
}

function conflict(id: string): ContentError {
  return new ContentError("upload-conflict", "another request changed this upload meanwhile", { id });
}
