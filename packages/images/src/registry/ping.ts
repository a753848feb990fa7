import { StoreError } from "@signet/core";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { originOf } from "./endpoint.ts";
import { type HttpAnswer, type Wire, exchange } from "./exchange.ts";
import { responseError } from "./response-error.ts";
import { type RetryPolicy, withRetries } from "./retry.ts";

/** What a registry said at the door. */
export interface Ping {
  /** Scheme, host and port at which it answered. */
  readonly origin: URL;
  /** True when it announced the signatures extension: `X-Registry-Supports-Signatures` is exactly `1`. */
  readonly supportsSignatures: boolean;
  /** How it wants to be asked; empty when it is open. Untrusted. */
  readonly challenges: readonly Challenge[];
}

export interface PingOptions {
  readonly wire: Wire;
  /** `host[:port]` to connect to. */
  readonly servingHost: string;
  /** True: plain http is tried when https fails in whatever way. */
  readonly insecure: boolean;
  readonly retry: RetryPolicy;
}

/**
 * Asks `GET /v2/` over https, and only if that fails and `insecure` allows it, over http.
 * @throws StoreError `registry-unreachable`, `tls-failed`, `registry-error`, … : the first failure, with the second one in its message
 */
export async function pingRegistry(options: PingOptions): Promise<Ping> {
  if (!options.insecure) return await pingOver("https", options);
  let first: unknown;
  try {
    // Without waits: a registry on plain http will not start to speak TLS.
    return await pingOver("https", { ...options, retry: { ...options.retry, times: 0 } });
  } catch (error) {
    first = error;
  }
  try {
    return await pingOver("http", options);
  } catch (second) {
    if (!(first instanceof StoreError) || !(second instanceof StoreError)) throw second;
    // What does not speak TLS and answers over http has its say there.
    const telling = first.code === "tls-failed" && second.code !== "registry-unreachable" ? second : first;
    throw new StoreError(telling.code, `${first.message}; over http: ${second.message}`, {
      cause: telling,
      retryable: second.retryable,
      details: telling.details,
      ...(telling.status === undefined ? {} : { status: telling.status }),
      ...(telling.hint === undefined ? {} : { hint: telling.hint }),
    });
  }
}

async function pingOver(scheme: "https" | "http", options: PingOptions): Promise<Ping> {
  const { wire, servingHost, retry } = options;
  const origin = originOf(servingHost, scheme);
  const what = `asking registry ${wire.registry}`;
  const deadline = retry.clock.now() + wire.timeouts.documentMs;
  return await withRetries({ ...retry, deadline }, async () => {
    const answer = await exchange(wire, {
      method: "GET",
      url: new URL("/v2/", origin),
      budgetMs: Math.max(1, deadline - retry.clock.now()),
    });
    if (answer.url.origin !== origin.origin) {
      await answer.discard();
      throw new StoreError("registry-error", `${what}: it leads to ${answer.url.origin}, which is not that registry`, {
        hint: "use the name of the host it leads to, if that is right",
      });
    }
    if (answer.status !== 200 && answer.status !== 401) {
      throw await responseError(answer, {
        registry: wire.registry,
        servingHost: origin.host,
        what,
        now: retry.clock.now(),
        authenticated: false,
      });
    }
    const ping = readPing(answer, origin);
    await answer.discard();
    return ping;
  });
}

function readPing(answer: HttpAnswer, origin: URL): Ping {
  return {
    origin,
    supportsSignatures: answer.header("x-registry-supports-signatures") === "1",
    challenges: answer.status === 401 ? parseChallenges(answer.headerLines("www-authenticate")) : [],
  };
}
