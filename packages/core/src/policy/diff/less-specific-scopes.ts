/**
 * The scopes that would govern the images of `scope` if it were not there, most specific first, without the transport's `""` and the default (policy-json, section 3).
 * An image that a scope matches asks for exactly these after it: what a transport asks for is a chain, in which each scope always has the same ones behind it.
 */
export function lessSpecificScopes(transport: string, scope: string): readonly string[] {
  if (scope === "") return [];
  switch (transport) {
    case "docker":
    case "atomic":
    case "docker-daemon":
      return lessSpecificNames(scope);
    case "dir":
    case "oci":
    case "oci-archive":
    case "sif":
      return parents(scope);
    case "containers-storage":
      return lessSpecificStorage(scope);
    default:
      return [];
  }
}

/** `host[:port]/path[:tag|@digest]` or `*.domain`. */
function lessSpecificNames(scope: string): readonly string[] {
  if (scope.startsWith("*.")) return wildcards(scope.slice(2));
  const name = withoutTag(scope);
  const found = name === scope ? [] : [name];
  const above = parents(name);
  const host = above.at(-1) ?? name;
  const colon = host.indexOf(":");
  return [...found, ...above, ...wildcards(colon < 0 ? host : host.slice(0, colon))];
}

/** A host with a port has no tag. */
function withoutTag(scope: string): string {
  const at = scope.indexOf("@");
  if (at >= 0) return scope.slice(0, at);
  const slash = scope.lastIndexOf("/");
  const colon = scope.lastIndexOf(":");
  return slash >= 0 && colon > slash ? scope.slice(0, colon) : scope;
}

/** `*.b.c` and `*.c` for `a.b.c`. */
function wildcards(host: string): readonly string[] {
  const found: string[] = [];
  for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) found.push(`*${host.slice(dot)}`);
  return found;
}

function parents(path: string): readonly string[] {
  const found: string[] = [];
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) found.push(path.slice(0, end));
  return found;
}

/** `[driver@root]name[:tag][@digest][@id]`. */
function lessSpecificStorage(scope: string): readonly string[] {
  const close = scope.indexOf("]");
  if (close < 0) return [];
  const store = scope.slice(0, close + 1);
  const driver = store.indexOf("@");
  const root = driver < 0 ? [] : [`[${store.slice(driver + 1)}`];
  let name = scope.slice(close + 1);
  if (name === "") return root;
  const found: string[] = [];
  for (let at = name.lastIndexOf("@"); at > 0; at = name.lastIndexOf("@")) {
    name = name.slice(0, at);
    found.push(name);
  }
  const untagged = withoutTag(name);
  if (untagged !== name) found.push(untagged);
  found.push(...parents(untagged));
  return [...found.map((text) => `${store}${text}`), store, ...root];
}
