/** All lists of requirements of a policy, each with the name that verdicts give it. */
import type { Policy, Requirements } from "../policy.ts";

/** One scope, or the default. */
export interface PolicyScope {
  /** Undefined for the default. */
  readonly transport: string | undefined;
  /** As written; undefined for the default. */
  readonly scope: string | undefined;
  /** `docker: registry.example.com/team` or `default`. */
  readonly label: string;
  readonly requirements: Requirements;
}

/** The default first, then all scopes in document order. */
export function policyScopes(policy: Policy): readonly PolicyScope[] {
  const scopes: PolicyScope[] = [describe(undefined, undefined, policy.default)];
  for (const [transport, entries] of policy.transports) {
    for (const [scope, requirements] of entries) scopes.push(describe(transport, scope, requirements));
  }
  return scopes;
}

function describe(transport: string | undefined, scope: string | undefined, requirements: Requirements): PolicyScope {
  return { transport, scope, label: scopeLabel(transport, scope), requirements };
}

/** As verdicts name a scope. */
export function scopeLabel(transport: string | undefined, scope: string | undefined): string {
  if (transport === undefined || scope === undefined) return "default";
  return `${transport}: ${scope === "" ? '""' : scope}`;
}
