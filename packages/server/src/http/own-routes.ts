/** What the server answers beside the data plane: one table, for routing, for the metrics' labels and for checking the OpenAPI document. */

export type OwnPath = "/healthz" | "/metrics" | "/openapi.json" | "/readyz" | "/token";

export interface OwnRoute {
  /** In metrics and in the log. */
  readonly label: "health" | "metrics" | "openapi" | "token";
  /** Sorted, as `Allow` says them. */
  readonly methods: readonly string[];
}

const readOnly: readonly string[] = ["GET", "HEAD"];

export const ownRoutes: Readonly<Record<OwnPath, OwnRoute>> = {
  "/healthz": { label: "health", methods: readOnly },
  "/metrics": { label: "metrics", methods: readOnly },
  "/openapi.json": { label: "openapi", methods: readOnly },
  "/readyz": { label: "health", methods: readOnly },
  "/token": { label: "token", methods: ["GET", "HEAD", "POST"] },
};

/** True for a path in the table. */
export function isOwnPath(path: string): path is OwnPath {
  return Object.hasOwn(ownRoutes, path);
}
