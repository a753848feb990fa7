/** Lints a policy: every rule of the table over one parsed document. */
import { UsageError } from "../../errors.ts";
import type { Policy } from "../policy.ts";
import { formatJsonPath } from "./document-places.ts";
import { type LintContext, makeLintContext } from "./lint-context.ts";
import type { LintFacts } from "./lint-facts.ts";
import { lints } from "./lint-table.ts";
import type { Found, Lint, LintSeverity, PolicyEdit } from "./lint.ts";

/** One finding, with all that a person or a machine needs to act on it. Texts may repeat the policy's own. */
export interface LintFinding {
  readonly lint: string;
  readonly severity: LintSeverity;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** Exclusive; undefined where only the line is known. */
  readonly end?: { readonly line: number; readonly column: number };
  /** `transports.docker["busybox"]`; undefined outside the policy. */
  readonly path?: string;
  /** `docker: registry.example.com/team` or `default`. */
  readonly scope: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
  /** The correction, when it is a safe one. Empty otherwise. */
  readonly edits: readonly PolicyEdit[];
}

export interface LintOptions {
  /** By the name of a lint: its severity instead of its own, or `off`. */
  readonly severities?: ReadonlyMap<string, LintSeverity | "off">;
}

/**
 * Everything that the lints find, in the order of the document; what is found outside of it stands behind. A finding of a lint whose severity was chosen by the
 * caller has that one.
 *
 * Not checked: whether the policy parses; what was parsed is what is linted.
 * @param policy one that `parsePolicy` read, so that it has its octets
 * @throws UsageError `command-line-malformed` for a policy without a document
 */
export function lintPolicy(policy: Policy, facts: LintFacts, options: LintOptions = {}): readonly LintFinding[] {
  if (policy.raw === undefined)
    throw new UsageError("command-line-malformed", "a policy without a document has no places to point at");
  const context = makeLintContext(policy, policy.raw, facts);
  const findings: LintFinding[] = [];
  for (const lint of lints) {
    const chosen = options.severities?.get(lint.name);
    if (chosen === "off") continue;
    for (const found of lint.check(context)) findings.push(makeFinding(lint, found, chosen, context));
  }
  const source = fileOf(policy);
  const isElsewhere = (finding: LintFinding): number => Number(finding.file !== source);
  return findings.toSorted((a, b) => {
    return (
      isElsewhere(a) - isElsewhere(b) ||
      compare(a.file, b.file) ||
      a.line - b.line ||
      a.column - b.column ||
      ranks[a.severity] - ranks[b.severity]
    );
  });
}

function makeFinding(lint: Lint, found: Found, chosen: LintSeverity | undefined, context: LintContext): LintFinding {
  const { place, scope, what, edits = [] } = found;
  const common = {
    lint: lint.name,
    severity: chosen ?? found.severity ?? lint.severity,
    scope,
    what,
    why: lint.reason,
    fix: found.fix ?? lint.fix,
    edits,
  };
  if ("file" in place) return { ...common, file: place.file, line: place.line, column: 1 };
  const { line, column, endLine, endColumn } = context.places.range(place.path, place.part);
  const path = formatJsonPath(place.path);
  return { ...common, file: fileOf(context.policy), line, column, end: { line: endLine, column: endColumn }, path };
}

function fileOf({ source }: Policy): string {
  return source ?? "policy.json";
}

const ranks: Readonly<Record<LintSeverity, number>> = { error: 0, warning: 1, info: 2 };

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
