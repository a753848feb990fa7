import { InternalError, StoreError } from "@signet/core";
import { type Access, type Authorization, Authorizer, type AuthorizerOptions } from "./authorizer.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { type HttpAnswer, type HttpRequest, exchange } from "./exchange.ts";
import { type Ping, pingRegistry } from "./ping.ts";
import { responseError } from "./response-error.ts";
import { type RetryPolicy, withRetries } from "./retry.ts";

/** Repositories whose own challenges are remembered; the others meet with theirs again. */
const MAX_LEARNED = 1000;

export interface SessionOptions extends AuthorizerOptions {
  readonly servingHost: string;
  /** True: plain http may be used when https fails. */
  readonly insecure: boolean;
}

/** A request to the registry's own origin. */
export interface SessionRequest {
  readonly method: HttpRequest["method"];
  /** Path and query below the origin, starting with `/`. */
  readonly path: string;
  readonly access: readonly Access[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes are sent again when the request is repeated; a stream is sent once. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** A POST that does no harm when it is done twice. Default false. */
  readonly repeatable?: boolean;
  /** Statuses that are answers; all others become errors. */
  readonly expect: readonly number[];
  /** For messages: what is being done to what. */
  readonly what: string;
}

/** A small answer, read whole. */
export interface SessionDocument {
  readonly answer: HttpAnswer;
  readonly bytes: Uint8Array;
}

/** Talks to one registry: finds out how it wants to be asked, then asks, and asks again where that may help. */
export class RegistrySession {
  readonly #options: SessionOptions;
  readonly #authorizer: Authorizer;
  #ping: Promise<Ping> | undefined;
  /** Challenges that single requests met with beyond those of the ping, by what they wanted access to; so that each is met with once. */
  readonly #learned = new Map<string, readonly Challenge[]>();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#authorizer = new Authorizer(options);
  }

  /** The registry's name as references write it. */
  get registry(): string {
    return this.#options.wire.registry;
  }

  get retry(): RetryPolicy {
    return this.#options.retry;
  }

  /** Bytes that count as progress. */
  get minProgressBytes(): number {
    return this.#options.wire.timeouts.minProgressBytes;
  }

  /** Asked once; a failure is not remembered. */
  ping(): Promise<Ping> {
    if (this.#ping === undefined) {
      const ping = pingRegistry(this.#options);
      this.#ping = ping;
      ping.catch(() => {
        if (this.#ping === ping) this.#ping = undefined;
      });
    }
    return this.#ping;
  }

  /**
   * Sends a request and hands over its answer with the body still to be read. Safe to repeat are requests that read, delete, or put bytes; others are repeated
   * only after 429, and streams never.
   * @throws StoreError
   */
  async open(request: SessionRequest): Promise<HttpAnswer> {
    return await withRetries(this.#policyFor(request), () => this.#attempt(request, undefined));
  }

  /**
   * Sends a request and reads its whole answer, all attempts together within the budget for documents.
   * @throws StoreError; FormatError `input-too-large`
   */
  async read(request: SessionRequest, maxBytes: number): Promise<SessionDocument> {
    const { clock } = this.#options.retry;
    const deadline = clock.now() + this.#options.wire.timeouts.documentMs;
    return await withRetries({ ...this.#policyFor(request), deadline }, async () => {
      const answer = await this.#attempt(request, Math.max(1, deadline - clock.now()));
      return { answer, bytes: await answer.readBytes(maxBytes, request.what) };
    });
  }

  #policyFor(request: SessionRequest): RetryPolicy {
    const { retry } = this.#options;
    if (isStream(request.body)) return { ...retry, times: 0 };
    const repeatable = request.repeatable ?? (request.method !== "POST" && request.method !== "PATCH");
    return repeatable ? retry : { ...retry, mayRetry: (error) => error.status === 429 };
  }

  async #attempt(request: SessionRequest, budgetMs: number | undefined): Promise<HttpAnswer> {
    const ping = await this.ping();
    const { origin } = ping;
    // Most registries tell all at the door.
    const learned = this.#learned.size === 0 ? undefined : this.#learned.get(JSON.stringify(request.access));
    const challenges = learned ?? ping.challenges;
    let authorization = await this.#authorizer.answer(origin, challenges, request.access, false);
    let answer = await this.#exchange(request, origin, authorization, budgetMs);
    if (answer.status === 401 && answer.url.origin === origin.origin && !isStream(request.body)) {
      // The token has run out, or this request needs another scope than the ping let expect.
      const anew = readChallenges(answer, challenges);
      if (anew.length > 0) {
        const sent = authorization.header;
        authorization = await this.#authorizer.answer(origin, anew, request.access, true);
        if (authorization.header !== undefined && authorization.header !== sent) {
          await answer.discard();
          answer = await this.#exchange(request, origin, authorization, budgetMs);
          if (answer.status !== 401 && this.#learned.size < MAX_LEARNED)
            this.#learned.set(JSON.stringify(request.access), anew);
        }
      }
    }
    if (request.expect.includes(answer.status)) return answer;
    throw await responseError(answer, {
      registry: this.registry,
      servingHost: origin.host,
      what: request.what,
      now: this.#options.retry.clock.now(),
      authenticated: authorization.authenticated,
      secrets: authorization.secrets,
    });
  }

  async #exchange(
    request: SessionRequest,
    origin: URL,
    authorization: Authorization,
    budgetMs: number | undefined,
  ): Promise<HttpAnswer> {
    const url = new URL(request.path, origin);
    if (url.origin !== origin.origin)
      throw new InternalError(`a request path left the registry: ${request.path.slice(0, 200)}`);
    return await exchange(this.#options.wire, {
      method: request.method,
      url,
      ...(request.headers === undefined ? {} : { headers: request.headers }),
      ...(authorization.header === undefined ? {} : { authorization: authorization.header }),
      ...(request.body === undefined ? {} : { body: request.body }),
      ...(budgetMs === undefined ? {} : { budgetMs }),
    });
  }
}

/** The challenges of this very answer; those of the ping when it has none that can be read. */
function readChallenges(answer: HttpAnswer, fallback: readonly Challenge[]): readonly Challenge[] {
  try {
    const own = parseChallenges(answer.headerLines("www-authenticate"));
    return own.length > 0 ? own : fallback;
  } catch (error) {
    if (error instanceof StoreError) return fallback;
    throw error;
  }
}

function isStream(body: SessionRequest["body"]): body is AsyncIterable<Uint8Array> {
  return body !== undefined && !(body instanceof Uint8Array);
}
