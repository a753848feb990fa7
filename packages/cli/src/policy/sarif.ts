/** Findings as SARIF 2.1.0 (OASIS Standard, 27 March 2020), which code hosts and editors show at the line. */
import { type LintFinding, type SignetError, lints } from "@signet/core";
import { sarifLevels, uriOf, writeSarifLog } from "../reports/sarif-log.ts";

/** The rule of policies that do not parse; it is no lint. */
const MALFORMED_RULE = "policy-malformed";

/** The log of one run. */
export function writeSarif(findings: readonly LintFinding[]): unknown {
  return sarifLog(
    findings.map((finding) => {
      const { lint, severity, what, why, fix, file, line, column, end, path, scope } = finding;
      const region = {
        startLine: line,
        startColumn: column,
        ...(end === undefined ? {} : { endLine: end.line, endColumn: end.column }),
      };
      return {
        ruleId: lint,
        ruleIndex: lints.findIndex(({ name }) => name === lint),
        level: sarifLevels[severity],
        message: { text: `${what}. ${why} Fix: ${fix}` },
        locations: [
          {
            physicalLocation: { artifactLocation: { uri: uriOf(file) }, region },
            logicalLocations: [{ fullyQualifiedName: path ?? scope }],
          },
        ],
        properties: { scope },
      };
    }),
    true,
  );
}

/** The log of a run that ended at a policy that could not be read. */
export function writeSarifFailure(error: SignetError, file: string): unknown {
  const { line, column } = error.details as { readonly line?: number; readonly column?: number };
  const region = line === undefined || column === undefined ? {} : { region: { startLine: line, startColumn: column } };
  const hint = error.hint === undefined ? "" : ` Fix: ${error.hint}`;
  const result = {
    ruleId: MALFORMED_RULE,
    ruleIndex: lints.length,
    level: "error",
    message: { text: `${error.message}.${hint}` },
    locations: [{ physicalLocation: { artifactLocation: { uri: uriOf(file) }, ...region } }],
  };
  return sarifLog([result], false);
}

function sarifLog(results: readonly unknown[], isSuccessful: boolean): unknown {
  const rules = [
    ...lints.map(({ name, severity, reason, fix }) => ({ name, severity, reason, fix })),
    {
      name: MALFORMED_RULE,
      severity: "error" as const,
      reason: "The policy cannot be read: nothing is accepted by it.",
      fix: "Correct the place that is named.",
    },
  ];
  return writeSarifLog(rules, results, isSuccessful);
}
