/** Which scopes are asked after a scope, as in the look-up of an image (policy-json, section 3). */

const namedTransports: ReadonlySet<string> = new Set(["docker", "docker-daemon", "atomic"]);
const pathTransports: ReadonlySet<string> = new Set(["dir", "oci", "oci-archive", "sif"]);

/**
 * The scopes that would be looked up next for the images of `scope`, most specific first, `""` at the end. Of other transports than those with image names and
 * paths only `""` is told.
 */
export function lessSpecificScopes(transport: string, scope: string): readonly string[] {
  if (scope === "") return [];
  if (pathTransports.has(transport)) return [...parentPaths(scope), ""];
  return namedTransports.has(transport) ? [...parentNames(scope), ""] : [""];
}

/** The namespaces of registries.d that speak of every image of a docker scope, most specific first, the scope itself included. */
export function sameOrLessSpecificNames(scope: string): readonly string[] {
  return scope === "" ? [] : [scope, ...parentNames(scope)];
}

/** True when every image of `scope` is one of `parent`. Both are docker scopes that can match. */
export function isBelow(scope: string, parent: string): boolean {
  return parent === "" || sameOrLessSpecificNames(scope).includes(parent);
}

function parentPaths(path: string): readonly string[] {
  const parents: string[] = [];
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) parents.push(path.slice(0, end));
  return parents;
}

function parentNames(scope: string): readonly string[] {
  const parents: string[] = [];
  const name = repositoryOf(scope);
  if (name !== scope) parents.push(name);
  for (let end = name.lastIndexOf("/"); end > 0; end = name.lastIndexOf("/", end - 1)) parents.push(name.slice(0, end));
  const host = hostOf(scope);
  const labels = host.startsWith("*.") ? host.slice(2) : host;
  for (let dot = labels.indexOf("."); dot >= 0; dot = labels.indexOf(".", dot + 1))
    parents.push(`*${labels.slice(dot)}`);
  return parents;
}

/** Without tag and digest. The colon of a port is followed by a slash or stands in a name without one. */
export function repositoryOf(scope: string): string {
  const at = scope.indexOf("@");
  const named = at < 0 ? scope : scope.slice(0, at);
  const colon = named.lastIndexOf(":");
  return colon > named.lastIndexOf("/") && named.includes("/") ? named.slice(0, colon) : named;
}

/** The host without its port; of a wildcard with its star. */
export function hostOf(scope: string): string {
  const slash = scope.indexOf("/");
  const host = slash < 0 ? scope : scope.slice(0, slash);
  const colon = host.indexOf(":");
  return colon < 0 ? host : host.slice(0, colon);
}

/** The path below the host, without tag and digest; empty for a host or wildcard. */
export function pathOfScope(scope: string): string {
  const name = repositoryOf(scope);
  const slash = name.indexOf("/");
  return slash < 0 ? "" : name.slice(slash + 1);
}
