/** The composition root: every part of the server is chosen and put together here. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { FormatError } from "@signet/core";
import { makeAccess } from "./access/access.ts";
import { createFirstAdmin } from "./access/accounts.ts";
import { networkOf } from "./access/network.ts";
import { makeRateLimiter } from "./access/rate-limits.ts";
import { auditedDatabase } from "./audit/audit-log.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import type { ServerConfig } from "./config.ts";
import { type ListenAddress, formatAddress } from "./config/config-values.ts";
import type { Database } from "./db/database.ts";
import { AccessGate } from "./gate/access-gate.ts";
import { ClientReader } from "./gate/client.ts";
import { serveToken } from "./gate/token-door.ts";
import { ConnectionGuard } from "./http/connection-guard.ts";
import { endListener, listen, makeListener } from "./http/listener.ts";
import { ServerMetrics } from "./http/metrics.ts";
import { servePage } from "./http/own-pages.ts";
import { type OwnPath, isOwnPath, ownRoutes } from "./http/own-routes.ts";
import { ReadinessCheck } from "./http/readiness.ts";
import { RequestLog } from "./http/request-log.ts";
import { normalizeTarget, refuseSeveralHosts } from "./http/request-target.ts";
import { type ServerLog, makeServerLog } from "./http/server-log.ts";
import { TlsWatcher, readTlsPair } from "./http/tls-files.ts";
import { type Exchange, answer, openExchange } from "./registry/answer.ts";
import { DataPlane } from "./registry/data-plane.ts";
import { RegistryError } from "./registry/registry-error.ts";
import { checkMethod } from "./registry/route-methods.ts";
import { GarbageCollector } from "./garbage-collector.ts";
import { SignatureRechecker } from "./signature-rechecker.ts";
import { isRegistryName } from "./trust/pull-guard.ts";
import { openBlobs, openDatabase } from "./storage.ts";

/** Requests at once of one client address, as seconds of its rate. */
const BURST_SECONDS = 4;
/** Milliseconds that work whose connection is gone may take to notice, before the database is closed under it. */
const SETTLE_MS = 2_000;

/**
 * Of every answer: what clients pushed is never taken for another type than it is served as, and a browser that shows it, wherever a link led it, runs nothing of it and puts it
 * into no page.
 */
const contentHeaders: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
};

/** Sockets that the event loop takes up at once (libuv); when more are ready, a turn polls again. */
const MAX_POLLED = 1_024;

/** What the composition root does not choose. */
export interface ServerDeps {
  /** The program's version. */
  readonly version: string;
  /** Milliseconds since 1970, UTC. */
  readonly now: () => number;
  /** Whether standard error is a terminal. */
  readonly isTerminal: boolean;
  /** The password of the account `admin` that a first start makes; undefined: one is made. */
  readonly adminPassword: string | undefined;
}

/** A server that listens. */
export interface RunningServer {
  /** Where, with the port that was taken. */
  readonly address: ListenAddress;
  /** Scheme and address, without a final slash. */
  readonly url: string;
  /** Not null on the first start; the password is there when it was made here, and nowhere else. */
  readonly firstAdmin: { readonly name: string; readonly madePassword: string | null } | null;
  /** Reads the certificate again. */
  reload(): Promise<void>;
  /** Stops taking requests, lets those in flight end within `drain.timeout`, and closes everything. May be called twice. */
  drain(): Promise<void>;
}

/**
 * Opens everything that the configuration names, makes the account `admin` where there is none, and listens.
 * @throws SignetError when a part cannot be opened; then nothing stays open
 */
export async function startServer(config: ServerConfig, deps: ServerDeps): Promise<RunningServer> {
  await using opened = new AsyncDisposableStack();
  const { log, flush } = makeServerLog(config.log, deps.isTerminal);
  opened.defer(flush);
  const tls = config.tls === undefined ? undefined : await readTlsPair(config.tls);
  const database = opened.adopt(await openDatabase(config), (one) => one.close());
  const blobs = opened.adopt(await openBlobs(config), (one) => one.close());
  const firstAdmin = await prepareAccounts(config, deps, database, log);

  const app = new App(config, deps, { database, blobs, log });
  const server = await makeListener((request, response) => app.handle(request, response), config.limits, tls);
  app.guard = new ConnectionGuard(server, config.limits);
  const address = await listen(server, config.listen);
  opened.defer(async () => void (await endListener(server, 0)));
  if (config.metricsListen !== undefined) {
    const side = await makeListener((request, response) => app.handleSide(request, response), config.limits, undefined);
    const at = await listen(side, config.metricsListen);
    opened.defer(async () => void (await endListener(side, 0)));
    log.info({ address: formatAddress(at) }, "metrics and health are served");
  }
  const watcher =
    config.tls === undefined
      ? undefined
      : new TlsWatcher(
          config.tls,
          (pair) => {
            if ("setSecureContext" in server) server.setSecureContext({ ...pair, minVersion: "TLSv1.2" });
            log.info("the certificate was read again");
          },
          (error) => log.error({ err: error }, "the new certificate cannot be used, the old one stays"),
        );
  opened.defer(async () => watcher?.close());
  if (config.gc.interval > 0) {
    const collector = new GarbageCollector(database, blobs, { ...config.gc, now: deps.now, log });
    opened.defer(() => collector.stop());
    const rechecker = new SignatureRechecker(database, { now: deps.now, log });
    opened.defer(() => rechecker.stop());
  }
  if (config.insecureHttp && config.tls === undefined) {
    log.warn(
      { address: formatAddress(address) },
      "insecureHttp: what clients send, passwords included, is not encrypted",
    );
  }
  log.info(
    { address: formatAddress(address), version: deps.version, database: database.kind, blobs: blobs.kind },
    "listening",
  );

  const parts = opened.move();
  let drained: Promise<void> | undefined;
  const drain = async (): Promise<void> => {
    log.info({ inFlight: app.guard?.exchanges ?? 0 }, "draining");
    app.readiness.isDraining = true;
    if (config.drain.delay > 0) await new Promise((resolve) => setTimeout(resolve, config.drain.delay));
    app.beginDrain(() => server.closeIdleConnections());
    const cut = await endListener(server, config.drain.timeout);
    await app.settle();
    log.info({ cut }, "stopped");
    await parts.disposeAsync();
  };
  return {
    address,
    url: `${tls === undefined ? "http" : "https"}://${formatAddress(address)}`,
    firstAdmin,
    reload: async () => await watcher?.reload(),
    drain: () => (drained ??= drain()),
  };
}

async function prepareAccounts(
  config: ServerConfig,
  deps: ServerDeps,
  database: Database,
  log: ServerLog,
): Promise<RunningServer["firstAdmin"]> {
  const at = deps.now();
  const written = auditedDatabase(database, (result) =>
    result === null
      ? undefined
      : { at, actor: "server", action: "account.create", target: "admin", detail: { first: true } },
  );
  const firstAdmin = await createFirstAdmin(written, deps.adminPassword, at);
  const { htpasswd } = config.auth;
  if (htpasswd !== undefined) {
    // Loaded for those who have such a file.
    const { importHtpasswd, readHtpasswd } = await import("./access/htpasswd.ts");
    const text = await readHtpasswd(htpasswd);
    const imported = auditedDatabase(database, (result) => {
      const { created } = result as Awaited<ReturnType<typeof importHtpasswd>>;
      if (created.length === 0) return undefined;
      return { at, actor: "server", action: "account.import", target: "htpasswd", detail: { created } };
    });
    const { created } = await importHtpasswd(imported, text, at);
    if (created.length > 0) log.info({ created: created.length }, "accounts were made from the htpasswd file");
  }
  return firstAdmin;
}

/**
 * What images are called here, for pull policies: by the public URL, else by the address that is listened on. A port that is chosen at start has no name that anybody could
 * have signed for.
 */
function namesOf({ publicUrl, listen: place }: ServerConfig): readonly string[] {
  const address = formatAddress(place);
  const local = place.port === 0 ? [] : address.startsWith("127.") ? [address, `localhost:${place.port}`] : [address];
  const names = publicUrl === undefined ? local : [new URL(publicUrl).host];
  return names.filter(isRegistryName);
}

/** Answers requests. */
class App {
  readonly readiness: ReadinessCheck;
  guard: ConnectionGuard | undefined;
  readonly #deps: ServerDeps;
  readonly #database: Database;
  readonly #log: ServerLog;
  readonly #requests: RequestLog;
  readonly #metrics: ServerMetrics;
  readonly #clients: ClientReader;
  readonly #gate: AccessGate;
  readonly #dataPlane: DataPlane;
  readonly #token: (exchange: Exchange) => Promise<void>;
  readonly #takeRate: ((network: string, now: number) => number) | undefined;
  readonly #working = new Set<Promise<void>>();
  #closeIdle: (() => void) | undefined;

  constructor(
    config: ServerConfig,
    deps: ServerDeps,
    parts: { readonly database: Database; readonly blobs: BlobStore; readonly log: ServerLog },
  ) {
    const { database, blobs, log } = parts;
    const { anonymous, tokenLifetime } = config.auth;
    this.#deps = deps;
    this.#database = database;
    this.#log = log;
    this.#clients = new ClientReader(config);
    const service = config.publicUrl === undefined ? "signet" : new URL(config.publicUrl).host;
    const access = makeAccess({
      database,
      issuer: `${config.publicUrl ?? "signet:"}/token`,
      service,
      tokenLifetimeSeconds: tokenLifetime / 1_000,
      clock: deps.now,
    });
    this.#gate = new AccessGate({ access, clients: this.#clients, service, anonymous });
    this.#token = (exchange) => serveToken({ access, gate: this.#gate, database, anonymous }, exchange);
    this.#metrics = new ServerMetrics(deps.version, () => this.guard?.connections ?? 0);
    this.#requests = new RequestLog(log, this.#metrics, {
      isAccessLogged: config.log.access,
      accountOf: (request) => this.#gate.nameOf(request),
      addressOf: (request) => this.#clients.addressOf(request),
    });
    this.readiness = new ReadinessCheck(database, blobs, (part, error) => log.error({ part, err: error }, "not ready"));
    this.#dataPlane = new DataPlane({
      database,
      blobs,
      gate: this.#gate,
      names: namesOf(config),
      takesSchema1: config.push.dockerSchema1,
      onJudged: (verdict) => this.#metrics.judged(verdict),
      onFailure: (error, request) => this.#reportFailure(error, request),
    });
    const perSecond = config.limits.requestsPerSecond;
    if (perSecond > 0) {
      const limiter = makeRateLimiter({ burst: perSecond * BURST_SECONDS, perSecond });
      this.#takeRate = (network, now) => limiter.take(network, now);
    }
  }

  /** The main address. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    this.#run(request, response, (exchange) => this.#answer(exchange));
  }

  /** The second address: metrics and health for whoever reaches it. */
  handleSide(request: IncomingMessage, response: ServerResponse): void {
    this.#run(request, response, async (exchange) => {
      const { path } = exchange;
      if (!isOwnPath(path) || !ownRoutes[path].isAtSide) return answerNothing(exchange);
      await this.#answerOwn(exchange, path, () => Promise.resolve());
    });
  }

  /** From now on connections end with their present request. */
  beginDrain(closeIdle: () => void): void {
    this.#closeIdle = closeIdle;
  }

  /** Waits for work whose connections are gone. */
  async settle(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, SETTLE_MS);
    await Promise.race([promise, Promise.allSettled(this.#working)]);
    clearTimeout(timer);
  }

  #run(request: IncomingMessage, response: ServerResponse, work: (exchange: Exchange) => Promise<void>): void {
    // One that waits behind another on its connection has no socket yet. It may have been sent after the turn began, and so may any when a turn polls again.
    const isLate = response.socket === null || (this.guard?.connections ?? 0) >= MAX_POLLED;
    if (isLate) this.#database.mark();
    normalizeTarget(request);
    const id = this.#requests.begin(request, response);
    this.guard?.watch(request, response);
    const headers: Record<string, string> = { ...contentHeaders, "x-request-id": id };
    if (this.#closeIdle !== undefined) headers["connection"] = "close";
    response.once("close", () => this.#closeIdle?.());
    const exchange = openExchange(request, response, this.#deps.now(), headers);
    const working = this.#guarded(exchange, work).finally(() => this.#working.delete(working));
    this.#working.add(working);
  }

  async #guarded(exchange: Exchange, work: (exchange: Exchange) => Promise<void>): Promise<void> {
    const { request, response } = exchange;
    try {
      refuseSeveralHosts(request);
      await work(exchange);
    } catch (error) {
      const known = wordError(error);
      if (known === undefined) this.#reportFailure(error, request);
      if (response.headersSent || response.destroyed) {
        response.destroy();
        return;
      }
      const said = known ?? new RegistryError("UNKNOWN");
      const headers = { "content-type": "application/json; charset=utf-8", ...said.headers };
      answer(exchange, said.status, headers, said.body);
    }
  }

  async #answer(exchange: Exchange): Promise<void> {
    const { request, path, now } = exchange;
    const wait = this.#takeRate?.(networkOf(this.#clients.addressOf(request)), now) ?? 0;
    if (wait > 0) {
      throw new RegistryError("TOOMANYREQUESTS", "too many requests from this address", {
        headers: { "retry-after": String(wait) },
      });
    }
    if (await this.#dataPlane.handle(exchange)) return;
    if (!isOwnPath(path)) return answerNothing(exchange);
    await this.#answerOwn(exchange, path, () => this.#gate.admitAdmin(request, "metrics"));
  }

  async #answerOwn(exchange: Exchange, path: OwnPath, admitToMetrics: () => Promise<void>): Promise<void> {
    checkMethod(ownRoutes[path].methods, exchange.request.method);
    if (path === "/token") return await this.#token(exchange);
    const pages = { readiness: this.readiness, metrics: this.#metrics };
    await servePage(pages, exchange, path, admitToMetrics);
  }

  #reportFailure(error: unknown, request: IncomingMessage): void {
    // A client that went away is no failure of the server.
    // Node destroys a request also when its body was read whole, and then the client waits for an answer.
    const isGone = (request.destroyed && !request.complete) || request.socket.destroyed;
    this.#log[isGone ? "debug" : "error"]({ request: this.#requests.idOf(request), err: error }, "a request failed");
  }
}

function answerNothing(exchange: Exchange): void {
  answer(
    exchange,
    404,
    { "content-type": "text/plain; charset=utf-8" },
    "there is nothing here; the registry is at /v2/\n",
  );
}

function wordError(error: unknown): RegistryError | undefined {
  if (error instanceof RegistryError) return error;
  // What a client asked of the token endpoint and is malformed.
  if (error instanceof FormatError) return new RegistryError("UNSUPPORTED", error.message, { status: 400 });
  return undefined;
}
