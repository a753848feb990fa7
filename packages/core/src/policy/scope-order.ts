/** Which scopes of a transport contain which (policy-json, section 3): the order in which a policy is asked. */

/** Transports whose scopes are paths of files. */
const pathTransports: ReadonlySet<string> = new Set(["dir", "oci", "oci-archive", "sif"]);

/** Transports whose scopes are `host[:port][/path…][:tag|@digest]` and wildcards of hosts. */
const registryTransports: ReadonlySet<string> = new Set(["docker", "atomic", "docker-daemon"]);

/**
 * The scopes that would be asked after `scope`, most specific first, the transport's own `""` last; empty for `""` itself. An image that `scope` governs is governed by
 * the first of them that a policy has once `scope` is gone, and by the policy's default when it has none.
 *
 * Not known for transports whose scopes have no parents that all images share: there, only `""`.
 */
export function enclosingScopes(transport: string, scope: string): readonly string[] {
  if (scope === "") return [];
  if (pathTransports.has(transport)) return [...parentFolders(scope), ""];
  if (!registryTransports.has(transport)) return [""];
  return [...enclosingNames(scope), ""];
}

/** True when every image that `inner` matches is also matched by `outer`; a scope is not within itself. */
export function isWithinScope(transport: string, inner: string, outer: string): boolean {
  return enclosingScopes(transport, inner).includes(outer);
}

function* parentFolders(path: string): Generator<string> {
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) yield path.slice(0, end);
}

function* enclosingNames(scope: string): Generator<string> {
  if (scope.startsWith("*.")) {
    yield* wildcards(scope.slice(2));
    return;
  }
  const name = scope.replace(/@.*$/s, "").replace(/:[^/:]*$/, (suffix, at: number) => {
    // What follows the last colon of a name without a slash is a port.
    return scope.lastIndexOf("/", at) < 0 ? suffix : "";
  });
  if (name !== scope) yield name;
  for (let end = name.lastIndexOf("/"); end > 0; end = name.lastIndexOf("/", end - 1)) yield name.slice(0, end);
  yield* wildcards(name.split("/", 1)[0]!.replace(/:.*$/, ""));
}

/** `*.b.c`, `*.c` for the host `a.b.c`. */
function* wildcards(host: string): Generator<string> {
  for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) yield `*${host.slice(dot)}`;
}
