/** The methods that each resource of the data plane answers: one table, by which the others are refused and the OpenAPI document is checked. */
import { RegistryError } from "./registry-error.ts";
import type { Route } from "./route.ts";

/** What a route is about, told apart as far as the methods differ. */
export type Resource = Route["kind"] | "release-signature" | "signature" | "verification";

const readOnly: readonly string[] = ["GET", "HEAD"];

/** Sorted, as `Allow` says them. */
export const resourceMethods: Readonly<Record<Resource, readonly string[]>> = {
  base: readOnly,
  blob: ["DELETE", "GET", "HEAD"],
  catalog: readOnly,
  lookaside: ["DELETE", "GET", "HEAD", "PUT"],
  manifest: ["DELETE", "GET", "HEAD", "PUT"],
  referrers: readOnly,
  "release-signature": readOnly,
  signature: ["DELETE"],
  "signature-list": readOnly,
  signatures: ["GET", "HEAD", "PUT"],
  tags: readOnly,
  upload: ["DELETE", "GET", "HEAD", "PATCH", "PUT"],
  uploads: ["POST"],
  verification: ["DELETE", "GET", "HEAD", "POST"],
  verifications: ["DELETE", "GET", "HEAD"],
};

/** What a route is about. */
export function resourceOf(route: Route): Resource {
  if (route.kind === "signatures" && route.name !== undefined) return "signature";
  if (route.kind === "verifications" && route.signature !== undefined) return "verification";
  if (route.kind === "lookaside" && route.path === undefined) return "release-signature";
  return route.kind;
}

/** The methods that a route answers, sorted. */
export function methodsOf(route: Route): readonly string[] {
  return resourceMethods[resourceOf(route)];
}

/** @throws RegistryError `UNSUPPORTED` with the header `Allow` for a method that is none of these */
export function checkMethod(allowed: readonly string[], method: string | undefined): void {
  if (method !== undefined && allowed.includes(method)) return;
  throw new RegistryError("UNSUPPORTED", undefined, { headers: { allow: allowed.join(", ") } });
}
