/** The registry's own server: `/v2/`, the signatures extension and the lookaside trees. Every request is routed, its sender identified, its right checked, and then answered. */
import type { IncomingMessage } from "node:http";
import type { BlobStore } from "../blobs/blob-store.ts";
import { findBlob } from "../content/blobs.ts";
import { ContentError } from "../content/content-error.ts";
import { type ServedRepository, findServed } from "../content/repositories.ts";
import { Uploads } from "../content/uploads.ts";
import type { Database, Reader } from "../db/database.ts";
import { type PullGuardOptions, PullGuard } from "../trust/pull-guard.ts";
import { KeyringReader } from "../trust/server-keyring.ts";
import { SignatureVerifier } from "../trust/verification.ts";
import { AnswerCache, ServedPaths } from "./answer-cache.ts";
import {
  type CompleteAnswer,
  type Exchange,
  answer,
  answerJson,
  readPage,
  readPosition,
  sendAnswer,
} from "./answer.ts";
import { MAX_KEPT_BLOB_BYTES, makeBlobAnswer, removeBlob, serveBlob } from "./blob-door.ts";
import { type Action, type Caller, type Gate, type Wanted, neededRights } from "./caller.ts";
import { makeSignaturesAnswer, receiveSignature, removeSignature } from "./extension-door.ts";
import { makeReferrersAnswer, makeTagsAnswer, serveCatalog } from "./list-doors.ts";
import { makeLookasideAnswer, receiveLookaside, removeLookaside, serveReleaseTree } from "./lookaside-door.ts";
import { makeManifestAnswer, receiveManifest, removeManifest } from "./manifest-door.ts";
import { guardPull } from "./pull-door.ts";
import { RegistryError, contentProblems } from "./registry-error.ts";
import { checkMethod, methodsOf } from "./route-methods.ts";
import { type Route, type VerificationRoute, readRoute } from "./route.ts";
import { asksForAll, serveImageSignatures, serveRepositorySignatures } from "./signature-list-door.ts";
import {
  beginUpload,
  cancelUpload,
  continueUpload,
  describeUpload,
  finishUpload,
  readMountSource,
} from "./upload-door.ts";
import {
  readAuditor,
  receiveVerification,
  serveVerifications,
  verificationHeaders,
  withdrawVerifications,
} from "./verification-door.ts";

/** What clients look for: the first tells that this is a registry, the second that it keeps signatures (its value must be just `1`). */
const standardHeaders: Readonly<Record<string, string>> = {
  "docker-distribution-api-version": "registry/2.0",
  "x-registry-supports-signatures": "1",
  "x-content-type-options": "nosniff",
};

/** Characters of a query string: a mount names a repository and a digest, a push by digest some tags. */
const MAX_QUERY_CHARACTERS = 16_384;

export interface DataPlaneOptions {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly gate: Gate;
  /** Host names, with ports, that clients know the server by; pull policies compare signatures with them. Default: none, so that only identities that policies spell out match. */
  readonly names?: PullGuardOptions["names"];
  /** Whether pushes of docker schema 1 are taken. Default: no. What is there is read in any case. */
  readonly takesSchema1?: boolean;
  /** Called for each pull that a policy governs: a counter. */
  readonly onJudged?: PullGuardOptions["onJudged"];
  /** Called with what a client is not told: failures of the server itself. */
  readonly onFailure: (error: unknown, request: IncomingMessage) => void;
}

/** Answers requests of the data plane. */
export class DataPlane {
  readonly #options: DataPlaneOptions;
  readonly #uploads: Uploads;
  readonly #paths: ServedPaths;
  readonly #answers = new AnswerCache();
  readonly #verifier: SignatureVerifier;
  readonly #guard: PullGuard;

  constructor(options: DataPlaneOptions) {
    this.#options = options;
    this.#uploads = new Uploads(options.database, options.blobs);
    this.#paths = new ServedPaths(options.database);
    const keyrings = new KeyringReader();
    this.#verifier = new SignatureVerifier(keyrings);
    const { database, blobs, names = [], onJudged = () => undefined } = options;
    this.#guard = new PullGuard({ database, blobs, keyrings, names, onJudged });
  }

  /**
   * Answers a request, whatever happens.
   * @returns false when its path is none of the data plane's: then nothing was answered
   */
  async handle(exchange: Exchange): Promise<boolean> {
    const { request, path } = exchange;
    try {
      const route = readRoute(path);
      if (route === undefined) return false;
      Object.assign(exchange.headers, standardHeaders);
      if (route.kind === "verifications") Object.assign(exchange.headers, verificationHeaders);
      if (request.url!.length - path.length > MAX_QUERY_CHARACTERS)
        throw new RegistryError("UNSUPPORTED", "the query is too long", { status: 414 });
      await this.#answer(route, exchange);
    } catch (error) {
      this.#answerError(exchange, error);
    }
    return true;
  }

  async #answer(route: Route, exchange: Exchange): Promise<void> {
    const { database, gate } = this.#options;
    const caller = await gate.identify(exchange.request);
    const method = exchange.request.method ?? "GET";
    checkMethod(methodsOf(route), method);
    const reads = method === "GET" || method === "HEAD";
    switch (route.kind) {
      case "base":
        // Clients of containers/image learn here, and only here, how to authenticate: even where they may read without.
        if (caller.credentials === "none") throw this.#refusal(exchange, caller);
        return answerJson(exchange, {});
      case "catalog":
        if (!caller.mayList()) throw this.#refusal(exchange, caller);
        return await serveCatalog(database, exchange, caller);
      case "tags": {
        const page = readPage(exchange.query);
        return await this.#read(exchange, caller, route.path, `tags ${page.limit} ${page.last}`, (reader, served) =>
          makeTagsAnswer(reader, served, page),
        );
      }
      case "referrers": {
        // An empty type is no filter, as an empty `last` is no position.
        const artifactType = exchange.query.get("artifactType") || undefined;
        const last = readPosition(exchange.query);
        const served = await this.#find(exchange, caller, { path: route.path, action: "pull" });
        if (served === undefined) {
          return sendAnswer(exchange, await makeReferrersAnswer(database.read, undefined, route, artifactType, last));
        }
        // Both are a client's text: run together, one question could be another one's, and its answer be kept for that.
        const what = `referrers ${route.digest} ${JSON.stringify([last, artifactType])}`;
        return await this.#read(exchange, caller, route.path, what, (reader, now) =>
          makeReferrersAnswer(reader, now, route, artifactType, last),
        );
      }
      case "manifest":
        return await this.#answerManifest(route, exchange, caller, method);
      case "blob": {
        if (reads) return await this.#serveBlob(exchange, caller, route);
        const served = await this.#open(exchange, caller, "delete", route.path);
        return await removeBlob(database, exchange, caller, writable(served), route.digest);
      }
      case "uploads":
      case "upload":
        return await this.#answerUpload(route, exchange, caller, method);
      case "signatures":
        return await this.#answerSignatures(route, exchange, caller, method);
      case "verifications":
        return await this.#answerVerifications(route, exchange, caller, method);
      case "signature-list": {
        const served = await this.#open(exchange, caller, "pull", route.path);
        return await serveRepositorySignatures(database, exchange, served);
      }
      case "lookaside": {
        if (route.path === undefined) {
          return await serveReleaseTree(database, exchange, caller, route);
        }
        if (reads) {
          const { digest, file } = route;
          const what = `lookaside ${digest} ${"index" in file ? file.index : file.signature}`;
          return await this.#read(exchange, caller, route.path, what, (reader, served) =>
            makeLookasideAnswer(reader, served, route),
          );
        }
        const served = await this.#open(exchange, caller, "sign", route.path);
        if (method === "PUT")
          return await receiveLookaside(database, exchange, caller, writable(served), route, this.#verifier);
        return await removeLookaside(database, exchange, caller, writable(served), route);
      }
    }
  }

  async #answerManifest(
    route: Extract<Route, { kind: "manifest" }>,
    exchange: Exchange,
    caller: Caller,
    method: string,
  ): Promise<void> {
    const { database } = this.#options;
    switch (method) {
      case "GET":
      case "HEAD": {
        const { reference } = route;
        const what = `manifest ${"tag" in reference ? reference.tag : reference.digest}`;
        const tag = "tag" in reference ? reference.tag : undefined;
        return await this.#read(
          exchange,
          caller,
          route.path,
          what,
          (reader, served) => makeManifestAnswer(reader, served, reference),
          (served, made) => guardPull(this.#guard, caller, served, made, { digest: made.manifest!, tag }, exchange.now),
        );
      }
      case "PUT": {
        const { blobs, takesSchema1 = false } = this.#options;
        await this.#openForPush(exchange, caller, route.path);
        return await receiveManifest({ database, blobs, takesSchema1 }, exchange, caller, route.path, route.reference);
      }
      case "DELETE": {
        const served = await this.#open(exchange, caller, "delete", route.path);
        return await removeManifest(database, exchange, caller, writable(served), route.reference);
      }
      default:
        throw new RegistryError("UNSUPPORTED");
    }
  }

  async #answerUpload(
    route: Extract<Route, { kind: "upload" | "uploads" }>,
    exchange: Exchange,
    caller: Caller,
    method: string,
  ): Promise<void> {
    const uploads = this.#uploads;
    if (route.kind === "uploads") {
      await this.#openForPush(exchange, caller, route.path, readMountSource(exchange.query));
      return await beginUpload(this.#options.database, uploads, exchange, caller, route.path);
    }
    const { path, id } = route;
    const doors: Readonly<Record<string, () => Promise<void>>> = {
      DELETE: () => cancelUpload(uploads, exchange, path, id),
      GET: () => describeUpload(uploads, exchange, path, id),
      HEAD: () => describeUpload(uploads, exchange, path, id),
      PATCH: () => continueUpload(uploads, exchange, path, id),
      PUT: () => finishUpload(uploads, exchange, path, id),
    };
    const door = doors[method];
    if (door === undefined) throw new RegistryError("UNSUPPORTED");
    await this.#openForPush(exchange, caller, path);
    await door();
  }

  async #answerSignatures(
    route: Extract<Route, { kind: "signatures" }>,
    exchange: Exchange,
    caller: Caller,
    method: string,
  ): Promise<void> {
    const { database } = this.#options;
    const { path, digest, name } = route;
    if (name !== undefined) {
      const served = writable(await this.#open(exchange, caller, "sign", path));
      return await removeSignature(database, exchange, caller, served, digest, name);
    }
    if (method === "GET" || method === "HEAD") {
      if (asksForAll(exchange.query)) {
        return await serveImageSignatures(database, exchange, await this.#open(exchange, caller, "pull", path), digest);
      }
      return await this.#read(exchange, caller, path, `signatures ${digest}`, (reader, served) =>
        makeSignaturesAnswer(reader, served, digest),
      );
    }
    const served = writable(await this.#open(exchange, caller, "sign", path));
    return await receiveSignature(database, exchange, caller, served, digest, this.#verifier);
  }

  async #answerVerifications(
    route: VerificationRoute,
    exchange: Exchange,
    caller: Caller,
    method: string,
  ): Promise<void> {
    const { database } = this.#options;
    const { path } = route;
    if (method === "GET" || method === "HEAD")
      return await serveVerifications(database, exchange, await this.#open(exchange, caller, "pull", path), route);
    if (method === "POST") {
      const served = writable(await this.#open(exchange, caller, "audit", path));
      return await receiveVerification(database, exchange, caller, served, route);
    }
    const of = readAuditor(exchange.query) ?? caller.name;
    // What others said is taken back by whoever may also delete the image under it.
    const action = of === caller.name ? "audit" : "delete";
    const served = writable(await this.#open(exchange, caller, action, path));
    await withdrawVerifications(database, exchange, caller, served, route, of);
  }

  async #serveBlob(exchange: Exchange, caller: Caller, route: Extract<Route, { kind: "blob" }>): Promise<void> {
    const { database, blobs } = this.#options;
    const served = await this.#open(exchange, caller, "pull", route.path);
    const isWhole = exchange.request.headers.range === undefined;
    const what = `blob ${route.digest}`;
    const known = isWhole ? this.#answers.find(served, what) : undefined;
    if (known !== undefined) return sendAnswer(exchange, known);
    let blob = await findBlob(database.read, served, route.digest);
    if (blob === undefined && (await this.#hasChanged(served))) {
      blob = await database.snapshot(async (reader) => {
        const then = await findServed(reader, route.path);
        return then && (await findBlob(reader, then, route.digest));
      });
    }
    if (blob === undefined) throw new RegistryError("BLOB_UNKNOWN", { digest: route.digest });
    if (!isWhole || blob.size > MAX_KEPT_BLOB_BYTES) return await serveBlob(blobs, exchange, blob);
    const made = await makeBlobAnswer(blobs, blob);
    this.#answers.keep(served, what, made);
    sendAnswer(exchange, made);
  }

  /**
   * Answers from what was said before about the same state, or anew. A version goes when the next one is complete, so what was read while the repository changed is read
   * again, from one state of the database: otherwise a tag that moves could seem to be gone.
   */
  async #read(
    exchange: Exchange,
    caller: Caller,
    path: string,
    what: string,
    make: (reader: Reader, served: ServedRepository) => Promise<CompleteAnswer>,
    // What depends on who asks, or when, and so is done anew for each request.
    finish: (served: ServedRepository, made: CompleteAnswer) => Promise<CompleteAnswer> = (_served, made) =>
      Promise.resolve(made),
  ): Promise<void> {
    const { database } = this.#options;
    const served = await this.#open(exchange, caller, "pull", path);
    const known = this.#answers.find(served, what);
    const made = known === undefined ? await settle(make(database.read, served)) : { ok: true as const, value: known };
    const finished = made.ok ? await settle(finish(served, made.value)) : made;
    if (known !== undefined && finished.ok) return sendAnswer(exchange, finished.value);
    if (!(await this.#hasChanged(served))) return this.#conclude(exchange, served, what, made, finished);
    const [then, madeThen] = await database.snapshot(async (reader) => {
      const found = await findServed(reader, path);
      this.#admit(exchange, caller, { path, action: "pull" }, found);
      if (found === undefined) throw new RegistryError("NAME_UNKNOWN", { name: path });
      return [found, await settle(make(reader, found))] as const;
    });
    const finishedThen = madeThen.ok ? await settle(finish(then, madeThen.value)) : madeThen;
    this.#conclude(exchange, then, what, madeThen, finishedThen);
  }

  #conclude(
    exchange: Exchange,
    served: ServedRepository,
    what: string,
    made: Settled<CompleteAnswer>,
    finished: Settled<CompleteAnswer>,
  ): void {
    if (made.ok) this.#answers.keep(served, what, made.value);
    if (!finished.ok) throw finished.error;
    sendAnswer(exchange, finished.value);
  }

  async #hasChanged(served: ServedRepository): Promise<boolean> {
    const now = await this.#paths.findAnew(served.path);
    const isSame = now?.changeNumber === served.changeNumber && now.trustNumber === served.trustNumber;
    return !isSame || now.repositoryId !== served.repositoryId;
  }

  /** What is served under a path, to a caller who may have it. Without the right the answer is the same whether there is anything or not. */
  async #open(exchange: Exchange, caller: Caller, action: Action, path: string): Promise<ServedRepository> {
    const served = await this.#find(exchange, caller, { path, action });
    if (served === undefined) throw new RegistryError("NAME_UNKNOWN", { name: path });
    return served;
  }

  async #find(exchange: Exchange, caller: Caller, wanted: Wanted): Promise<ServedRepository | undefined> {
    const served = await this.#paths.find(wanted.path);
    this.#admit(exchange, caller, wanted, served);
    return served;
  }

  #admit(exchange: Exchange, caller: Caller, wanted: Wanted, served: ServedRepository | undefined): void {
    if (caller.may(wanted.action, { path: wanted.path, visibility: served?.visibility })) return;
    throw this.#refusal(exchange, caller, wanted);
  }

  async #openForPush(exchange: Exchange, caller: Caller, path: string, mountSource?: string): Promise<void> {
    const served = await this.#find(exchange, caller, { path, action: "push", mountSource });
    if (served !== undefined) writable(served);
  }

  #refusal(exchange: Exchange, caller: Caller, wanted?: Wanted): RegistryError {
    const detail = wanted && [{ type: "repository", name: wanted.path, action: wanted.action }];
    // A password is refused for good; whoever has none, or a token of a smaller scope, is told how to come back.
    if (caller.credentials === "basic") return new RegistryError("DENIED", detail);
    const rights = wanted === undefined ? [] : neededRights(wanted);
    const challenge = this.#options.gate.challenge(exchange.request, rights, caller.credentials === "bearer");
    return new RegistryError("UNAUTHORIZED", detail, { headers: { "www-authenticate": challenge } });
  }

  #answerError(exchange: Exchange, error: unknown): void {
    const { request, response } = exchange;
    const isGone = response.destroyed || (request.destroyed && !request.complete);
    if (isGone && connectionErrors.has((error as { code?: string }).code ?? "")) return void response.destroy();
    const known = wordError(error);
    if (known === undefined) this.#options.onFailure(error, request);
    if (response.headersSent || response.destroyed) {
      // Part of the answer is out: only breaking off tells the client that it is not whole.
      response.destroy();
      return;
    }
    const said = known ?? new RegistryError("UNKNOWN");
    answer(exchange, said.status, { "content-type": "application/json; charset=utf-8", ...said.headers }, said.body);
  }
}

/** What node calls it when a client goes away half-way: no failure of the server. */
const connectionErrors: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "EPIPE",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_PREMATURE_CLOSE",
]);

type Settled<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

async function settle<T>(work: Promise<T>): Promise<Settled<T>> {
  try {
    return { ok: true, value: await work };
  } catch (error) {
    return { ok: false, error };
  }
}

/** A failure in a client's terms, or undefined when it is the server's own. */
function wordError(error: unknown): RegistryError | undefined {
  if (error instanceof RegistryError) return error;
  if (!(error instanceof ContentError)) return undefined;
  const [code, status] = contentProblems[error.problem];
  const detail = Object.keys(error.detail).length === 0 ? error.message : { message: error.message, ...error.detail };
  return new RegistryError(code, detail, status === undefined ? {} : { status });
}

function writable(served: ServedRepository): ServedRepository {
  if (!served.isPinned) return served;
  throw new RegistryError("DENIED", "this path serves a fixed version of its repository, which nothing can change");
}
