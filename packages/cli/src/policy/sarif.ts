/** Findings as SARIF 2.1.0 (OASIS Standard, 27 March 2020), which code hosts and editors show at the line. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type LintFinding, type LintSeverity, type SignetError, lints } from "@signet/core";
import { version } from "../version.ts";

const levels: Readonly<Record<LintSeverity, "error" | "warning" | "note">> = {
  error: "error",
  warning: "warning",
  info: "note",
};

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
        level: levels[severity],
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
    ...lints.map(({ name, severity, reason, fix }) => ({
      id: name,
      shortDescription: { text: name.replaceAll("-", " ") },
      fullDescription: { text: reason },
      help: { text: fix },
      defaultConfiguration: { level: levels[severity] },
    })),
    {
      id: MALFORMED_RULE,
      shortDescription: { text: "policy malformed" },
      fullDescription: { text: "The policy cannot be read: nothing is accepted by it." },
      help: { text: "Correct the place that is named." },
      defaultConfiguration: { level: "error" },
    },
  ];
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "signet", semanticVersion: version, rules } },
        invocations: [{ executionSuccessful: isSuccessful }],
        columnKind: "unicodeCodePoints",
        results,
      },
    ],
  };
}

/** Relative paths stay relative, as code hosts want them. */
function uriOf(file: string): string {
  if (file.startsWith("/")) return pathToFileURL(resolve(file)).href;
  return file.split("/").map(encodeURIComponent).join("/");
}
