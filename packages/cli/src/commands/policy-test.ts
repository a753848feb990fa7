import type { PolicyTestResult } from "@signet/images";
import type { Command, FlagOption, TextOption } from "../command-line/command.ts";
import { policyOption } from "../command-line/common-options.ts";
import { type ExitCode, exitCodeOfMany } from "../command-line/exit-code.ts";

const name = "policy test";

const formatOption: TextOption = {
  kind: "text",
  name: "output",
  short: "o",
  value: "FORMAT",
  choices: ["text", "json", "tap", "junit"],
  summary: "text, json, tap or junit (default text)",
  completion: "nothing",
};
const coverageOption: FlagOption = {
  kind: "flag",
  name: "require-coverage",
  summary: "Fail when a scope of the policy governs no case",
};

export const command: Command = {
  name,
  summary: "Run the unit tests of a policy",
  description: [
    "Judges the cases of YAML or JSON files by a policy, each as a pull would be judged, and compares: the verdict, and where the case says so the reasons, the scope that governs, the signer, and the store that registries.d names. No network is asked; signatures come from files or are made by test keys. docs/policy-tests.md describes the files.",
    "The exit status is 1 when a case failed, else 2 when a case could not be run, else 0; a file that cannot be read is 2.",
  ],
  arguments: [{ name: "FILE", summary: "A file of policy tests", repeats: true, completion: "file" }],
  options: [policyOption, coverageOption, formatOption],
  examples: [
    { line: "signet policy test policy-tests.yaml", purpose: "The tests beside a policy" },
    {
      line: "signet policy test --require-coverage -o junit tests/base.yaml tests/team.yaml",
      purpose: "In CI, where every scope must have a case",
    },
  ],
  async run(invocation, { terminal, now }) {
    const { currentHost, runPolicyTests } = await import("@signet/images");
    const { junitLines, printTests, reportTests, tapLines } = await import("../policy-tests/test-report.ts");
    const policy = invocation.get(policyOption);
    const requiresCoverage = invocation.get(coverageOption);
    const result = await runPolicyTests(invocation.arguments, {
      host: currentHost(),
      now: now(),
      ...(policy === undefined ? {} : { policy }),
    });
    switch (invocation.get(formatOption)) {
      case "json":
        terminal.json(reportTests(result));
        break;
      case "tap":
        for (const line of tapLines(result, requiresCoverage)) terminal.line(line);
        break;
      case "junit":
        for (const line of junitLines(result, requiresCoverage)) terminal.line(line);
        break;
      default:
        printTests(result, requiresCoverage, terminal);
    }
    return exitCodeOf(result, requiresCoverage);
  },
};

function exitCodeOf({ files, coverage }: PolicyTestResult, requiresCoverage: boolean): ExitCode {
  const outcomes = files.flatMap(({ cases }) => cases.map(({ outcome }) => outcome));
  const isUncovered = requiresCoverage && coverage.some(({ scopes }) => scopes.some(({ cases }) => cases === 0));
  return exitCodeOfMany({
    isRejected: isUncovered || outcomes.includes("failed"),
    isUndetermined: outcomes.includes("error"),
  });
}
