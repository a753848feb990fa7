import { type NewRule, writeRequirements } from "@signet/core";
import type { StoreChange, TrustFiles } from "@signet/images";
import type { Invocation } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import type { Runtime } from "../runtime.ts";
import { surprisesOfDefault } from "./edit-effects.ts";
import { printEdit } from "./edit-report.ts";
import { editTrust } from "./edit-trust.ts";
import { describeRule } from "./rule-text.ts";

/** What is said beside what the edit itself shows. */
interface Sayings {
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
}

/** Sets the rule for everything that no scope names, and says what that changes. */
export async function setDefault(
  rule: NewRule,
  store: StoreChange | undefined,
  files: TrustFiles,
  invocation: Invocation,
  runtime: Runtime,
  sayings: Sayings = { warnings: [], notes: [] },
): Promise<ExitCode> {
  const requirements = writeRequirements(rule);
  const change = { kind: "default", requirements, ...(store === undefined ? {} : { store }) } as const;
  const { edit, before, after, isDryRun } = await editTrust(change, files, invocation, runtime);
  const was = before.default === undefined ? "" : describeRule(before.default);
  const is = describeRule(after.default);
  const isChange = edit.files.length > 0;
  const named = [...after.transports.values()].reduce((count, scopes) => count + scopes.size, 0);
  const unnamed = named === 0 ? "every image" : `every image that none of the ${named} scopes names`;
  await printEdit(
    edit,
    {
      target: { default: true },
      outcome: `default: ${unnamed} is ${is}${was === "" || was === is ? "" : ` (before: ${was})`}`,
      warnings: sayings.warnings,
      notes: [...sayings.notes, ...(isChange ? surprisesOfDefault(after) : [])],
      isDryRun,
      isJson: invocation.get(outputFormatOption) === "json",
      more: { rule: is },
    },
    runtime.terminal,
  );
  return exitCodes.done;
}
