import { PolicyError, type PolicyOutline } from "@signet/core";
import type { Command, FlagOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { findNearest } from "../command-line/nearest.ts";
import { usage } from "../command-line/parse.ts";
import { governingBeside, labelOf } from "../trust/edit-effects.ts";
import { printEdit } from "../trust/edit-report.ts";
import { editTrust } from "../trust/edit-trust.ts";
import { describeRule, rankOf } from "../trust/rule-text.ts";
import { readTarget, scopeArgument } from "../trust/scope-argument.ts";
import { fileOptions, readTrustFiles, scopeOptions } from "../trust/trust-options.ts";

const name = "trust remove";

const keepStoreOption: FlagOption = {
  kind: "flag",
  name: "keep-store",
  summary: "Leave the scope's section in registries.d",
};
/** atomic's name for the same. */
const saveSigstoreOption: FlagOption = { ...keepStoreOption, name: "save-sigstore", hidden: true };

export const command: Command = {
  name,
  summary: "Take the rule of a scope out of the policy",
  description: [
    "Removes a scope from policy.json and its section from registries.d; what else stands there stays. Its images are then governed by the next less specific scope, or the default: the command says by which.",
  ],
  arguments: [{ ...scopeArgument, summary: "A scope as it stands in the policy" }],
  options: [...scopeOptions, keepStoreOption, saveSigstoreOption, ...fileOptions],
  examples: [{ line: "signet trust remove registry.example.com/test", purpose: "Back to the rule of the registry" }],
  async run(invocation, runtime) {
    const target = readTarget(invocation, name, { mustMatch: false, force: false });
    if (target.kind === "default") {
      throw usage("a policy always has a default", name, "`signet trust default accept` or `reject` changes it");
    }
    const { transport, scope } = target;
    const keepStore = invocation.get(keepStoreOption) || invocation.get(saveSigstoreOption);
    const files = await readTrustFiles(invocation, name);
    const withStore = !keepStore && transport === "docker" && scope !== "";
    const change = { kind: "remove", transport, scope, withStore } as const;
    const { edit, before, after, isDryRun } = await editTrust(change, files, invocation, runtime);
    const old = before.transports.get(transport)?.get(scope);
    // A section of registries.d alone is what an interrupted removal leaves.
    if (old === undefined && edit.files.length === 0) throw noSuchScope(before, transport, scope, edit.policyPath);
    const governing = governingBeside(after, transport, scope);
    const rank = rankOf(
      governing.scope === undefined ? after.default : after.transports.get(transport)?.get(governing.scope),
    );
    const isLooser = old !== undefined && rank < rankOf(old);
    await printEdit(
      edit,
      {
        target: { transport, scope },
        outcome: `${labelOf(transport, scope)}: no longer named; governed by ${governing.label}: ${governing.rule}`,
        warnings: isLooser
          ? [`that asks for less than the rule that went: ${labelOf(transport, scope)} was ${describeRule(old)}`]
          : [],
        notes: [],
        isDryRun,
        isJson: invocation.get(outputFormatOption) === "json",
        more: {
          governedBy: { transport: governing.transport ?? null, scope: governing.scope ?? null, rule: governing.rule },
        },
      },
      runtime.terminal,
    );
    return exitCodes.done;
  },
};

/** Scopes named in a hint. */
const MAX_NAMED_SCOPES = 5;

function noSuchScope(policy: PolicyOutline, transport: string, scope: string, path: string): PolicyError {
  return new PolicyError("scope-missing", `${path} has no scope ${labelOf(transport, scope)}`, {
    hint: hintFor(policy, transport, scope),
  });
}

function hintFor(policy: PolicyOutline, transport: string, scope: string): string {
  const own = [...(policy.transports.get(transport)?.keys() ?? [])];
  const elsewhere = [...policy.transports].find(([, scopes]) => scopes.has(scope));
  if (elsewhere !== undefined) return `it is a scope of another transport: --transport ${elsewhere[0]}`;
  const nearest = findNearest(scope, own);
  const near = own.filter((other) => other !== "" && (other.includes(scope) || scope.includes(other)));
  const named = [...new Set([...(nearest === undefined ? [] : [nearest]), ...near])].slice(0, MAX_NAMED_SCOPES);
  if (named.length > 0)
    return `there ${named.length === 1 ? "is" : "are"} ${named.map((other) => labelOf(transport, other)).join(", ")}`;
  return own.length === 0
    ? `it has no scopes of transport ${transport}`
    : "`signet trust show` lists those that are there";
}
