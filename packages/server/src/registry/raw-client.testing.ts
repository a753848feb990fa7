/** A client of bare sockets, for requests that no decent client sends. For tests only. */
import { type Socket, connect } from "node:net";

export interface RawAnswer {
  /** 0 when the connection ended without one. */
  readonly status: number;
  /** Everything that came, headers and body. */
  readonly text: string;
  /** Bytes that were given to the socket, at most some megabytes of them unsent. */
  readonly sent: number;
}

/** Opens a connection; errors end it and are not told. */
export function openSocket(url: string): Socket {
  const { hostname, port } = new URL(url);
  return connect(Number(port), hostname).on("error", () => undefined);
}

/**
 * Sends these pieces, no faster than they are taken, and resolves when the server has ended the connection.
 * @param pieces without end: sent until the connection is
 */
export async function sendRaw(url: string, pieces: Iterable<string | Uint8Array>): Promise<RawAnswer> {
  const socket = openSocket(url);
  let text = "";
  let sent = 0;
  socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  for (const piece of pieces) {
    if (socket.destroyed || socket.closed || !socket.writable) break;
    sent += piece.length;
    if (!socket.write(piece)) {
      await Promise.race([ended, new Promise((resolve) => socket.once("drain", resolve))]);
    }
  }
  await ended;
  return { status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0), text, sent };
}

/** The beginning of a request, empty line included; the connection ends with its answer. */
export function writeHead(method: string, target: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ host: "x", connection: "close", ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return [`${method} ${target} HTTP/1.1`, ...lines, "", ""].join("\r\n");
}

/** A request without a body, its target as it is written: no client of URLs would send `..`. */
export async function askRaw(
  url: string,
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
): Promise<RawAnswer> {
  return await sendRaw(url, [writeHead(method, target, { "content-length": "0", ...headers })]);
}

/** A chunked body that never ends. */
export function* endlessChunks(head: string): Generator<string | Uint8Array> {
  yield head;
  const size = 65_536;
  const chunk = Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), Buffer.alloc(size, 0x20), Buffer.from("\r\n")]);
  for (;;) yield chunk;
}
