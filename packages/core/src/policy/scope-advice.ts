/**
 * A scope that somebody is about to write (`trust set`): why it should not be written, also where no reader would take it, and which scope of which transport was probably
 * meant. A policy that exists is the matter of `scope-suggestion.ts`: there readers have taken the scope, the transport stands, and a fix must say whether it governs more.
 */
import { FormatError } from "../errors.ts";
import { formatReference, parseReference } from "../reference/reference.ts";
import { explainInvalidScope, knownTransports } from "./scope-rules.ts";

/** Why a scope should not be written, and the one to write instead where that is clear. */
export interface ScopeAdvice {
  /** Ends a sentence: `scope "busybox" …`. */
  readonly problem: string;
  /** A scope that can match; undefined when nobody can tell which was meant. */
  readonly instead?: string;
  /** The transport of {@link instead}, when it is another one. */
  readonly transport?: string;
}

/** Prefixes of image names that belong to other transports or to the web. */
const schemeForm = /^([a-z][a-z0-9+.-]*):\/\//i;

/**
 * Says why no image can ever match `scope` under `transport`, or why no reader takes it; undefined when nothing speaks against it.
 *
 * Not checked: whether the host exists, and scopes of transports that are not known.
 */
export function adviseScope(transport: string, scope: string): ScopeAdvice | undefined {
  if (scope === "") return undefined;
  const trimmed = scope.trim();
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (trimmed !== scope) return better(transport, "has white space around it", trimmed);
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\s\u0000-\u001f\u007f]/.test(scope))
    return { problem: "holds white space or a control character, which no image name has" };
  const prefixed = adviseOnPrefix(transport, scope);
  if (prefixed !== undefined) return prefixed;
  if (transport === "docker" || transport === "docker-daemon") return adviseOnName(transport, scope);
  const invalid = explainInvalidScope(transport, scope);
  if (invalid === undefined) return transport === "atomic" ? adviseOnSlash(transport, scope) : undefined;
  const problem = `is not one of transport ${transport}: ${invalid}`;
  const cleaned = cleanPath(scope);
  const isBetter = scope.startsWith("/") && cleaned !== scope && adviseScope(transport, cleaned) === undefined;
  return isBetter ? { problem, instead: cleaned } : { problem };
}

/** `docker://host/x`, `https://host/x`, `dir:/x`. */
function adviseOnPrefix(transport: string, scope: string): ScopeAdvice | undefined {
  const scheme = schemeForm.exec(scope);
  if (scheme !== null) {
    const rest = scope.slice(scheme[0].length);
    const named = scheme[1]!.toLowerCase();
    const other = knownTransports.includes(named) ? named : "docker";
    const advice = better(other, `begins with ${scheme[0]}, which no scope has`, rest);
    return other === transport || advice.instead === undefined ? advice : { ...advice, transport: other };
  }
  const colon = scope.indexOf(":");
  const name = scope.slice(0, colon);
  if (colon < 0 || !scope.startsWith("/", colon + 1) || !knownTransports.includes(name)) return undefined;
  return { problem: `begins with ${name}:, which is a transport`, instead: scope.slice(colon + 1), transport: name };
}

function adviseOnSlash(transport: string, scope: string): ScopeAdvice | undefined {
  return scope.endsWith("/") ? better(transport, "ends with a slash", scope.replace(/\/+$/, "")) : undefined;
}

function adviseOnName(transport: string, scope: string): ScopeAdvice | undefined {
  const slash = adviseOnSlash(transport, scope);
  if (slash !== undefined) return slash;
  if (scope.includes("*")) return adviseOnWildcard(scope);
  const at = scope.indexOf("@");
  if (at >= 0) return adviseOnDigest(transport, scope.slice(0, at), scope.slice(at + 1));
  const host = scope.includes("/") ? undefined : hostOf(scope);
  if (host === "index.docker.io")
    return better(transport, "is another name of docker.io", scope.replace(host, "docker.io"));
  if (host !== undefined) {
    return isNormalForm(`${scope}/x/y`) ? undefined : { problem: "is not a host name" };
  }
  try {
    const normal = formatReference(parseReference(scope));
    // The one thing that a repository's normal form changes and a namespace's does not: docker.io/library is for single names, docker.io/NAME/… for all of NAME.
    if (normal === scope || /^docker\.io\/[^/:]+$/.test(scope)) return undefined;
    return { problem: "is a short form; images are looked up by their full name", instead: normal };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const lower = lowerPath(scope);
    if (lower !== scope && adviseOnName(transport, lower)?.problem === undefined)
      return { problem: "has capital letters in its path; repository names are lower-case", instead: lower };
    const problem = `is not a name: ${error.message.replace(/^invalid reference ".*?": /s, "")}`;
    return lower === scope ? { problem } : better(transport, problem, lower);
  }
}

/** Only `*.domain` is a wildcard, and it stands for hosts. */
function adviseOnWildcard(scope: string): ScopeAdvice | undefined {
  const rule = "only *.domain is a wildcard, for every host below the domain, with any port and any path";
  if (scope === "*") return { problem: `matches nothing: ${rule}`, instead: "" };
  const rest = scope.slice(2);
  if (!scope.startsWith("*.") || rest.includes("*")) return { problem: `matches nothing: ${rule}` };
  const domain = /^[^/:@]+/.exec(rest)?.[0] ?? "";
  if (!/^[A-Za-z0-9.-]+$/.test(domain) || !isNormalForm(`a.${domain}/x/y`))
    return { problem: "is not a wildcard of a domain" };
  if (domain === rest) return undefined;
  const what = rest.startsWith(":", domain.length) ? "port" : "path";
  return { problem: `matches nothing: a wildcard has no ${what}; ${rule}`, instead: `*.${domain}` };
}

function adviseOnDigest(transport: string, name: string, digest: string): ScopeAdvice | undefined {
  const tagged = /:[^/:]*$/.exec(name);
  const repository = tagged !== null && name.includes("/") ? name.slice(0, tagged.index) : name;
  if (repository !== name) {
    return better(transport, "has a tag and a digest; images are looked up by one of them", `${repository}@${digest}`);
  }
  const form = /^([a-z0-9]+):([0-9a-f]+)$/i.exec(digest);
  const length = digestLengths.get(form?.[1]?.toLowerCase() ?? "");
  if (form === null || length === undefined || form[2]!.length !== length) {
    return { problem: "has no whole digest behind @: it must be sha256: and 64 hex digits" };
  }
  const lower = digest.toLowerCase();
  if (lower !== digest) return better(transport, "has capital letters in its digest", `${name}@${lower}`);
  const advice = adviseOnName(transport, name);
  if (advice === undefined || advice.instead === undefined) {
    const isRepository = name.includes("/") && isNormalForm(name);
    return advice ?? (isRepository ? undefined : { problem: "has a digest and no repository before it" });
  }
  return { ...advice, instead: `${advice.instead}@${digest}` };
}

/** Hex digits of the digests that images have. */
const digestLengths: ReadonlyMap<string, number> = new Map([
  ["sha256", 64],
  ["sha384", 96],
  ["sha512", 128],
]);

/** A name without a slash is a host when a reference's first part would be one: it holds a dot, a port, or is localhost. */
function hostOf(name: string): string | undefined {
  const [host, port] = name.split(":", 2);
  const isHost = host!.includes(".") || host === "localhost" || (port !== undefined && /^[0-9]+$/.test(port));
  return isHost ? host : undefined;
}

function isNormalForm(name: string): boolean {
  try {
    return formatReference(parseReference(name)) === name;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

/** The name with everything behind its host in lower case, and short names whole. */
function lowerPath(name: string): string {
  const slash = name.indexOf("/");
  if (slash < 0 || hostOf(name.slice(0, slash)) === undefined)
    return name.replace(/^[^:@]+/, (part) => part.toLowerCase());
  const tag = name.lastIndexOf(":");
  const end = tag > slash ? tag : name.length;
  return `${name.slice(0, slash)}${name.slice(slash, end).toLowerCase()}${name.slice(end)}`;
}

/** `/a//b/../c/` → `/a/c`. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** The advice to write `candidate`, or what is better than that in turn. */
function better(transport: string, problem: string, candidate: string): ScopeAdvice {
  if (candidate === "") return { problem };
  const further = adviseScope(transport, candidate);
  if (further === undefined) return { problem, instead: candidate };
  const { instead, transport: other } = further;
  if (instead === undefined) return { problem: `${problem}, and ${further.problem}` };
  return { problem, instead, ...(other === undefined ? {} : { transport: other }) };
}
