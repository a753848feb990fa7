/** Gates that run a tool over the sources: format, lint, types, unused code. Each reads from the tool how much it looked at. */

import { join } from "node:path";
import { run } from "@signet/testkit";
import type { RunResult } from "@signet/testkit";
import type { GateReport } from "./gate.ts";

/** Milliseconds: the slowest takes some seconds on two cores. */
const TOOL_TIMEOUT_MS = 300_000;

/** Lines of a tool's output that are shown; the rest is for its own command. */
const SHOWN_LINES = 200;

/** oxfmt changes nothing here; `npm run format` does. */
export async function checkFormat(root: string): Promise<GateReport> {
  const result = await runTool(root, "oxfmt", ["--check", "."]);
  const unformatted = [...result.stdout.matchAll(/^(\S+) \(\d+ms\)$/gm)].map(
    ([, file = ""]) => `${file}: not formatted`,
  );
  return reportOf(result, "files", countIn(result, /on (\d+) files/), unformatted);
}

/** oxlint with its type-aware rules; warnings count as errors. */
export async function checkLint(root: string): Promise<GateReport> {
  const result = await runTool(root, "oxlint", ["--type-aware", "--deny-warnings", "--format", "json"]);
  if (!result.stdout.startsWith("{")) return reportOf(result, "files", 0);
  const answer = JSON.parse(result.stdout) as LintAnswer;
  const lines = answer.diagnostics.map(({ filename, labels, code, message }) => {
    const { line = 0, column = 0 } = labels[0]?.span ?? {};
    return `${filename}:${line}:${column}: ${message} [${code}]`;
  });
  return reportOf(result, "files", answer.number_of_files, lines);
}

interface LintAnswer {
  readonly number_of_files: number;
  readonly diagnostics: readonly {
    readonly message: string;
    readonly code: string;
    readonly filename: string;
    readonly labels: readonly { readonly span: { readonly line?: number; readonly column?: number } }[];
  }[];
}

/** TypeScript over every package, test and tool. */
export async function checkTypes(root: string): Promise<GateReport> {
  return await compile(root, "tsconfig.json");
}

/** TypeScript over core without its engine and tests, with no platform's types at hand: what names one does not compile. */
export async function checkPureTypes(root: string): Promise<GateReport> {
  return await compile(root, "packages/core/tsconfig.pure.json");
}

/** knip: files, exports and dependencies that nothing uses, and imports that no package.json declares. */
export async function checkUnused(root: string): Promise<GateReport> {
  const reporter = join(import.meta.dirname, "knip-reporter.ts");
  const result = await runTool(root, "knip", ["--no-progress", "--no-config-hints", "--reporter", reporter]);
  const answer = /^\{"processed":.*\}$/m.exec(result.stdout)?.[0];
  if (answer === undefined) return reportOf(result, "files", 0);
  const { processed, lines } = JSON.parse(answer) as { readonly processed: number; readonly lines: readonly string[] };
  return reportOf(result, "files", processed, lines);
}

async function compile(root: string, project: string): Promise<GateReport> {
  const result = await runTool(root, "tsc", ["-p", project, "--noEmit", "--listFiles", "--pretty", "false"]);
  const files = result.stdout.split("\n").filter((line) => line.startsWith(root) && !line.includes("/node_modules/"));
  const problems = result.stdout.split("\n").filter((line) => /error TS\d+/.test(line));
  return reportOf(result, "files", files.length, problems);
}

/** A tool of node_modules/.bin, run by the Node that runs this. */
export async function runTool(root: string, name: string, args: readonly string[]): Promise<RunResult> {
  const bin = join(root, "node_modules", ".bin");
  const env = { PATH: `${bin}:${process.env["PATH"] ?? ""}`, HOME: process.env["HOME"] ?? root, NO_COLOR: "1" };
  return await run(join(bin, name), args, { cwd: root, env, timeoutMs: TOOL_TIMEOUT_MS });
}

/** What the tool found; a tool that failed without a finding we understand has its output as the problem. */
export function reportOf(result: RunResult, what: string, count: number, found: readonly string[] = []): GateReport {
  if (result.status === 0) return { count, what, problems: [] };
  const output = `${result.stdout}${result.stderr}`.trimEnd().split("\n");
  return { count, what, problems: (found.length > 0 ? found : output).slice(0, SHOWN_LINES) };
}

function countIn(result: RunResult, form: RegExp): number {
  return Number(form.exec(`${result.stdout}${result.stderr}`)?.[1] ?? 0);
}
