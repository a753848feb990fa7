/** A bare web server for tests of what no decent server does. */
import { type IncomingMessage, type RequestListener, createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";

export interface LoopbackServer extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** With its scheme, without a final slash. */
  readonly url: string;
  /** Every request that came, oldest first: method, URL and headers as they were. */
  readonly requests: readonly Pick<IncomingMessage, "method" | "url" | "headers">[];
  /** Stops listening and drops all connections. */
  dispose(): Promise<void>;
}

/**
 * Starts a server on a free port of a loopback address that answers with `listener`; https when `tls` is given.
 * @param options.address default 127.0.0.1
 */
export async function startLoopbackServer(
  listener: RequestListener,
  options: {
    /** With `clientCa` a client certificate of that authority is demanded; with `asksClient` one is asked for and may be missing. */
    readonly tls?: {
      readonly cert: string;
      readonly key: string;
      readonly clientCa?: string;
      readonly asksClient?: true;
    };
    readonly address?: string;
  } = {},
): Promise<LoopbackServer> {
  const requests: Pick<IncomingMessage, "method" | "url" | "headers">[] = [];
  const record: RequestListener = (request, response) => {
    const { method, url, headers } = request;
    requests.push({ ...(method !== undefined && { method }), ...(url !== undefined && { url }), headers });
    listener(request, response);
  };
  const { tls, address = "127.0.0.1" } = options;
  const server =
    tls === undefined
      ? createHttpServer(record)
      : createHttpsServer(
          {
            cert: tls.cert,
            key: tls.key,
            requestCert: tls.clientCa !== undefined || tls.asksClient === true,
            rejectUnauthorized: tls.clientCa !== undefined,
            ...(tls.clientCa !== undefined && { ca: tls.clientCa }),
          },
          record,
        );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, address, resolve);
  });
  const host = `${address}:${(server.address() as AddressInfo).port}`;
  const dispose = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return {
    host,
    url: `${tls === undefined ? "http" : "https"}://${host}`,
    requests,
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}
