import { lints } from "@signet/core";
import type { Command, FlagOption, Invocation, ListOption, TextOption } from "../command-line/command.ts";
import { policyOption, registriesDOption } from "../command-line/common-options.ts";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import type { Runtime } from "../runtime.ts";

const name = "policy check";

const rootOption: TextOption = {
  kind: "text",
  name: "root",
  value: "DIR",
  summary: "Check the files of a node or image below this folder: policy, keys, registries.d and stores",
  completion: "directory",
};
const storeOption: FlagOption = {
  kind: "flag",
  name: "store",
  summary: "Also look through the signature stores, for keys that never signed anything there",
};
const fixOption: FlagOption = {
  kind: "flag",
  name: "fix",
  summary: "Correct what can be corrected safely; the file as it was stays beside it as .bak",
};
const dryRunOption: FlagOption = {
  kind: "flag",
  name: "dry-run",
  summary: "With --fix: show the corrections as a diff, and write nothing",
};
const disableOption: ListOption = {
  kind: "list",
  name: "disable",
  value: "NAME",
  summary: "Leave this lint out",
  completion: "nothing",
};
const severityOption: ListOption = {
  kind: "list",
  name: "severity",
  value: "NAME=LEVEL",
  summary: "Give a lint another severity: error, warning, info or off",
  completion: "nothing",
};
const listOption: FlagOption = { kind: "flag", name: "list", summary: "List the lints, and check nothing" };
const formatOption: TextOption = {
  kind: "text",
  name: "output",
  short: "o",
  value: "FORMAT",
  choices: ["text", "json", "sarif"],
  summary: "text, json, or sarif 2.1.0 for code hosts (default text)",
  completion: "nothing",
};

export const command: Command = {
  name,
  summary: "Check a policy.json: does it parse, and can it work as it is meant",
  description: [
    "Parses the policy as strictly as the tools that use it, then looks for what parses and does not work: scopes that never match, keys that are missing, expired or revoked, requirements that cannot be met, signatures that registries.d does not look for. Each finding names its place, the reason and what to do.",
    "Without a file it checks the one that governs this machine. With --root the system's own files below a folder are checked; the user's folder and the environment are left out. --store reads at most 20000 signatures and compares key ids alone; it verifies nothing.",
    "The exit status is 2 when the policy cannot be read or does not parse, 1 when a lint of severity error fired, else 0.",
  ],
  arguments: [{ name: "FILE", summary: "A policy; - for standard input", optional: true, completion: "file" }],
  options: [
    policyOption,
    rootOption,
    registriesDOption,
    storeOption,
    fixOption,
    dryRunOption,
    disableOption,
    severityOption,
    formatOption,
    listOption,
  ],
  examples: [
    { line: "signet policy check", purpose: "The policy that governs this machine" },
    { line: "signet policy check --fix --dry-run policy.json", purpose: "What would be corrected" },
    {
      line: "signet policy check --root /mnt/node -o sarif > policy.sarif",
      purpose: "A node's files, for a code host",
    },
    {
      line: "signet policy check --severity default-permissive=error --disable local-storage-blocked policy.json",
      purpose: "As strict as a cluster wants it",
    },
  ],
  async run(invocation, runtime) {
    const { readSeverities } = await import("../policy/lint-choice.ts");
    const severities = readSeverities(invocation.get(disableOption), invocation.get(severityOption), name);
    const format = invocation.get(formatOption) ?? "text";
    if (invocation.get(listOption)) return list(invocation, runtime, format);
    const mode = readFixMode(invocation, format);
    const file = readFile(invocation, mode);
    const root = invocation.get(rootOption);
    const registriesD = invocation.get(registriesDOption);
    const { checkPolicy } = await import("../policy/policy-check-run.ts");
    return checkPolicy(
      {
        severities,
        format,
        mode,
        surveysStores: invocation.get(storeOption),
        ...(file === undefined ? {} : { file }),
        ...(root === undefined ? {} : { root }),
        ...(registriesD === undefined ? {} : { registriesD }),
      },
      runtime,
    );
  },
};

function readFile(invocation: Invocation, mode: "check" | "fix" | "show-fixes"): string | undefined {
  const [argument] = invocation.arguments;
  const option = invocation.get(policyOption);
  if (argument !== undefined && option !== undefined && argument !== option)
    throw usage("name the policy once: as FILE or with --policy", name);
  const file = argument ?? option;
  if (file === "-" && mode === "fix") throw usage("--fix needs a file to write to", name, "see --dry-run");
  return file;
}

function readFixMode(invocation: Invocation, format: string): "check" | "fix" | "show-fixes" {
  const isDry = invocation.get(dryRunOption);
  if (!invocation.get(fixOption)) {
    if (isDry) throw usage("--dry-run goes with --fix", name);
    return "check";
  }
  if (isDry && format !== "text") throw usage("--dry-run prints a diff; leave --output out", name);
  return isDry ? "show-fixes" : "fix";
}

function list(invocation: Invocation, { terminal }: Runtime, format: string): ExitCode {
  if (invocation.arguments.length > 0) throw usage("--list checks no file", name);
  if (format === "sarif") throw usage("--list prints text or json", name);
  if (format === "json") {
    const rows = lints.map((lint) => {
      return {
        name: lint.name,
        severity: lint.severity,
        fixable: lint.isFixable === true,
        why: lint.reason,
        fix: lint.fix,
      };
    });
    terminal.json({ lints: rows });
    return exitCodes.done;
  }
  for (const { name: lint, severity, isFixable, reason } of lints) {
    terminal.line({ colour: "bold", text: lint }, `  ${severity}${isFixable === true ? ", --fix" : ""}`);
    terminal.line(`    ${reason}`);
  }
  return exitCodes.done;
}
