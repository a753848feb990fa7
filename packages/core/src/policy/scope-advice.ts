/**
 * A scope that somebody is about to write (`trust set`): why it should not be written, also where no reader would take it, and which scope of which transport was probably
 * meant. Which names no image has is `scope-suggestion.ts`'s to say, as it is of a policy that exists; here are other transports' prefixes, paths and white space besides.
 */
import { explainInvalidScope, knownTransports } from "./scope-rules.ts";
import { explainUnmatchableScope } from "./scope-suggestion.ts";

/** Why a scope should not be written, and the one to write instead where that is clear. */
export interface ScopeAdvice {
  /** Ends a sentence: `scope "busybox" …`. */
  readonly problem: string;
  /** A scope that can match; undefined when nobody can tell which was meant. */
  readonly instead?: string;
  /** The transport of {@link instead}, when it is another one. */
  readonly transport?: string;
  /** True: {@link instead} governs more images than was asked for, such as all ports or all tags. */
  readonly isWider?: true;
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
  if (invalid === undefined) {
    return transport === "atomic" ? adviseOnSlash(transport, scope) : adviseOnName(transport, scope);
  }
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

/** What the lints say of a name, so that nothing is written that they would find, and nothing else is offered. */
function adviseOnName(transport: string, scope: string): ScopeAdvice | undefined {
  const found = explainUnmatchableScope(transport, scope);
  if (found === undefined) return undefined;
  const problem = `matches no image: ${found.problem}`;
  if (found.suggestion === undefined) return { problem };
  return { problem, instead: found.suggestion, ...(found.isWider === undefined ? {} : { isWider: found.isWider }) };
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
  if (further.instead === undefined) return { problem: `${problem}, and ${further.problem}` };
  return { ...further, problem };
}
