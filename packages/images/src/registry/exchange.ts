/** One HTTP exchange: a request, its redirects, and an answer whose body cannot run on for ever. */
import { FormatError, StoreError, concatBytes } from "@signet/core";
import { TooSlow, connectionError } from "./connection-error.ts";
import type { Connections } from "./connections.ts";
import { shownUrl } from "./endpoint.ts";
import type { WireAnswer } from "./incoming-answer.ts";
import { MAX_REDIRECTS, type Timeouts } from "./limits.ts";

/** Receives what happens, without secrets: URLs lose their queries, headers are left out. */
export type RegistryLog = (level: "debug" | "warning", message: string) => void;

/** What every exchange of one client shares. */
export interface Wire {
  /** The registry's name as references write it, for messages. */
  readonly registry: string;
  readonly connections: Pick<Connections, "send">;
  readonly timeouts: Timeouts;
  readonly userAgent: string;
  readonly log: RegistryLog;
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Value of the `Authorization` header; goes to the origin of `url` only. */
  readonly authorization?: string;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Milliseconds for the request until its headers came, and for `readBytes`; default unlimited. */
  readonly budgetMs?: number;
}

/** An answer. Its body must be read to the end or discarded, or the connection stays occupied. */
export interface HttpAnswer {
  /** Where it came from in the end. */
  readonly url: URL;
  readonly status: number;
  /** The value of a header; undefined when it is absent or, except for lists, comes more than once. */
  header(name: string): string | undefined;
  headerLines(name: string): readonly string[];
  /** Chunks as they arrive, under the idle and progress limits. May be called once. */
  chunks(): AsyncGenerator<Uint8Array, void, undefined>;
  /**
   * The whole body.
   * @throws FormatError `input-too-large` beyond `maxBytes`, before more than that is held
   */
  readBytes(maxBytes: number, what: string): Promise<Uint8Array>;
  discard(): Promise<void>;
}

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Sends a request. GET and HEAD follow redirects, at most five: never from https to http, never with a user name in the URL, never into networks the registry
 * is not part of; `Authorization` is left behind as soon as the origin changes and does not come back. Other methods are not redirected.
 * @throws StoreError `registry-unreachable`, `tls-failed`, `registry-url-refused`, `registry-error`
 */
export async function exchange(wire: Wire, request: HttpRequest): Promise<HttpAnswer> {
  const deadline = request.budgetMs === undefined ? undefined : performance.now() + request.budgetMs;
  let url = request.url;
  let authorization = request.authorization;
  for (let redirects = 0; ; redirects++) {
    const answer = await sendOnce(wire, { ...request, url }, authorization, deadline);
    const follows = (request.method === "GET" || request.method === "HEAD") && redirectStatuses.has(answer.status);
    if (!follows) return answer;
    await answer.discard();
    if (redirects >= MAX_REDIRECTS) {
      throw new StoreError("registry-error", `${shownUrl(request.url)}: more than ${MAX_REDIRECTS} redirects`, {
        status: answer.status,
      });
    }
    const next = redirectTarget(answer, url, wire.registry);
    if (next.origin !== url.origin) authorization = undefined;
    url = next;
  }
}

function redirectTarget(answer: HttpAnswer, from: URL, registry: string): URL {
  const location = answer.header("location");
  const next = location === undefined ? null : URL.parse(location, from.href);
  if (next === null) {
    throw new StoreError("registry-error", `${shownUrl(from)}: a redirect without a usable Location`, {
      status: answer.status,
    });
  }
  checkNamedUrl(next, from, registry, "a redirect");
  return next;
}

/**
 * What holds for every URL that a registry names: http(s), no downgrade from https, no user name inside.
 * @throws StoreError `registry-url-refused`
 */
export function checkNamedUrl(next: URL, from: URL, registry: string, what: string): void {
  const refuse = (problem: string): StoreError =>
    new StoreError("registry-url-refused", `${registry}: ${what} to ${shownUrl(next)} is not followed: ${problem}`, {
      details: { host: next.host },
      hint: "ask whoever runs the registry",
    });
  if (next.protocol !== "https:" && next.protocol !== "http:") throw refuse("neither https nor http");
  if (next.protocol === "http:" && from.protocol !== "http:") throw refuse("it leaves https for http");
  if (next.username !== "" || next.password !== "") throw refuse("it carries a user name or password");
}

async function sendOnce(
  wire: Wire,
  request: HttpRequest,
  authorization: string | undefined,
  deadline: number | undefined,
): Promise<HttpAnswer> {
  const { url } = request;
  try {
    const answer = await wire.connections.send({
      method: request.method,
      url,
      headers: {
        ...request.headers,
        "user-agent": wire.userAgent,
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(deadline === undefined ? {} : { deadline }),
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    wire.log("debug", `${request.method} ${shownUrl(url)}: ${answer.status}`);
    return new Answer(wire, request, answer, deadline);
  } catch (error) {
    const failure = connectionError(error, url, wire.registry);
    wire.log("debug", `${request.method} ${shownUrl(url)}: ${failure.message}`);
    throw failure;
  }
}

class Answer implements HttpAnswer {
  readonly url: URL;
  readonly status: number;
  readonly #wire: Wire;
  readonly #incoming: WireAnswer;
  readonly #deadline: number | undefined;
  /** Bytes announced; an answer to HEAD announces a body that does not follow. */
  readonly #announced: number;
  /** Time is counted only while waiting for the server, so that a slow consumer is not taken for a slow server. */
  #waitedMs = 0;
  #windowBytes = 0;

  constructor(wire: Wire, request: HttpRequest, incoming: WireAnswer, deadline: number | undefined) {
    this.url = request.url;
    this.status = incoming.status;
    this.#wire = wire;
    this.#incoming = incoming;
    this.#deadline = deadline;
    this.#announced = request.method === "HEAD" ? 0 : Number(this.header("content-length") ?? 0);
  }

  header(name: string): string | undefined {
    const value = this.#incoming.headers[name];
    return typeof value === "string" ? value : value?.length === 1 ? value[0] : undefined;
  }

  headerLines(name: string): readonly string[] {
    const value = this.#incoming.headers[name];
    return value === undefined ? [] : typeof value === "string" ? [value] : value;
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) yield chunk;
    } finally {
      // Does nothing when all has come.
      this.#incoming.giveUp(unwanted);
    }
  }

  /** The next chunk, undefined behind the last one. */
  async #next(): Promise<Uint8Array | undefined> {
    try {
      for (;;) {
        const taken = this.#incoming.take();
        if (taken === "ended") return undefined;
        if (taken === undefined) await this.#wait();
        else {
          this.#countProgress(taken.length);
          return taken;
        }
      }
    } catch (error) {
      throw connectionError(error, this.url, this.#wire.registry);
    }
  }

  async #wait(): Promise<void> {
    const { idleMs } = this.#wire.timeouts;
    const from = performance.now();
    const left = this.#deadline === undefined ? Infinity : Math.max(0, this.#deadline - from);
    const reason = left < idleMs ? "the answer takes too long" : `nothing came for ${idleMs} ms`;
    const timer = setTimeout(() => this.#incoming.giveUp(new TooSlow(reason)), Math.min(left, idleMs));
    try {
      await this.#incoming.wait();
    } finally {
      clearTimeout(timer);
      this.#waitedMs += performance.now() - from;
    }
  }

  #countProgress(bytes: number): void {
    const { progressWindowMs, minProgressBytes } = this.#wire.timeouts;
    this.#windowBytes += bytes;
    if (this.#waitedMs < progressWindowMs) return;
    if (this.#windowBytes < minProgressBytes)
      throw new TooSlow(`it sends less than ${minProgressBytes} bytes in ${progressWindowMs} ms`);
    this.#waitedMs = 0;
    this.#windowBytes = 0;
  }

  async readBytes(maxBytes: number, what: string): Promise<Uint8Array> {
    const tooLarge = (): FormatError =>
      new FormatError("input-too-large", `${what}: more than ${maxBytes} bytes, which is the limit`);
    const parts: Uint8Array[] = [];
    let length = 0;
    try {
      if (this.#announced > maxBytes) throw tooLarge();
      for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) {
        length += chunk.length;
        if (length > maxBytes) throw tooLarge();
        parts.push(chunk);
      }
    } finally {
      // Does nothing when all has come.
      this.#incoming.giveUp(unwanted);
    }
    return parts.length === 1 ? parts[0]! : concatBytes(parts);
  }

  async discard(): Promise<void> {
    try {
      await this.readBytes(MAX_DISCARDED_BYTES, "body");
    } catch {
      // Too long, too slow or broken off: the connection has been given up, which is all that is wanted.
    }
  }
}

/** Made once: nobody sees its stack. */
const unwanted = new Error("nothing more is wanted of this answer");

/** Bytes read of a body nobody wants, so that its connection can be used again; above that the connection is closed. */
const MAX_DISCARDED_BYTES: number = 64 * 1024;
