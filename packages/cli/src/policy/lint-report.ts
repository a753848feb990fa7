import type { LintFinding, LintSeverity } from "@signet/core";
import type { Painted, Terminal } from "../terminal/terminal.ts";

/** How many findings there are of each severity. */
export interface LintSummary {
  readonly errors: number;
  readonly warnings: number;
  readonly infos: number;
}

export function summarize(findings: readonly LintFinding[]): LintSummary {
  const count = (severity: LintSeverity): number => findings.filter((finding) => finding.severity === severity).length;
  return { errors: count("error"), warnings: count("warning"), infos: count("info") };
}

/** The JSON form of one finding; its members are stable. */
export function reportFinding(finding: LintFinding): Readonly<Record<string, unknown>> {
  const { lint, severity, file, line, column, end, path, scope, what, why, fix, edits } = finding;
  return {
    lint,
    severity,
    file,
    line,
    column,
    ...(end === undefined ? {} : { endLine: end.line, endColumn: end.column }),
    ...(path === undefined ? {} : { path }),
    scope,
    what,
    why,
    fix,
    fixable: edits.length > 0,
  };
}

const colours: Readonly<Record<LintSeverity, Painted["colour"]>> = { error: "red", warning: "yellow", info: "dim" };

/** For people: the place first, as compilers write it, so that editors find it. */
export function printFinding(finding: LintFinding, terminal: Terminal): void {
  const { lint, severity, file, line, column, scope, what, why, fix, edits } = finding;
  const place: Painted = { colour: "bold", text: `${file}:${line}:${column}` };
  terminal.line(place, ": ", { colour: colours[severity], text: severity }, ` ${lint}: ${what}`);
  terminal.line(`  scope  ${scope}`);
  terminal.line(`  why    ${why}`);
  terminal.line(`  fix    ${fix}${edits.length > 0 ? " (--fix does it)" : ""}`);
}

/** One line for a finding that was corrected; its place is that before the correction. */
export function printCorrected({ file, line, column, lint, what }: LintFinding, terminal: Terminal): void {
  terminal.line(`${file}:${line}:${column}: `, { colour: "green", text: "corrected" }, ` ${lint}: ${what}`);
}

export function describeSummary({ errors, warnings, infos }: LintSummary): string {
  if (errors + warnings + infos === 0) return "no findings";
  const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`;
  return `${counted(errors, "error")}, ${counted(warnings, "warning")}, ${infos} info`;
}
