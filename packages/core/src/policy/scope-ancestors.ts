/** What would govern the images of a docker scope without it (policy-json, section 3). */

/**
 * The docker scopes that are looked up after `scope` for an image below it, most specific first: repository, parent paths, host, wildcards of the host's parent
 * domains. The transport's `""` and the policy's default, which come last, are not among them.
 *
 * Not checked: that an image can have this scope at all.
 * @param scope as policy.json and registries.d write it: `host[:port][/path][:tag|@digest]` or `*.domain`
 */
export function dockerScopeAncestors(scope: string): readonly string[] {
  if (scope.startsWith("*.")) return wildcardsOf(scope.slice(2));
  const ancestors: string[] = [];
  const slash = scope.indexOf("/");
  const host = slash < 0 ? scope : scope.slice(0, slash);
  if (slash >= 0) {
    const name = withoutTag(scope);
    if (name !== scope) ancestors.push(name);
    for (let end = name.lastIndexOf("/"); end > 0; end = name.lastIndexOf("/", end - 1))
      ancestors.push(name.slice(0, end));
  }
  const colon = host.indexOf(":");
  return [...ancestors, ...wildcardsOf(colon < 0 ? host : host.slice(0, colon))];
}

/** `a.b.c` is matched by `*.b.c` and `*.c`: the top-level domain keeps a label of its own. */
function wildcardsOf(host: string): readonly string[] {
  const wildcards: string[] = [];
  for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) wildcards.push(`*${host.slice(dot)}`);
  return wildcards;
}

function withoutTag(scope: string): string {
  const at = scope.indexOf("@");
  const named = at < 0 ? scope : scope.slice(0, at);
  const colon = named.indexOf(":", named.lastIndexOf("/"));
  return colon < 0 ? named : named.slice(0, colon);
}
