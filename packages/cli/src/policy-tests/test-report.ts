/** Results of policy tests in the forms that people and CI systems read. */
import type { CaseResult, PolicyTestResult } from "@signet/images";
import { reportExplanation } from "../explain/explain-report.ts";
import { shortExplanation } from "../explain/explain-text.ts";
import type { Painted, Terminal } from "../terminal/terminal.ts";

/** Numbers of all files together. */
export interface TestSummary {
  readonly cases: number;
  readonly passed: number;
  readonly failed: number;
  readonly errors: number;
  readonly scopes: number;
  readonly uncovered: number;
}

export function summarize({ files, coverage }: PolicyTestResult): TestSummary {
  const cases = files.flatMap((file) => file.cases);
  const scopes = coverage.flatMap((one) => one.scopes);
  const count = (outcome: CaseResult["outcome"]): number => cases.filter((one) => one.outcome === outcome).length;
  return {
    cases: cases.length,
    passed: count("passed"),
    failed: count("failed"),
    errors: count("error"),
    scopes: scopes.length,
    uncovered: scopes.filter((scope) => scope.cases === 0).length,
  };
}

const marks: Readonly<Record<CaseResult["outcome"], Painted>> = {
  passed: { colour: "green", text: "ok    " },
  failed: { colour: "red", text: "FAIL  " },
  error: { colour: "yellow", text: "ERROR " },
};

/** A line a case, the reasons under a failed one, and what no case is about. */
export function printTests(result: PolicyTestResult, requiresCoverage: boolean, terminal: Terminal): void {
  for (const { file, policy, cases } of result.files) {
    terminal.line({ colour: "bold", text: file }, `  policy ${policy}`);
    for (const one of cases) {
      terminal.line("  ", marks[one.outcome], one.name);
      for (const line of details(one)) terminal.line(`          ${line}`);
    }
  }
  for (const { policy, scopes } of result.coverage) {
    for (const { label, cases } of scopes) {
      if (cases > 0) continue;
      const mark: Painted = requiresCoverage ? { colour: "red", text: "FAIL  " } : { colour: "yellow", text: "note  " };
      terminal.line(mark, `no case is about scope ${label} of ${policy}`);
    }
  }
  const { cases, passed, failed, errors, scopes, uncovered } = summarize(result);
  const failures = `${failed} failed${errors === 0 ? "" : `, ${errors} could not be run`}`;
  terminal.line(`${cases} cases: ${passed} passed, ${failures}; ${scopes - uncovered} of ${scopes} scopes covered`);
}

/** Why a case did not pass, line by line; nothing for one that did. */
function details(one: CaseResult): readonly string[] {
  if (one.outcome === "passed") return [];
  const hint = one.error?.hint === undefined ? [] : [`hint: ${one.error.hint}`];
  const explained = one.explanation === undefined ? [] : shortExplanation(one.explanation);
  return [`line ${one.line}, ${one.image}`, ...one.problems, ...hint, ...explained];
}

/** The JSON document. Members that do not apply are null. */
export function reportTests(result: PolicyTestResult): object {
  return {
    files: result.files.map(({ file, policy, cases }) => ({ file, policy, cases: cases.map(reportCase) })),
    coverage: result.coverage,
    summary: summarize(result),
  };
}

function reportCase(one: CaseResult): object {
  const { name, line, image, outcome, expected, found, reasons, problems, explanation, error } = one;
  const isFailed = outcome === "failed" && explanation !== undefined;
  return {
    name,
    line,
    image,
    outcome,
    expected,
    found: found ?? null,
    reasons,
    problems,
    scope: explanation?.scopes.find(({ governs }) => governs)?.label ?? null,
    explanation: isFailed ? reportExplanation(explanation) : null,
    error: error === undefined ? null : { code: error.code, message: error.message, hint: error.hint ?? null },
  };
}

/** Test Anything Protocol, version 13: a point a case, and with required coverage one a policy. */
export function tapLines(result: PolicyTestResult, requiresCoverage: boolean): readonly string[] {
  const points: { readonly ok: boolean; readonly name: string; readonly more: readonly string[] }[] = [];
  for (const { file, cases } of result.files) {
    for (const one of cases)
      points.push({ ok: one.outcome === "passed", name: `${file}: ${one.name}`, more: details(one) });
  }
  if (requiresCoverage) {
    for (const { policy, missing } of uncoveredScopes(result)) {
      const more = missing.map((label) => `no case is about scope ${label}`);
      points.push({ ok: missing.length === 0, name: `coverage of ${policy}`, more });
    }
  }
  return [
    "TAP version 13",
    `1..${points.length}`,
    ...points.flatMap(({ ok, name, more }, index) => [
      `${ok ? "ok" : "not ok"} ${index + 1} - ${name.replaceAll(/[#\\]/g, "\\$&")}`,
      ...(more.length === 0
        ? []
        : ["  ---", "  message:", ...more.map((line) => `    - ${JSON.stringify(line)}`), "  ..."]),
    ]),
  ];
}

/** JUnit's XML, without times: the same result gives the same document. */
export function junitLines(result: PolicyTestResult, requiresCoverage: boolean): readonly string[] {
  const { cases, failed, errors } = summarize(result);
  const uncovered = requiresCoverage ? uncoveredScopes(result).filter(({ missing }) => missing.length > 0) : [];
  const policies = requiresCoverage ? result.coverage.length : 0;
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="signet policy test" tests="${cases + policies}" failures="${failed + uncovered.length}" errors="${errors}">`,
  ];
  for (const { file, cases: ofFile } of result.files) {
    const count = (outcome: CaseResult["outcome"]): number => ofFile.filter((one) => one.outcome === outcome).length;
    lines.push(
      `  <testsuite name="${xml(file)}" tests="${ofFile.length}" failures="${count("failed")}" errors="${count("error")}">`,
    );
    for (const one of ofFile) lines.push(...testCase(one.name, file, one.outcome, one.problems, details(one)));
    lines.push("  </testsuite>");
  }
  if (requiresCoverage) {
    lines.push(`  <testsuite name="coverage" tests="${policies}" failures="${uncovered.length}" errors="0">`);
    for (const { policy, missing } of uncoveredScopes(result)) {
      const problems = missing.map((label) => `no case is about scope ${label}`);
      lines.push(...testCase(policy, "coverage", missing.length === 0 ? "passed" : "failed", problems, problems));
    }
    lines.push("  </testsuite>");
  }
  return [...lines, "</testsuites>"];
}

function testCase(
  name: string,
  suite: string,
  outcome: CaseResult["outcome"],
  problems: readonly string[],
  text: readonly string[],
): readonly string[] {
  const head = `    <testcase name="${xml(name)}" classname="${xml(suite)}"`;
  if (outcome === "passed") return [`${head}/>`];
  const element = outcome === "failed" ? "failure" : "error";
  const [first = "", ...rest] = text.map(xml);
  return [
    `${head}>`,
    `      <${element} message="${xml(problems.join("; "))}">${first}`,
    ...rest,
    `</${element}>`,
    "    </testcase>",
  ];
}

function uncoveredScopes({ coverage }: PolicyTestResult): readonly { policy: string; missing: readonly string[] }[] {
  return coverage.map(({ policy, scopes }) => ({
    policy,
    missing: scopes.filter(({ cases }) => cases === 0).map(({ label }) => label),
  }));
}

const xmlEntities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

/** Characters that XML 1.0 cannot hold, not even as entities, are replaced. */
function xml(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replaceAll(/[&<>"]/g, (character) => xmlEntities[character]!);
}
