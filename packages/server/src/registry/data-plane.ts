/** The registry's own server: `/v2/`, the signatures extension and the lookaside trees. Every request is routed, its sender identified, its right checked, and then answered. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { BlobStore } from "../blobs/blob-store.ts";
import { ContentError } from "../content/content-error.ts";
import { type ServedRepository, findServed } from "../content/repositories.ts";
import { Uploads } from "../content/uploads.ts";
import type { Database } from "../db/database.ts";
import { type Exchange, answer, answerJson } from "./answer.ts";
import { removeBlob, serveBlob } from "./blob-door.ts";
import type { Action, Caller, Gate } from "./caller.ts";
import { receiveSignature, removeSignature, serveSignatures } from "./extension-door.ts";
import { serveCatalog, serveReferrers, serveTags } from "./list-doors.ts";
import { receiveLookaside, removeLookaside, serveLookaside, serveReleaseTree } from "./lookaside-door.ts";
import { receiveManifest, removeManifest, serveManifest } from "./manifest-door.ts";
import { RegistryError, contentProblems } from "./registry-error.ts";
import { type Route, readRoute } from "./route.ts";
import { beginUpload, cancelUpload, continueUpload, describeUpload, finishUpload } from "./upload-door.ts";

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
  /** Milliseconds since 1970, UTC. */
  readonly now: () => number;
  /** Called with what a client is not told: failures of the server itself. */
  readonly onFailure: (error: unknown, request: IncomingMessage) => void;
}

/** Answers requests of the data plane. */
export class DataPlane {
  readonly #options: DataPlaneOptions;
  readonly #uploads: Uploads;

  constructor(options: DataPlaneOptions) {
    this.#options = options;
    this.#uploads = new Uploads(options.database, options.blobs);
  }

  /**
   * Answers a request, whatever happens.
   * @returns false when its path is none of the data plane's: then nothing was answered
   */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const target = request.url ?? "/";
    const question = target.indexOf("?");
    const path = question < 0 ? target : target.slice(0, question);
    const query = question < 0 ? "" : target.slice(question + 1);
    const exchange = { request, response, query: new URLSearchParams(query), now: this.#options.now() };
    try {
      const route = readRoute(path);
      if (route === undefined) return false;
      for (const [name, value] of Object.entries(standardHeaders)) response.setHeader(name, value);
      if (query.length > MAX_QUERY_CHARACTERS)
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
    const reads = method === "GET" || method === "HEAD";
    switch (route.kind) {
      case "base":
        if (!reads) throw unsupported("GET, HEAD");
        // Clients of containers/image learn here, and only here, how to authenticate: even where they may read without.
        if (caller.credentials === "none") throw this.#refusal(exchange, caller, undefined);
        return answerJson(exchange, {});
      case "catalog":
        if (!reads) throw unsupported("GET, HEAD");
        if (!caller.mayList()) throw this.#refusal(exchange, caller, undefined);
        return await serveCatalog(database, exchange, caller);
      case "tags": {
        if (!reads) throw unsupported("GET, HEAD");
        return await serveTags(database, exchange, await this.#open(exchange, caller, "pull", route.path));
      }
      case "referrers": {
        if (!reads) throw unsupported("GET, HEAD");
        const served = await this.#open(exchange, caller, "pull", route.path);
        return await serveReferrers(database, exchange, served, route.digest);
      }
      case "manifest":
        return await this.#answerManifest(route, exchange, caller, method);
      case "blob": {
        if (!reads && method !== "DELETE") throw unsupported("DELETE, GET, HEAD");
        const served = await this.#open(exchange, caller, reads ? "pull" : "delete", route.path);
        if (reads) return await serveBlob(database, this.#options.blobs, exchange, served, route.digest);
        return await removeBlob(database, exchange, caller, writable(served), route.digest);
      }
      case "uploads":
      case "upload":
        return await this.#answerUpload(route, exchange, caller, method);
      case "signatures":
        return await this.#answerSignatures(route, exchange, caller, method);
      case "lookaside": {
        if (route.path === undefined) {
          if (!reads) throw unsupported("GET, HEAD");
          return await serveReleaseTree(database, exchange, caller, route);
        }
        if (!reads && method !== "PUT" && method !== "DELETE") throw unsupported("DELETE, GET, HEAD, PUT");
        const served = await this.#open(exchange, caller, reads ? "pull" : "sign", route.path);
        if (reads) return await serveLookaside(database, exchange, served, route);
        if (method === "PUT") return await receiveLookaside(database, exchange, caller, writable(served), route);
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
        const served = await this.#open(exchange, caller, "pull", route.path);
        return await serveManifest(database, exchange, served, route.reference);
      }
      case "PUT":
        await this.#openForPush(exchange, caller, route.path);
        return await receiveManifest(database, exchange, caller, route.path, route.reference);
      case "DELETE": {
        const served = await this.#open(exchange, caller, "delete", route.path);
        return await removeManifest(database, exchange, caller, writable(served), route.reference);
      }
      default:
        throw unsupported("DELETE, GET, HEAD, PUT");
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
      if (method !== "POST") throw unsupported("POST");
      await this.#openForPush(exchange, caller, route.path);
      return await beginUpload(this.#options.database, uploads, exchange, caller, route.path);
    }
    const { path, id } = route;
    const doors: Readonly<Record<string, () => Promise<void>>> = {
      DELETE: () => cancelUpload(uploads, exchange, path, id),
      GET: () => describeUpload(uploads, exchange, path, id),
      PATCH: () => continueUpload(uploads, exchange, path, id),
      PUT: () => finishUpload(uploads, exchange, path, id),
    };
    const door = doors[method];
    if (door === undefined) throw unsupported(Object.keys(doors).join(", "));
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
      if (method !== "DELETE") throw unsupported("DELETE");
      const served = writable(await this.#open(exchange, caller, "sign", path));
      return await removeSignature(database, exchange, caller, served, digest, name);
    }
    if (method === "GET") {
      return await serveSignatures(database, exchange, await this.#open(exchange, caller, "pull", path), digest);
    }
    if (method !== "PUT") throw unsupported("GET, PUT");
    const served = writable(await this.#open(exchange, caller, "sign", path));
    return await receiveSignature(database, exchange, caller, served, digest);
  }

  /** What is served under a path, to a caller who may have it. Without the right the answer is the same whether there is anything or not. */
  async #open(exchange: Exchange, caller: Caller, action: Action, path: string): Promise<ServedRepository> {
    const served = await findServed(this.#options.database.read, path);
    if (!caller.may(action, { path, visibility: served?.visibility })) {
      throw this.#refusal(exchange, caller, { path, action });
    }
    if (served === undefined) throw new RegistryError("NAME_UNKNOWN", { name: path });
    return served;
  }

  async #openForPush(exchange: Exchange, caller: Caller, path: string): Promise<void> {
    const served = await findServed(this.#options.database.read, path);
    if (!caller.may("push", { path, visibility: served?.visibility })) {
      throw this.#refusal(exchange, caller, { path, action: "push" });
    }
    if (served !== undefined) writable(served);
  }

  #refusal(
    exchange: Exchange,
    caller: Caller,
    needed: { readonly path: string; readonly action: Action } | undefined,
  ): RegistryError {
    const detail = needed && [{ type: "repository", name: needed.path, action: needed.action }];
    // A password is refused for good; whoever has none, or a token of a smaller scope, is told how to come back.
    if (caller.credentials === "basic") return new RegistryError("DENIED", detail);
    const actions: readonly Action[] = needed?.action === "pull" ? ["pull"] : ["pull", needed?.action ?? "pull"];
    const challenge = this.#options.gate.challenge(
      exchange.request,
      needed && { path: needed.path, actions },
      caller.credentials === "bearer",
    );
    return new RegistryError("UNAUTHORIZED", detail, { headers: { "www-authenticate": challenge } });
  }

  #answerError(exchange: Exchange, error: unknown): void {
    const { request, response } = exchange;
    const known = wordError(error);
    if (known === undefined) this.#options.onFailure(error, request);
    if (response.headersSent || response.destroyed) {
      // Part of the answer is out: only breaking off tells the client that it is not whole.
      response.destroy();
      return;
    }
    const said = known ?? new RegistryError("UNKNOWN");
    // A body that nobody reads would keep the connection busy; the client sends the next request on another one.
    const close = request.complete ? {} : { connection: "close" };
    answer(
      exchange,
      said.status,
      { "content-type": "application/json; charset=utf-8", ...close, ...said.headers },
      said.body,
    );
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

function unsupported(allow: string): RegistryError {
  return new RegistryError("UNSUPPORTED", undefined, { headers: { allow } });
}

function writable(served: ServedRepository): ServedRepository {
  if (!served.isPinned) return served;
  throw new RegistryError("DENIED", "this path serves a fixed version of its repository, which nothing can change");
}
