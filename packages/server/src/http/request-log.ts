/** What is noted of each request: its id, a line in the log, its numbers in the metrics. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type ServerMetrics, routeLabel } from "./metrics.ts";
import { type ServerLog, loggable } from "./server-log.ts";

/** Ids that a client or proxy may choose, to be found again in both logs. */
const idForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export interface RequestLogOptions {
  readonly isAccessLogged: boolean;
  readonly accountOf: (request: IncomingMessage) => string | undefined;
  readonly addressOf: (request: IncomingMessage) => string;
}

/** Notes requests from their beginning to their end. */
export class RequestLog {
  readonly #log: ServerLog;
  readonly #metrics: ServerMetrics;
  readonly #options: RequestLogOptions;
  readonly #ids = new WeakMap<IncomingMessage, string>();

  constructor(log: ServerLog, metrics: ServerMetrics, options: RequestLogOptions) {
    this.#log = log;
    this.#metrics = metrics;
    this.#options = options;
  }

  /**
   * Notes the request's end when that comes.
   * @returns its id, which the answer is to repeat
   */
  begin(request: IncomingMessage, response: ServerResponse): string {
    const start = performance.now();
    const given = request.headers["x-request-id"];
    const id = typeof given === "string" && idForm.test(given) ? given : randomUUID();
    this.#ids.set(request, id);
    this.#metrics.begin();
    // Read now: when the answer has ended, the socket may have no address any more.
    const address = this.#options.addressOf(request);
    response.once("close", () => this.#end(request, response, { id, address, start }));
    return id;
  }

  idOf(request: IncomingMessage): string | undefined {
    return this.#ids.get(request);
  }

  #end(
    request: IncomingMessage,
    response: ServerResponse,
    begun: { readonly id: string; readonly address: string; readonly start: number },
  ): void {
    const milliseconds = performance.now() - begun.start;
    // Without the query: tokens and upload states have no place in a log.
    const [path = ""] = (request.url ?? "").split("?", 1);
    const route = routeLabel(path);
    this.#metrics.end(request, response, route, milliseconds / 1_000);
    if (!this.#options.isAccessLogged) return;
    this.#log.info(
      {
        request: begun.id,
        client: begun.address,
        account: this.#options.accountOf(request),
        method: request.method,
        path: loggable(path),
        route,
        status: response.writableFinished ? response.statusCode : "cut",
        ms: Math.round(milliseconds * 10) / 10,
        agent: loggable(request.headers["user-agent"] ?? ""),
      },
      "request",
    );
  }
}
