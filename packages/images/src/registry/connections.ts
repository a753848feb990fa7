/** Sockets: which pool a request goes through, and the guard on every connection that a registry's word leads to. */
import { lookup as systemLookup } from "node:dns";
import { type LookupFunction, type Socket, isIP } from "node:net";
import { type SecureContext, createSecureContext } from "node:tls";
import { FormatError } from "@signet/core";
import type { Dispatcher, buildConnector } from "undici";
import type { TlsMaterial } from "../config/certs-d.ts";
import { type AddressClass, AddressRefused, classifyAddress, mayFollowTo } from "./address.ts";
import { TooSlow } from "./connection-error.ts";
import { IncomingAnswer, type WireAnswer } from "./incoming-answer.ts";
import { MAX_CONNECTIONS_PER_HOST, MAX_HEADER_BYTES, type Timeouts } from "./limits.ts";
import { type ProxyChooser, bareHost } from "./proxy.ts";

export interface ConnectionsOptions {
  /** `host[:port]` of the registry, as connected to. */
  readonly registryHost: string;
  /** False: certificates are not checked. */
  readonly tlsVerify: boolean;
  /** Called before the first https connection. */
  readonly loadCertificates: () => Promise<TlsMaterial>;
  /** Authorities that this machine trusts, as PEM texts; called before the first https connection whose certificate is checked. */
  readonly loadRoots: () => Promise<readonly string[]>;
  readonly proxy: ProxyChooser;
  readonly timeouts: Timeouts;
  /** Host names (without port) that somebody configured as trusted; the address rule does not apply to them. */
  readonly trustedHosts: ReadonlySet<string>;
  /** Name resolution. Default: the system's. */
  readonly lookup?: LookupFunction;
}

/** One request on the wire, without redirects. */
export interface WireRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Reading of `performance.now()` until which the head of the answer must be here. Default unlimited. */
  readonly deadline?: number;
  /** Gives up the request, and the answer as long as its body has not come. */
  readonly signal?: AbortSignal;
}

/**
 * Who may be connected to how. `registry`: the registry itself, as the user named it. `named`: a host that the registry named; public addresses, and those of
 * the class in which the registry itself was reached. `trusted`: a host that the registry named and somebody configured as trusted.
 */
type Route = "registry" | "named" | "trusted";

/** With the client certificates that are for the registry, and without. */
interface TlsContexts {
  readonly own: SecureContext;
  readonly foreign: SecureContext;
}

/** Where a request goes, and by which rules. */
interface Destination {
  readonly origin: string;
  /** Name or address, without port and brackets. */
  readonly host: string;
  readonly secure: boolean;
  readonly route: Route;
  /** It is the registry's host, whatever the port. */
  readonly own: boolean;
  readonly proxy: URL | undefined;
}

/** Origins remembered. A registry leads to a handful; one that leads to ever new ones must not fill the memory. */
const MAX_DESTINATIONS = 1000;

/**
 * The connections of one registry client. Client certificates are shown to the registry's own host only. The addresses that are
 * judged are those that the very connection then uses: a name that resolves differently the next time is judged again.
 *
 * Not checked: what a proxy connects to; behind one only literal addresses can be judged.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #pools = new Map<string, Promise<Dispatcher>>();
  /** By origin. */
  readonly #destinations = new Map<string, Destination>();
  readonly #ownClasses = new Set<AddressClass>();
  #tls: Promise<TlsContexts> | undefined;
  #proxyTls: Promise<TlsContexts> | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /**
   * Sends a request.
   * @returns the answer when its head is here; its body must be taken to the end or given up, or the connection stays occupied
   * @throws AddressRefused, TooSlow, or what the socket, TLS or HTTP layer throws; see `exchange.ts` for the translation
   */
  async send(request: WireRequest): Promise<WireAnswer> {
    const { url, deadline } = request;
    const destination = this.#destinationOf(url);
    if (destination.route === "named" && isIP(destination.host) !== 0) this.#guard(destination.host);
    const pool = await this.#poolFor(destination);
    const answer = new IncomingAnswer(request.signal);
    const timer =
      deadline === undefined
        ? undefined
        : setTimeout(
            () => answer.giveUp(new TooSlow("the answer takes too long")),
            Math.max(0, deadline - performance.now()),
          );
    try {
      pool.dispatch(
        {
          origin: destination.origin,
          path: `${url.pathname}${url.search}`,
          method: request.method,
          headers: request.headers,
          // Typed as a Readable, but any async iterable is sent as it comes.
          body: (request.body ?? null) as Uint8Array | null,
          headersTimeout: this.#options.timeouts.headersMs,
          // Bodies are timed by their reader, who knows whether it waits for the server or for its own consumer.
          bodyTimeout: 0,
        },
        answer,
      );
      return await answer.head;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    const pools = await Promise.allSettled(this.#pools.values());
    this.#pools.clear();
    for (const pool of pools) if (pool.status === "fulfilled") await pool.value.destroy();
  }

  /** What is known of an origin does not change, and is asked for with every request. */
  #destinationOf(url: URL): Destination {
    const { origin } = url;
    let destination = this.#destinations.get(origin);
    if (destination === undefined) {
      destination = this.#makeDestination(url);
      if (this.#destinations.size >= MAX_DESTINATIONS) this.#destinations.clear();
      this.#destinations.set(origin, destination);
    }
    return destination;
  }

  #makeDestination(url: URL): Destination {
    const { registryHost, trustedHosts, proxy } = this.#options;
    const host = bareHost(url);
    const isRegistry = url.host === new URL(`${url.protocol}//${registryHost}`).host;
    return {
      origin: url.origin,
      host,
      secure: url.protocol === "https:",
      route: isRegistry ? "registry" : trustedHosts.has(host) ? "trusted" : "named",
      // The registry's own host under another port is still the same party where client certificates are concerned.
      own: url.hostname === new URL(`https://${registryHost}`).hostname,
      proxy: proxy(url),
    };
  }

  #guard(address: string): void {
    if (mayFollowTo(address, this.#ownClasses)) return;
    throw new AddressRefused(`${address} is a ${classifyAddress(address)} address`);
  }

  #poolFor({ route, own, secure, proxy }: Destination): Promise<Dispatcher> {
    const key = `${route} ${own} ${secure} ${proxy?.href ?? ""}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = this.#makePool(secure, route, own, proxy);
      this.#pools.set(key, pool);
      pool.catch(() => this.#pools.delete(key));
    }
    return pool;
  }

  async #makePool(secure: boolean, route: Route, own: boolean, proxy: URL | undefined): Promise<Dispatcher> {
    // Loaded here: a command that never talks to a registry does not pay for it.
    const { Agent, ProxyAgent, buildConnector: makeConnector } = await import("undici");
    const { timeouts, tlsVerify } = this.#options;
    const tls = secure ? await (this.#tls ??= this.#makeTls(tlsVerify)) : undefined;
    const requestTls = {
      timeout: timeouts.connectMs,
      allowH2: false,
      rejectUnauthorized: tlsVerify,
      ...(tls === undefined ? {} : { secureContext: own ? tls.own : tls.foreign }),
    };
    const common = {
      allowH2: false,
      connections: MAX_CONNECTIONS_PER_HOST,
      maxHeaderSize: MAX_HEADER_BYTES,
    };
    if (proxy !== undefined) {
      // The proxy's own certificate is always checked.
      const roots = proxy.protocol === "https:" ? (await (this.#proxyTls ??= this.#makeTls(true))).foreign : undefined;
      return new ProxyAgent({
        ...common,
        uri: proxy.href,
        requestTls,
        proxyTls: { timeout: timeouts.connectMs, ...(roots === undefined ? {} : { secureContext: roots }) },
      });
    }
    const lookup = this.#options.lookup ?? systemLookup;
    const connect = makeConnector({ ...requestTls, lookup: route === "named" ? this.#guardedLookup(lookup) : lookup });
    return new Agent({ ...common, connect: route === "registry" ? this.#watch(connect) : connect });
  }

  /** Refuses a name as soon as one of its addresses is out of bounds: which of them gets used would be chance. */
  #guardedLookup(lookup: LookupFunction): LookupFunction {
    return (hostname, options, callback) => {
      lookup(hostname, options, (error, address, family) => {
        try {
          if (error === null) for (const entry of [address].flat()) this.#guard(textOf(entry));
        } catch (refused) {
          callback(refused as NodeJS.ErrnoException, "", 0);
          return;
        }
        callback(error, address, family);
      });
    };
  }

  /** Remembers where the registry itself lives. */
  #watch(connect: buildConnector.connector): buildConnector.connector {
    return (options, callback) => {
      connect(options, (...result) => {
        const [, socket] = result as [Error | null, Socket | null];
        if (socket?.remoteAddress !== undefined) this.#ownClasses.add(classifyAddress(socket.remoteAddress));
        callback(...result);
      });
    };
  }

  /** @param verifies false: the system's roots, some hundred certificates that nothing would be held against, are not read */
  async #makeTls(verifies: boolean): Promise<TlsContexts> {
    const material = await this.#options.loadCertificates();
    const ca = [...(verifies ? await this.#options.loadRoots() : []), ...material.authorities];
    try {
      const foreign = createSecureContext({ ca });
      if (material.clients.length === 0) return { own: foreign, foreign };
      const cert = material.clients.map((client) => client.cert);
      const key = material.clients.map((client) => client.key);
      return { own: createSecureContext({ ca, cert, key }), foreign };
    } catch (cause) {
      const where = material.folder ?? "the system's certificate authorities";
      throw new FormatError(
        "certificate-unusable",
        `${where}: the TLS library refuses them: ${(cause as Error).message}`,
        {
          cause,
        },
      );
    }
  }
}

function textOf(entry: string | { readonly address: string }): string {
  return typeof entry === "string" ? entry : entry.address;
}
