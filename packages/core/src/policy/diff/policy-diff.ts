/** What lies between two policies, scope by scope. */
import type { Policy, Requirements } from "../policy.ts";
import { KeyComparison, type ReadComparedKeys } from "./compared-keys.ts";
import { lessSpecificScopes } from "./less-specific-scopes.ts";
import { areWithin } from "./requirement-order.ts";
import { describeRequirements, explainChange } from "./requirement-words.ts";

/**
 * `same`: each accepts exactly what the other does. `stricter`: every image that the new requirements accept was accepted before; never said unless that is so.
 * `looser`: every image that was accepted is still accepted. `different`: neither could be shown; images may be accepted now that were not before.
 */
export type PolicyChange = "same" | "stricter" | "looser" | "different";

/** Requirements, and where they stand. */
export interface ScopeSide {
  /** What governs there: the scope itself, or for one that is not in this policy the one that governs its images. */
  readonly governedBy: string;
  /** In words. */
  readonly requirements: string;
}

export interface ScopeDiff {
  /** Undefined for the top-level default. */
  readonly transport: string | undefined;
  /** Undefined for the top-level default; `""` is the transport's own default. */
  readonly scope: string | undefined;
  /** `docker: registry.example.com/team`, `default`. */
  readonly label: string;
  readonly presence: "both" | "added" | "removed";
  readonly change: PolicyChange;
  readonly before: ScopeSide;
  readonly after: ScopeSide;
  /** Empty when it is the same. */
  readonly reasons: readonly string[];
}

export interface PolicyDiff {
  /** The default first, then transports and scopes by name; those that are the same included. */
  readonly scopes: readonly ScopeDiff[];
  readonly counts: Readonly<Record<PolicyChange, number>>;
}

/**
 * Compares two policies. Each scope of either is compared by what governs its images in both: one that is new with what governed them before, one that went away
 * with what governs them now. Every image is governed by one such pair, so that a policy all of whose scopes are `same` or `stricter` accepts nothing that the old one
 * rejects.
 *
 * The rules are those of `areWithin` and `isIdentityWithin`; keys are compared by what they are where `readKeys` can read them.
 *
 * Not looked at: whether any image falls into a scope, and how sure signatures are to be found.
 */
export function diffPolicies(before: Policy, after: Policy, readKeys: ReadComparedKeys): PolicyDiff {
  const keys = new KeyComparison(readKeys);
  const scopes = [
    compare(undefined, undefined, "both", defaultOf(before), defaultOf(after), keys),
    ...scopesOf(before, after).map(({ transport, scope }) => {
      const [old, now] = [governing(before, transport, scope), governing(after, transport, scope)];
      const presence = !now.isOwn ? "removed" : old.isOwn ? "both" : "added";
      return compare(transport, scope, presence, old, now, keys);
    }),
  ];
  const counts: Record<PolicyChange, number> = { same: 0, stricter: 0, looser: 0, different: 0 };
  for (const { change } of scopes) counts[change]++;
  return { scopes, counts };
}

interface Governed {
  readonly label: string;
  readonly requirements: Requirements;
  /** True when the scope itself is in the policy. */
  readonly isOwn: boolean;
}

function scopesOf(before: Policy, after: Policy): readonly { readonly transport: string; readonly scope: string }[] {
  const transports = new Set([...before.transports.keys(), ...after.transports.keys()]);
  return [...transports].toSorted().flatMap((transport) => {
    const scopes = new Set([before, after].flatMap((policy) => [...(policy.transports.get(transport)?.keys() ?? [])]));
    return [...scopes].toSorted().map((scope) => ({ transport, scope }));
  });
}

function defaultOf(policy: Policy): Governed {
  return { label: "default", requirements: policy.default, isOwn: true };
}

function governing(policy: Policy, transport: string, scope: string): Governed {
  const scopes = policy.transports.get(transport);
  for (const candidate of [scope, ...lessSpecificScopes(transport, scope), ""]) {
    const requirements = scopes?.get(candidate);
    if (requirements !== undefined)
      return { label: labelOf(transport, candidate), requirements, isOwn: candidate === scope };
  }
  return { ...defaultOf(policy), isOwn: false };
}

function labelOf(transport: string, scope: string): string {
  return `${transport}: ${scope === "" ? '""' : scope}`;
}

function compare(
  transport: string | undefined,
  scope: string | undefined,
  presence: ScopeDiff["presence"],
  before: Governed,
  after: Governed,
  keys: KeyComparison,
): ScopeDiff {
  const change = changeOf(before.requirements, after.requirements, keys);
  return {
    transport,
    scope,
    label: transport === undefined || scope === undefined ? "default" : labelOf(transport, scope),
    presence,
    change,
    before: { governedBy: before.label, requirements: describeRequirements(before.requirements, keys) },
    after: { governedBy: after.label, requirements: describeRequirements(after.requirements, keys) },
    reasons: change === "same" ? [] : explainChange(before.requirements, after.requirements, keys),
  };
}

function changeOf(before: Requirements, after: Requirements, keys: KeyComparison): PolicyChange {
  const acceptsNoMore = areWithin(after, before, keys, "proven");
  // Where keys cannot be read, a false alarm is the better mistake: `looser` may be said too often, `stricter` may not.
  const acceptsNoLess = areWithin(before, after, keys, "likely");
  if (acceptsNoMore) return acceptsNoLess ? "same" : "stricter";
  return acceptsNoLess ? "looser" : "different";
}
