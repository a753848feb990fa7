/** Which part of a policy governs an image (policy-json, section 3): one map look-up for each candidate, however many scopes there are. */
import type { Policy, PolicyScopes, Requirements } from "./policy.ts";
import type { PolicyIdentity } from "./policy-identity.ts";

/** Which part of the policy governs the image. */
export interface GoverningScope {
  /** Transport name of policy.json, such as `docker`; undefined for the top-level default. */
  readonly transport?: string;
  /** The scope as written; `""` is the transport's own default. Undefined for the top-level default. */
  readonly scope?: string;
  /** For people: `docker: registry.example.com/team` or `default`. */
  readonly label: string;
  /** Every scope that was looked up before, most specific first, the governing one last. */
  readonly tried: readonly string[];
}

/** The requirements for one image, and where they stand. */
export interface Governing {
  readonly requirements: Requirements;
  readonly scope: GoverningScope;
}

/**
 * Finds the requirements for an image: those of its identity, else of the nearest namespace, else of the transport's scope `""`, else the policy's
 * default. Exactly one list governs; nothing is inherited from less specific ones.
 */
export function findGoverningScope(policy: Policy, identity: PolicyIdentity): Governing {
  const { transport } = identity;
  const tried: string[] = [];
  const scopes = policy.transports.get(transport);
  if (scopes !== undefined) {
    const scope = findScope(scopes, identity, tried);
    if (scope !== undefined) {
      const label = `${transport}: ${scope === "" ? '""' : scope}`;
      return { requirements: scopes.get(scope)!, scope: { transport, scope, label, tried } };
    }
  }
  tried.push("default");
  return { requirements: policy.default, scope: { label: "default", tried } };
}

/** The first scope that is there; notes every one that was asked for. */
function findScope(scopes: PolicyScopes, identity: PolicyIdentity, tried: string[]): string | undefined {
  tried.push(identity.identity);
  if (scopes.has(identity.identity)) return identity.identity;
  for (const namespace of identity.namespaces) {
    tried.push(namespace);
    if (scopes.has(namespace)) return namespace;
  }
  // An identity that is empty, such as that of docker-archive, has asked for this scope already.
  if (identity.identity !== "") tried.push("");
  return scopes.has("") ? "" : undefined;
}
