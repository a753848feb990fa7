/** Every scope that could govern an image, in the order of look-up: for showing why one does (policy-json, section 3). */
import type { Policy, Requirements } from "./policy.ts";
import type { PolicyIdentity } from "./policy-identity.ts";
import { findGoverningScope } from "./scope-lookup.ts";

/** What a candidate is to the image. */
export type ScopeKind = "identity" | "namespace" | "wildcard" | "transport-default" | "default";

/** One scope that was, or would have been, looked up. */
export interface ScopeCandidate {
  readonly kind: ScopeKind;
  /** Undefined for the policy's default. */
  readonly transport?: string;
  /** As policy.json would write it; `""` is the transport's own default. Undefined for the policy's default. */
  readonly scope?: string;
  /** For people: `docker: registry.example.com/team` or `default`, as {@link GoverningScope.label}. */
  readonly label: string;
  /** What the policy says there; undefined when it has no such scope. */
  readonly requirements?: Requirements;
  /** True for exactly one. */
  readonly governs: boolean;
}

/**
 * Lists the scopes of an image, most specific first; the transport's `""` and the policy's default come last. The one that governs is the one that
 * `findGoverningScope` finds; the ones behind it are those that would govern if it were not there.
 */
export function listScopeCandidates(policy: Policy, identity: PolicyIdentity): readonly ScopeCandidate[] {
  const { transport } = identity;
  const scopes = policy.transports.get(transport);
  const governing = findGoverningScope(policy, identity).scope;
  const names = [...new Set([identity.identity, ...identity.namespaces, ""])];
  const candidates = names.map((scope): ScopeCandidate => {
    const requirements = scopes?.get(scope);
    return {
      kind: kindOf(scope, identity),
      transport,
      scope,
      label: `${transport}: ${scope === "" ? '""' : scope}`,
      ...(requirements === undefined ? {} : { requirements }),
      governs: governing.transport === transport && governing.scope === scope,
    };
  });
  const isDefault = governing.transport === undefined;
  return [...candidates, { kind: "default", label: "default", requirements: policy.default, governs: isDefault }];
}

function kindOf(scope: string, identity: PolicyIdentity): ScopeKind {
  if (scope === "") return "transport-default";
  if (scope === identity.identity) return "identity";
  return scope.startsWith("*.") ? "wildcard" : "namespace";
}
