/** What an edit means for images it does not name: the surprises that policy.json is known for, since of all scopes only the most specific counts. */
import { type PolicyOutline, enclosingScopes, isWithinScope } from "@signet/core";
import { describeRule, rankOf, ranks } from "./rule-text.ts";

/** Who governs images, and what the rule says. */
export interface GovernedBy {
  /** Undefined for the policy's default. */
  readonly transport?: string;
  readonly scope?: string;
  readonly label: string;
  /** See `describeRule`. */
  readonly rule: string;
}

/** Scopes named in one warning. */
const MAX_NAMED_SCOPES = 5;

/** Who governs the images of a scope when the scope itself is left out: the next less specific one that the policy has, else the default. */
export function governingBeside(policy: PolicyOutline, transport: string, scope: string): GovernedBy {
  const scopes = policy.transports.get(transport);
  const outer = enclosingScopes(transport, scope).find((candidate) => scopes?.has(candidate) === true);
  if (outer === undefined) return { label: "the default", rule: describeRule(policy.default) };
  return { transport, scope: outer, label: labelOf(transport, outer), rule: describeRule(scopes!.get(outer)) };
}

/** `docker: registry.example.com` */
export function labelOf(transport: string, scope: string): string {
  return `${transport}: ${scope === "" ? '""' : scope}`;
}

/** What somebody who sets a scope may not expect. */
export function surprisesOfScope(
  before: PolicyOutline,
  after: PolicyOutline,
  transport: string,
  scope: string,
): string[] {
  const scopes = after.transports.get(transport) ?? new Map<string, never>();
  const rank = rankOf(scopes.get(scope));
  const old = before.transports.get(transport)?.get(scope);
  const surprises: string[] = [];
  const beside = governingBeside(after, transport, scope);
  const besideRank = rankOf(beside.scope === undefined ? after.default : scopes.get(beside.scope));
  if (rank === ranks.accept && besideRank > rank) {
    surprises.push(
      `${labelOf(transport, scope)} is accepted without a signature although ${beside.label} is ${beside.rule}: of several scopes the most specific one alone counts`,
    );
  } else if (old !== undefined && rankOf(old) > rank) {
    surprises.push(`${labelOf(transport, scope)} asks for less than before: it was ${describeRule(old)}`);
  }
  const looser = [...scopes].filter(
    ([other, requirements]) => isWithinScope(transport, other, scope) && rankOf(requirements) < rank,
  );
  if (looser.length > 0) {
    const named = looser.slice(0, MAX_NAMED_SCOPES).map(([other, rule]) => `${other} (${describeRule(rule)})`);
    const more = looser.length - named.length;
    surprises.push(
      `more specific scopes ask for less and go on to count alone: ${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`,
    );
  }
  return surprises;
}

/** What somebody who sets the default may not expect. */
export function surprisesOfDefault(after: PolicyOutline): string[] {
  const rank = rankOf(after.default);
  if (rank === ranks.accept) return ["every image that no scope names is accepted without a signature"];
  const surprises: string[] = [];
  if (after.transports.get("containers-storage")?.has("") !== true) {
    surprises.push(
      "podman push, build and save read images of this machine under the policy too: allow them with `signet trust set --transport containers-storage '' -t accept`",
    );
  }
  return surprises;
}
