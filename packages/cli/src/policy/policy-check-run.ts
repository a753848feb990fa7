/** `signet policy check`: read, lint, correct, report. */
import {
  type LintFinding,
  type LintSeverity,
  MAX_POLICY_BYTES,
  type Policy,
  SignetError,
  lintPolicy,
  parsePolicy,
} from "@signet/core";
import type { HostEnvironment } from "@signet/images";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import type { Runtime } from "../runtime.ts";
import { readInput } from "../terminal/input.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { describeSummary, printCorrected, printFinding, reportFinding, summarize } from "./lint-report.ts";
import { writeSarif, writeSarifFailure } from "./sarif.ts";

export interface PolicyCheckOptions {
  /** `-` for standard input. Default: the policy that governs this machine, or the tree below `root`. */
  readonly file?: string;
  readonly root?: string;
  /** The only folder of registries.d. */
  readonly registriesD?: string;
  readonly surveysStores: boolean;
  readonly severities: ReadonlyMap<string, LintSeverity | "off">;
  readonly format: string;
  readonly mode: "check" | "fix" | "show-fixes";
}

/**
 * Checks one policy, corrects it when asked to, and says what was found; after a correction, what remains.
 * @throws whatever prevents reading policy or registries.d; with a machine format the failure is reported on standard output before
 */
export async function checkPolicy(options: PolicyCheckOptions, { terminal, now }: Runtime): Promise<ExitCode> {
  const { format, mode, root, registriesD: directory, surveysStores } = options;
  const file = options.file ?? (await findGoverningFile(root));
  const shown = file === "-" ? "standard input" : file;
  let policy: Policy;
  try {
    policy = parsePolicy(await readInput(file, MAX_POLICY_BYTES, "policy"), shown);
  } catch (error) {
    if (error instanceof SignetError) reportFailure(error, shown, format, terminal);
    throw error;
  }
  // Loaded for a policy that parses only: most of what a pipeline asks is whether it does.
  const { gatherPolicyFacts, loadRegistriesD } = await import("@signet/images");
  const host = await hostOf(root);
  const registriesD = await loadRegistriesD({ host, ...(directory === undefined ? {} : { directory }) });
  for (const warning of registriesD.warnings) terminal.warn(warning);
  const gathering = { now: now(), registriesD, surveysStores, ...(root === undefined ? {} : { root }) };
  const lint = async (linted: Policy): Promise<readonly LintFinding[]> => {
    return lintPolicy(linted, await gatherPolicyFacts(linted, gathering), options);
  };
  const found = await lint(policy);
  if (mode === "check") {
    report(found, shown, format, terminal, undefined);
    return exitCodeOf(found);
  }
  const { correctPolicy, showCorrection, writeCorrection } = await import("./policy-correction.ts");
  const correction = correctPolicy(policy, found, shown);
  if (correction === undefined) {
    if (mode === "show-fixes") terminal.note(`${shown}: nothing to correct`);
    else report(found, shown, format, terminal, []);
    return exitCodeOf(found);
  }
  const remaining = await lint(correction.policy);
  if (mode === "show-fixes") showCorrection(correction, file === "-" ? "policy.json" : file, terminal);
  else {
    await writeCorrection(correction, file);
    report(remaining, shown, format, terminal, correction.findings);
  }
  return exitCodeOf(remaining);
}

function exitCodeOf(findings: readonly LintFinding[]): ExitCode {
  return summarize(findings).errors > 0 ? exitCodes.rejected : exitCodes.done;
}

async function findGoverningFile(root: string | undefined): Promise<string> {
  const { findPolicyFile } = await import("@signet/images");
  return findPolicyFile({ host: await hostOf(root) });
}

/** Below a root folder the user and the environment of this process have no say. (An empty XDG_CONFIG_HOME names no folder.) */
async function hostOf(root: string | undefined): Promise<HostEnvironment> {
  if (root !== undefined) return { env: { XDG_CONFIG_HOME: "" }, uid: 0, home: "/root", root };
  const { currentHost } = await import("@signet/images");
  return currentHost();
}

/** @param corrected undefined unless corrections were asked for */
function report(
  findings: readonly LintFinding[],
  file: string,
  format: string,
  terminal: Terminal,
  corrected: readonly LintFinding[] | undefined,
): void {
  const summary = summarize(findings);
  const done = corrected === undefined ? {} : { corrected: corrected.map(reportFinding) };
  if (format === "sarif") terminal.json(writeSarif(findings));
  else if (format === "json") {
    terminal.json({ file, parsed: true, findings: findings.map(reportFinding), summary, ...done });
  } else {
    for (const finding of corrected ?? []) printCorrected(finding, terminal);
    for (const finding of findings) printFinding(finding, terminal);
    terminal.line(`${file}: ${describeSummary(summary)}`);
  }
}

/** The machine formats say on standard output as well that the policy could not be read, so that it is shown at its line. */
function reportFailure(error: SignetError, file: string, format: string, terminal: Terminal): void {
  if (format === "sarif") terminal.json(writeSarifFailure(error, file));
  if (format !== "json") return;
  const { code, message, hint, details } = error;
  terminal.json({ file, parsed: false, error: { code, message, ...(hint === undefined ? {} : { hint }), ...details } });
}
