/** Which scopes each transport takes (policy-json, section 3). The scope `""` is valid everywhere and not asked for here. */
import { tryParseDigest } from "../bytes/digest.ts";

/** Says why a scope is not one of the transport's, or undefined when it is. */
type ScopeRule = (scope: string) => string | undefined;

const anyScope: ScopeRule = () => undefined;
const onlyEmptyScope: ScopeRule = () => 'this transport has only the scope ""';

/** `host/namespace/stream:tag`, each part optional from the right. */
const atomicForm = /^[^/]*(?:\/[^:/]*(?:\/[^:/]*(?::[^:/]*)?)?)?$/;

const scopeRules: ReadonlyMap<string, ScopeRule> = new Map<string, ScopeRule>([
  // The reference looks at nothing here: a scope that can never match parses all the same.
  ["docker", anyScope],
  ["atomic", (scope) => (atomicForm.test(scope) ? undefined : "it must be host[/namespace[/stream[:tag]]]")],
  ["docker-daemon", (scope) => (tryParseDigest(scope) === undefined ? undefined : "an image id cannot be a scope")],
  ["docker-archive", onlyEmptyScope],
  ["tarball", onlyEmptyScope],
  ["dir", explainPathScope],
  ["oci", explainPathScope],
  ["oci-archive", explainPathScope],
  ["sif", explainPathScope],
  ["containers-storage", explainStorageScope],
  // Removed from the reference; its scopes are still read and never match.
  ["ostree", anyScope],
]);

/** The transports that policy.json has scopes for. */
export const knownTransports: readonly string[] = Object.freeze([...scopeRules.keys()]);

/**
 * Says why `scope` cannot stand under `transport`, or undefined when it can. Transports that are not known are not looked at, so that a newer
 * policy still parses; their scopes never match.
 */
export function explainInvalidScope(transport: string, scope: string): string | undefined {
  return scope === "" ? undefined : scopeRules.get(transport)?.(scope);
}

/** Paths: absolute, cleaned, not the root. */
function explainPathScope(scope: string): string | undefined {
  if (!scope.startsWith("/")) return "it must be an absolute path";
  if (scope === "/") return 'the root folder is the scope ""';
  const parts = scope.slice(1).split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    return "the path must be clean: no //, no /./, no /../, no slash at the end";
  }
  return undefined;
}

/** `[driver@/root]name@digest@id`, everything after the bracket optional from the right. */
function explainStorageScope(scope: string): string | undefined {
  const close = scope.indexOf("]");
  if (!scope.startsWith("[") || close < 1) return "it must start with [driver@/graph/root] or [/graph/root]";
  const store = scope.slice(1, close);
  const at = store.indexOf("@");
  if (at === 0 || !store.slice(at + 1).startsWith("/")) return "the graph root must be an absolute path";

  const image = scope.slice(close + 1);
  if (image === "") return undefined;
  // The third part takes everything that is left, as the reference splits.
  const [, second, ...rest] = image.split("@");
  if (second === undefined) return undefined;
  const isDigest = tryParseDigest(second) !== undefined;
  if (rest.length === 0)
    return isDigest || isImageId(second) ? undefined : "what follows @ must be a digest or an image id";
  return isDigest && isImageId(rest.join("@")) ? undefined : "what follows the name must be @digest@id";
}

/** 64 lower-case hex digits. */
function isImageId(text: string): boolean {
  return tryParseDigest(`sha256:${text}`) !== undefined;
}
