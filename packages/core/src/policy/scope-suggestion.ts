/**
 * Scopes that parse and never match: what is wrong with them, which scope of the same transport was meant, and whether that one governs more (policy-json, section 3). Lints ask this of
 * a policy or registries.d that exists; of what somebody is about to write `scope-advice.ts` asks it, which also looks at what no reader takes and at other transports.
 */
import { tryParseDigest } from "../bytes/digest.ts";
import { FormatError } from "../errors.ts";
import { parseReference, referenceName } from "../reference/reference.ts";

/** Why no image can ever be governed by a scope. */
export interface UnmatchableScope {
  /** Half a sentence for people: `a scheme has no place in a scope`. */
  readonly problem: string;
  /** A scope that can match, and that was probably meant; undefined when it cannot be told. */
  readonly suggestion?: string;
  /** True: the suggestion governs more images than the text asks for, such as all ports or all tags. */
  readonly isWider?: true;
}

/**
 * Says why no image can ever be governed by `scope`, or undefined when one can. Images are looked up by their full name, their repository, each folder above it,
 * the host with its port, and wildcards of the host's parent domains; any other text stands there in vain, and the images that it was meant for fall
 * under a less specific scope.
 *
 * Not checked: whether such an image exists. Upper-case hosts pass, since a name can be written so. Scopes that the transport refuses altogether are
 * the business of `explainInvalidScope`.
 *
 * @param transport as policy.json writes it; of those that are not known, and of `atomic`, nothing is said. Sections of registries.d follow the rules of `docker`.
 */
export function explainUnmatchableScope(transport: string, scope: string): UnmatchableScope | undefined {
  if (scope === "") return undefined;
  switch (transport) {
    case "docker":
    case "docker-daemon":
      return explainDockerScope(scope);
    case "containers-storage":
      return explainStorageName(scope);
    case "ostree":
      return { problem: "the transport was removed from every tool" };
    default:
      return undefined;
  }
}

/** Characters: the longest name that a reference can have; with the longest tag or digest a scope stays below twice that. */
const MAX_SCOPE_LENGTH = 510;

function explainDockerScope(scope: string): UnmatchableScope | undefined {
  if (scope.length > MAX_SCOPE_LENGTH)
    return { problem: `no image name is longer than ${MAX_SCOPE_LENGTH} characters` };
  if (/\s/.test(scope)) {
    const problem = "an image name has no white space";
    return /\s/.test(scope.trim()) ? { problem } : corrected(problem, scope.trim());
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(scope);
  if (scheme !== null) {
    return corrected(`${scheme[1]}:// has no place in a scope, which begins with the host`, scheme[2]!);
  }
  if (scope.includes("*")) return explainWildcard(scope);
  if (scope.startsWith("/")) return { problem: "it begins with a slash; a scope begins with the host" };
  const clean = scope.replaceAll(/\/{2,}/g, "/").replace(/\/$/, "");
  if (clean !== scope) return corrected("no image name has an empty part between slashes", clean);
  return explainName(scope);
}

/** A wildcard is the first label of a host and nothing else. */
function explainWildcard(scope: string): UnmatchableScope | undefined {
  if (scope === "*") {
    return { problem: 'a wildcard needs a domain; all images of the transport are the scope ""', suggestion: "" };
  }
  const below = /^([^*]+)(?:\/|:)\*$/.exec(scope);
  if (below !== null) {
    return corrected("a wildcard can only be the first label of a host; a scope covers all below it anyway", below[1]!);
  }
  const leading = /^\*\.([^*/:]+)(.*)$/s.exec(scope);
  if (leading === null) {
    return { problem: "a wildcard can only be the whole first label of a host, as in *.example.com" };
  }
  const [, domain, rest] = leading as unknown as [string, string, string];
  const host = `*.${domain}`;
  if (!isHost(domain)) return { problem: `${domain} is no host name` };
  if (rest === "") return undefined;
  if (rest.startsWith("*")) return { problem: "a wildcard can only be the whole first label of a host" };
  const what = rest.startsWith(":") && !rest.includes("/") ? "a port; it covers every port" : "a path";
  return { problem: `a wildcard cannot have ${what}`, suggestion: host, isWider: true };
}

/** No scheme, no wildcard, no empty parts. */
function explainName(scope: string): UnmatchableScope | undefined {
  if (scope.includes("@")) return explainDigestScope(scope);
  const slash = scope.indexOf("/");
  if (slash < 0) return explainSinglePart(scope);
  const host = scope.slice(0, slash);
  if (!isDomain(host)) return explainShortName(scope);
  if (host === "index.docker.io") return corrected(canonicalHost, `docker.io${scope.slice(slash)}`);
  if (!isHost(host)) return { problem: `${host} is no host name with an optional port` };
  return explainPath(scope, host);
}

const canonicalHost = "images of index.docker.io are looked up as docker.io";

/** One part without a slash: a host, or a short name. */
function explainSinglePart(scope: string): UnmatchableScope | undefined {
  if (scope === "index.docker.io") return { problem: canonicalHost, suggestion: "docker.io" };
  const [name, port, ...more] = scope.split(":") as [string, string?, ...string[]];
  if (more.length === 0 && (port === undefined || /^[0-9]+$/.test(port))) {
    if (port === undefined && !isDomain(name)) return explainShortName(scope);
    return isHost(scope) ? undefined : { problem: `${scope} is no host name with an optional port` };
  }
  if (isDomain(name) && isHost(name)) {
    return wider("a host is followed by a port in digits, or by a path", name);
  }
  return explainShortName(scope);
}

/** A name whose first part is no host: images are looked up with docker.io filled in. */
function explainShortName(scope: string): UnmatchableScope {
  const problem = `images are looked up by their full name, with a host that holds a dot or a port or is localhost`;
  // What follows a colon is a tag, and may have capital letters.
  const lower = scope.replace(/^[^:]+/, (name) => name.toLowerCase());
  return corrected(problem, lower === "library" ? "docker.io/library" : (normalise(lower) ?? ""));
}

/** A scope with a host: the path and its tag must be ones that a reference can have. */
function explainPath(scope: string, host: string): UnmatchableScope | undefined {
  const colon = scope.lastIndexOf(":");
  const hasTag = colon > scope.lastIndexOf("/");
  const name = hasTag ? scope.slice(0, colon) : scope;
  if (hasTag && colon === scope.length - 1) return wider("no tag follows the colon", name);
  const lower = `${host}${name.slice(host.length).toLowerCase()}`;
  if (lower !== name) {
    return corrected("the path of an image is in lower case", `${lower}${hasTag ? scope.slice(colon) : ""}`);
  }
  const normal = normalise(scope);
  if (normal === undefined) return { problem: "it is no image name, nor the beginning of one" };
  // A single part below docker.io may also be a folder there, as in docker.io/team; with a tag it can only be an image.
  if (host === "docker.io" && hasTag && normal !== scope) {
    return corrected("official images of docker.io are looked up below docker.io/library", normal);
  }
  return undefined;
}

function explainDigestScope(scope: string): UnmatchableScope | undefined {
  const at = scope.indexOf("@");
  const named = scope.slice(0, at);
  const digest = tryParseDigest(scope.slice(at + 1));
  if (digest === undefined) {
    const lower = tryParseDigest(scope.slice(at + 1).toLowerCase());
    const problem = "what follows @ is no digest: sha256: and 64 lower-case hex digits";
    return lower === undefined ? { problem } : corrected(problem, `${named}@${lower}`);
  }
  const colon = named.lastIndexOf(":");
  if (colon > named.lastIndexOf("/") && named.includes("/")) {
    return corrected("no image is looked up by tag and digest at once", `${named.slice(0, colon)}@${digest}`);
  }
  const normal = normalise(scope);
  if (normal === scope) return undefined;
  const problem = "a digest follows the full name of an image";
  return normal === undefined || isDomain(named.split("/")[0]!) ? { problem } : { problem, suggestion: normal };
}

/** `[driver@/root]name:tag`: names are expanded here as well; wildcards do not exist. */
function explainStorageName(scope: string): UnmatchableScope | undefined {
  const close = scope.indexOf("]");
  const image = scope.slice(close + 1);
  if (close < 0 || image === "" || image.includes("@")) return undefined;
  if (image.startsWith("*.")) return { problem: "this transport knows no wildcards" };
  const found = explainDockerScope(image);
  if (found?.suggestion === undefined) return found;
  return { ...found, suggestion: `${scope.slice(0, close + 1)}${found.suggestion}` };
}

/** The problem, with the corrected text when that one can match, after further corrections if need be. */
function corrected(problem: string, text: string): UnmatchableScope {
  if (text === "") return { problem };
  const next = explainDockerScope(text);
  if (next === undefined) return { problem, suggestion: text };
  return { ...next, problem };
}

function wider(problem: string, text: string): UnmatchableScope {
  const found = corrected(problem, text);
  return found.suggestion === undefined ? found : { ...found, isWider: true };
}

/** The full name; undefined for what is no reference. */
function normalise(text: string): string | undefined {
  try {
    const reference = parseReference(text);
    const { tag, digest } = reference;
    const suffix = `${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
    return `${referenceName(reference)}${suffix}`;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** The first part of a name is a host exactly if this holds. */
function isDomain(part: string): boolean {
  return part.includes(".") || part.includes(":") || part === "localhost";
}

/** True for a host, with or without port, that a reference can have. */
function isHost(text: string): boolean {
  return normalise(`${isDomain(text) ? text : `${text}.invalid`}/x`) !== undefined;
}
