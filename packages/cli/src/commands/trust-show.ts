import {
  MAX_POLICY_BYTES,
  type Policy,
  PolicyError,
  type PolicyIdentity,
  SignetError,
  UsageError,
  dockerPolicyIdentity,
  dockerScopeAncestors,
  findGoverningScope,
  parsePolicy,
  parseReference,
  pathPolicyIdentity,
} from "@signet/core";
import type { Command, FlagOption, TextOption } from "../command-line/command.ts";
import { outputFormatOption, policyOption, registriesDOption, rootOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import type { Terminal } from "../terminal/terminal.ts";
import type { ScopeReport, TrustReport } from "../trust/trust-report.ts";

const name = "trust show";

const rawOption: FlagOption = { kind: "flag", name: "raw", summary: "Print the policy file as it is" };
const podmanJsonOption: FlagOption = {
  kind: "flag",
  name: "json",
  short: "j",
  summary: "Print the list that `podman image trust show --json` prints",
};
const noHeadingOption: FlagOption = {
  kind: "flag",
  name: "noheading",
  short: "n",
  summary: "Leave the table's headings out",
};
const signaturePolicyOption: TextOption = {
  kind: "text",
  name: "signature-policy",
  value: "FILE",
  summary: "The same as --policy, in podman's words",
  hidden: true,
  completion: "file",
};
const registryPathOption: TextOption = {
  kind: "text",
  name: "registrypath",
  value: "DIR",
  summary: "The same as --registries.d, in podman's words",
  hidden: true,
  completion: "directory",
};

export const command: Command = {
  name,
  summary: "Show whose signatures are trusted for which images",
  description: [
    "Shows the policy as a table: which images a rule is for, whether they are accepted, rejected or must be signed, by whose keys, until when those keys can sign, and where the signatures are looked for. A row that begins with `and` must be met as well; a key that begins with `or` may sign instead.",
    "With SCOPE only what governs it is shown: its own entry, or the nearest less specific one.",
  ],
  arguments: [
    {
      name: "SCOPE",
      summary: "A scope of the policy, an image name, or default",
      optional: true,
      completion: "nothing",
    },
  ],
  options: [
    policyOption,
    signaturePolicyOption,
    registriesDOption,
    registryPathOption,
    rootOption,
    outputFormatOption,
    podmanJsonOption,
    rawOption,
    noHeadingOption,
  ],
  examples: [
    { line: "signet trust show", purpose: "What this machine trusts" },
    { line: "signet trust show registry.example.com/team/app:1", purpose: "What governs one image" },
    { line: "signet trust show --root /mnt/node -o json", purpose: "What a node's file tree trusts, for a script" },
  ],
  async run(invocation, { terminal, now }) {
    const { currentHost, fileTreeHost, findPolicyFile, loadRegistriesD, readFileBounded, readKeyFile, resolveInRoot } =
      await import("@signet/images");
    const root = invocation.get(rootOption);
    const host = root === undefined ? currentHost() : fileTreeHost(root);
    const given = invocation.get(policyOption) ?? invocation.get(signaturePolicyOption);
    const path = await findPolicyFile({ host, ...(given === undefined ? {} : { path: given }) });
    const bytes = await readFileBounded(path, MAX_POLICY_BYTES, "policy");
    const formats = [rawOption, podmanJsonOption].filter((option) => invocation.get(option));
    if (formats.length + (invocation.get(outputFormatOption) === undefined ? 0 : 1) > 1)
      throw usage("use one of --raw, --json and --output", name);
    if (invocation.get(rawOption)) {
      terminal.bytes(bytes);
      return exitCodes.done;
    }
    const directory = invocation.get(registriesDOption) ?? invocation.get(registryPathOption);
    const registriesD = await loadRegistriesD({ host, ...(directory === undefined ? {} : { directory }) });
    for (const warning of registriesD.warnings) terminal.warn(warning);
    const { policy, refusal } = await readPolicy(bytes, path);
    const { reportTrust } = await import("../trust/trust-report.ts");
    const whole = reportTrust(policy, path, {
      registriesD,
      readKeyFile: (file) => readKeyFile(resolveInRoot(root, file)),
      now: now(),
    });
    const [scope] = invocation.arguments;
    const report = scope === undefined ? whole : narrow(whole, policy, scope, terminal);
    for (const problem of problemsOf(report)) terminal.warn(problem);
    if (invocation.get(outputFormatOption) === "json") terminal.json(report);
    else {
      const { podmanEntries, trustHeadings, trustRows } = await import("../trust/trust-rows.ts");
      if (invocation.get(podmanJsonOption)) terminal.json(podmanEntries(report));
      else printTable(invocation.get(noHeadingOption) ? [] : [trustHeadings], trustRows(report), terminal);
    }
    if (refusal !== undefined) throw refusal;
    return exitCodes.done;
  },
};

interface ShownPolicy {
  readonly policy: Policy;
  /** Why strict readers, podman and skopeo among them, refuse the whole policy: said last, behind what can be shown of it. */
  readonly refusal?: PolicyError;
}

async function readPolicy(bytes: Uint8Array, path: string): Promise<ShownPolicy> {
  try {
    return { policy: parsePolicy(bytes, path) };
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const { readPolicyTolerantly } = await import("../trust/tolerant-policy.ts");
    try {
      const { policy, unreadable } = readPolicyTolerantly(bytes, path);
      const left = unreadable.length === 0 ? "" : `; not shown: ${unreadable.join(", ")}`;
      const message = `no image can be pulled with this policy${left}: ${error.message}`;
      const hint = error.hint === undefined ? {} : { hint: error.hint };
      return { policy, refusal: new PolicyError(error.code, message, { cause: error, ...hint }) };
    } catch {
      throw error;
    }
  }
}

/** The entry of the scope itself in any transport, else the one that governs it. */
function narrow(report: TrustReport, policy: Policy, scope: string, terminal: Terminal): TrustReport {
  const scopes = report.scopes.filter((entry) => (entry.transport === null ? "default" : entry.scope) === scope);
  if (scopes.length > 0) return { ...report, scopes };
  const governing = findGoverningScope(policy, identityOf(scope)).scope;
  terminal.note(`${scope} has no entry of its own; what governs it: ${governing.label}`);
  const isGoverning = (entry: ScopeReport): boolean =>
    entry.transport === (governing.transport ?? null) && entry.scope === (governing.scope ?? null);
  return { ...report, scopes: report.scopes.filter(isGoverning) };
}

/** A host with or without its port, or a wildcard: a scope and no image. */
const hostForm = /^(?:\*\.[^:/]+|localhost|[^:/]*\.[^:/]*|[^:/]+(?=:\d))(?::\d+)?$/;

/** A scope, or the name of an image. */
function identityOf(text: string): PolicyIdentity {
  if (text.startsWith("/")) return pathPolicyIdentity("dir", text);
  const image = text.startsWith("docker://") ? text.slice("docker://".length) : text;
  if (hostForm.test(image)) return { transport: "docker", identity: image, namespaces: dockerScopeAncestors(image) };
  try {
    return dockerPolicyIdentity(parseReference(image));
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    throw new UsageError(
      "command-line-malformed",
      `${text} is neither a scope of the policy nor an image: ${error.message}`,
      {
        hint: "`signet trust show` lists the scopes",
      },
    );
  }
}

/** One line for each key that is named and cannot be used, each once. */
function problemsOf({ scopes }: TrustReport): readonly string[] {
  const keys = scopes.flatMap(({ requirements }) => requirements.flatMap((requirement) => requirement.keys));
  const lines = keys.flatMap(({ source, problems }) =>
    problems.map((problem) => (problem.includes(source) ? problem : `${source}: ${problem}`)),
  );
  return [...new Set(lines)];
}

/** Columns apart: two blanks. */
function printTable(
  headings: readonly (readonly string[])[],
  rows: readonly (readonly string[])[],
  terminal: Terminal,
): void {
  const all = [...headings, ...rows];
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd();
  for (const row of headings) terminal.line({ colour: "bold", text: format(row) });
  for (const row of rows) terminal.line(format(row));
}
