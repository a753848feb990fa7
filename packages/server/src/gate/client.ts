/** Who is at the other end of a connection, and by which URL they came: said by the socket, or by a proxy that is trusted to say it. */
import type { IncomingMessage } from "node:http";
import { type BlockList, isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ServerConfig } from "../config.ts";
import { formatAddress, readNetworks } from "../config/config-values.ts";

/** What a `Host` header may say: a name or IPv4 address, or an IPv6 address in brackets, and a port. Anything else is not repeated to anybody. */
const hostForm = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/;
/** Addresses of one `X-Forwarded-For` that are looked at. */
const MAX_HOPS = 20;

/** Tells the address and the URL of clients. */
export class ClientReader {
  readonly #publicUrl: string | undefined;
  readonly #fallbackHost: string;
  readonly #proxies: BlockList | undefined;

  constructor(config: Pick<ServerConfig, "listen" | "publicUrl" | "trustedProxies">) {
    this.#publicUrl = config.publicUrl;
    this.#fallbackHost = formatAddress(config.listen);
    this.#proxies = config.trustedProxies === undefined ? undefined : readNetworks(config.trustedProxies);
  }

  /** The client's address; empty when the connection is gone. */
  addressOf(request: IncomingMessage): string {
    const socket = request.socket.remoteAddress ?? "";
    const forwarded = request.headers["x-forwarded-for"];
    if (forwarded === undefined || !this.#isProxy(socket)) return socket;
    // From the right: what our own proxies added. The first that is no proxy of ours is the client; everything before it is its own tale.
    const hops = String(forwarded).split(",").slice(-MAX_HOPS).toReversed();
    for (const hop of hops) {
      const address = hop.trim().replace(/^\[(.*)\]$/, "$1");
      if (isIP(address) === 0) return socket;
      if (!this.#isProxy(address)) return address;
    }
    return socket;
  }

  /** The server's URL as this client knows it, without a final slash. */
  urlOf(request: IncomingMessage): string {
    if (this.#publicUrl !== undefined) return this.#publicUrl;
    const isForwarded = this.#isProxy(request.socket.remoteAddress ?? "");
    const said = (name: string): string | undefined => {
      const value = isForwarded ? request.headers[name] : undefined;
      return value === undefined ? undefined : String(value);
    };
    const isTls = (request.socket as Partial<TLSSocket>).encrypted === true;
    const scheme = (said("x-forwarded-proto") ?? (isTls ? "https" : "http")) === "https" ? "https" : "http";
    const host = said("x-forwarded-host") ?? request.headers.host ?? "";
    return `${scheme}://${hostForm.test(host) ? host : this.#fallbackHost}`;
  }

  #isProxy(address: string): boolean {
    if (this.#proxies === undefined || isIP(address) === 0) return false;
    const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
    if (mapped !== undefined && this.#proxies.check(mapped, "ipv4")) return true;
    return this.#proxies.check(address, isIP(address) === 4 ? "ipv4" : "ipv6");
  }
}
