/** The sockets: an HTTP or HTTPS server with its bounds, which can be told to end. */
import { type RequestListener, type Server, type ServerOptions, createServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { StoreError } from "@signet/core";
import type { ServerConfig } from "../config.ts";
import { type ListenAddress, formatAddress } from "../config/config-values.ts";
import type { TlsPair } from "./tls-files.ts";

/** Milliseconds between two looks for clients that are late with their headers. */
const LOOK_MS = 1_000;
/** Headers of a request: clients of registries send some ten. */
const MAX_HEADERS = 100;

/** Makes a server with the bounds of a configuration; it does not listen yet. */
export async function makeListener(
  listener: RequestListener,
  limits: ServerConfig["limits"],
  tls: TlsPair | undefined,
): Promise<Server | HttpsServer> {
  const options: ServerOptions = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headerTimeout,
    keepAliveTimeout: limits.idleTimeout,
    connectionsCheckingInterval: Math.min(LOOK_MS, limits.headerTimeout),
    // Bytes of a large layer may take hours. What must not happen is that nothing moves.
    requestTimeout: 0,
  };
  const server =
    tls === undefined ? createServer(options, listener) : await makeTlsServer(options, limits, tls, listener);
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = limits.connections;
  server.setTimeout(limits.idleTimeout);
  return server;
}

async function makeTlsServer(
  options: ServerOptions,
  limits: ServerConfig["limits"],
  tls: TlsPair,
  listener: RequestListener,
): Promise<HttpsServer> {
  const { createServer: createTlsServer } = await import("node:https");
  return createTlsServer(
    { ...options, ...tls, minVersion: "TLSv1.2", handshakeTimeout: limits.headerTimeout },
    listener,
  );
}

/**
 * Begins to listen.
 * @returns the address, with the port that was taken
 * @throws StoreError `listen-failed`
 */
export async function listen(server: Server | HttpsServer, address: ListenAddress): Promise<ListenAddress> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(address.port, address.host, resolve);
  try {
    await promise;
  } catch (error) {
    const reasons: Readonly<Record<string, string>> = {
      EADDRINUSE: "another program listens there",
      EACCES: "this user may not listen on that port",
      EADDRNOTAVAIL: "this machine has no such address",
    };
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw new StoreError("listen-failed", `cannot listen on ${formatAddress(address)}: ${reasons[code] ?? message}`, {
      cause: error,
      hint: "name another address: --listen HOST:PORT",
    });
  }
  server.removeListener("error", reject);
  return { host: address.host, port: (server.address() as AddressInfo).port };
}

/**
 * Stops listening and waits until every exchange has ended.
 * @param timeout milliseconds, after which the rest is cut
 * @returns how many connections were cut
 */
export async function endListener(server: Server | HttpsServer, timeout: number): Promise<number> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  let cut = 0;
  const timer = setTimeout(() => {
    server.getConnections((_error, count) => (cut = count));
    server.closeAllConnections();
  }, timeout);
  await closed;
  clearTimeout(timer);
  return cut;
}
