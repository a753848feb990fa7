/** What the server answers beside the data plane: one table, for routing, for the metrics' labels and for checking the OpenAPI document. */

export type OwnPath = "/healthz" | "/metrics" | "/openapi.json" | "/readyz" | "/token";

export interface OwnRoute {
  /** In metrics and in the log. */
  readonly label: "health" | "metrics" | "openapi" | "token";
  /** Sorted, as `Allow` says them. */
  readonly methods: readonly string[];
  /** Also at the second address, `metrics.listen`, where it is there for whoever reaches that. */
  readonly isAtSide: boolean;
}

const readOnly: readonly string[] = ["GET", "HEAD"];

export const ownRoutes: Readonly<Record<OwnPath, OwnRoute>> = {
  "/healthz": { label: "health", methods: readOnly, isAtSide: true },
  "/metrics": { label: "metrics", methods: readOnly, isAtSide: true },
  "/openapi.json": { label: "openapi", methods: readOnly, isAtSide: false },
  "/readyz": { label: "health", methods: readOnly, isAtSide: true },
  "/token": { label: "token", methods: ["GET", "HEAD", "POST"], isAtSide: false },
};

/** True for a path in the table. */
export function isOwnPath(path: string): path is OwnPath {
  return Object.hasOwn(ownRoutes, path);
}
