/** Bounds on what slow and many clients can hold: connections by address, and exchanges in which nothing moves. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { networkOf } from "../access/network.ts";

/** Bytes that must move, in either direction, within the idle time: what the slowest link in use carries many times over, and a client that drips does not. */
const MIN_MOVED_BYTES = 1_024;

interface Watched {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Kept: a request that is given up in the middle of its body loses it. */
  readonly socket: Socket;
  /** Bytes of the socket at the last look; undefined: not looked at yet. */
  moved: number | undefined;
}

export interface GuardLimits {
  /** Milliseconds. */
  readonly idleTimeout: number;
  /** Of one network; 0: no limit. */
  readonly connectionsPerAddress: number;
}

/**
 * Watches a server's connections. Node itself bounds their number, the time for headers, and connections on which nothing moves at all; this one cuts those on which a
 * little moves now and then, unless it is us who they wait for.
 */
export class ConnectionGuard {
  readonly #limits: GuardLimits;
  readonly #byNetwork = new Map<string, number>();
  readonly #watched = new Set<Watched>();
  readonly #timer: NodeJS.Timeout;
  #connections = 0;

  constructor(server: Server, limits: GuardLimits) {
    this.#limits = limits;
    server.on("connection", (socket: Socket) => this.#admit(socket));
    this.#timer = setInterval(() => this.#look(), limits.idleTimeout);
    this.#timer.unref();
    server.once("close", () => clearInterval(this.#timer));
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections;
  }

  /** Exchanges that have not ended. */
  get exchanges(): number {
    return this.#watched.size;
  }

  /** Watches an exchange until its end. */
  watch(request: IncomingMessage, response: ServerResponse): void {
    const watched: Watched = { request, response, socket: request.socket, moved: undefined };
    this.#watched.add(watched);
    response.once("close", () => this.#watched.delete(watched));
  }

  #admit(socket: Socket): void {
    this.#connections += 1;
    const network = networkOf(socket.remoteAddress ?? "");
    const present = (this.#byNetwork.get(network) ?? 0) + 1;
    this.#byNetwork.set(network, present);
    socket.once("close", () => {
      this.#connections -= 1;
      const left = this.#byNetwork.get(network)! - 1;
      if (left === 0) this.#byNetwork.delete(network);
      else this.#byNetwork.set(network, left);
    });
    const { connectionsPerAddress: most } = this.#limits;
    if (most > 0 && present > most) socket.destroy();
  }

  #look(): void {
    for (const watched of this.#watched) {
      const { request, response, socket } = watched;
      const moved = socket.bytesRead + socket.bytesWritten;
      const before = watched.moved;
      watched.moved = moved;
      if (before === undefined || moved - before >= MIN_MOVED_BYTES) continue;
      const waitsForBody = !request.complete && request.readableLength === 0;
      const waitsForReader = response.writableLength > 0 || socket.writableLength > 0;
      if (waitsForBody || waitsForReader) socket.destroy();
    }
  }
}
