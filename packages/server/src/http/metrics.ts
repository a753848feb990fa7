/** Prometheus metrics. Every label comes from a list of our own, so that no client can make another series. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import { type Route, readRoute } from "../registry/route.ts";
import { type OwnRoute, isOwnPath, ownRoutes } from "./own-routes.ts";

/** What a request was about: the data plane's kinds of resource, our own pages, or `other`, malformed paths included. */
export type RouteLabel = Route["kind"] | OwnRoute["label"] | "other";

const knownMethods: ReadonlySet<string> = new Set(["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]);

/** Seconds: from a read that is in memory to the upload of a large layer. */
const durationBuckets: readonly number[] = [0.001, 0.005, 0.025, 0.1, 0.5, 2, 10, 60, 300];

/** What a request's path is about. */
export function routeLabel(path: string): RouteLabel {
  if (isOwnPath(path)) return ownRoutes[path].label;
  try {
    return readRoute(path)?.kind ?? "other";
  } catch {
    return "other";
  }
}

/** The server's numbers. */
export class ServerMetrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<"method" | "route" | "status">;
  readonly #duration: Histogram<"method" | "route">;
  readonly #inFlight: Gauge;
  readonly #judged: Counter<"verdict">;

  /** @param connections how many there are now */
  constructor(version: string, connections: () => number) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Counter({
      name: "signet_http_requests_total",
      help: "Requests that were answered, by method, kind of resource and class of status.",
      labelNames: ["method", "route", "status"],
      registers,
    });
    this.#duration = new Histogram({
      name: "signet_http_request_duration_seconds",
      help: "Time from a request's headers to the end of its answer.",
      labelNames: ["method", "route"],
      buckets: [...durationBuckets],
      registers,
    });
    this.#judged = new Counter({
      name: "signet_pulls_judged_total",
      help: "Pulls that a policy governs, by verdict: accepted, refused, warned.",
      labelNames: ["verdict"],
      registers,
    });
    this.#inFlight = new Gauge({ name: "signet_http_requests_in_flight", help: "Requests being answered.", registers });
    const open: Gauge = new Gauge({
      name: "signet_http_connections",
      help: "Open connections.",
      registers,
      collect: () => {
        open.set(connections());
      },
    });
    new Gauge({ name: "signet_build_info", help: "Always 1.", labelNames: ["version"], registers }).set({ version }, 1);
  }

  /** A request has begun. */
  begin(): void {
    this.#inFlight.inc();
  }

  /** It has ended: answered, or broken off, which is class `cut`. */
  end(request: IncomingMessage, response: ServerResponse, route: RouteLabel, seconds: number): void {
    const method = knownMethods.has(request.method ?? "") ? request.method! : "other";
    const status = response.writableFinished ? `${Math.trunc(response.statusCode / 100)}xx` : "cut";
    this.#inFlight.dec();
    this.#requests.inc({ method, route, status });
    this.#duration.observe({ method, route }, seconds);
  }

  /** A pull policy was asked. */
  judged(verdict: "accepted" | "refused" | "warned"): void {
    this.#judged.inc({ verdict });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All of them in Prometheus' text form. */
  async write(): Promise<string> {
    return await this.#registry.metrics();
  }
}
