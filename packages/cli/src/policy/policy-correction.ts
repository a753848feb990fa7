/** `policy check --fix`: the safe corrections of a policy, shown or written. */
import { InternalError, type LintFinding, type Policy, editPolicy, parsePolicy } from "@signet/core";
import { replacePolicyFile } from "@signet/images";
import type { Terminal } from "../terminal/terminal.ts";
import { unifiedDiff } from "../terminal/unified-diff.ts";

/** A policy before and after its corrections. */
export interface PolicyCorrection {
  readonly before: Uint8Array;
  /** Parsed from what is to be written. */
  readonly policy: Policy;
  readonly findings: readonly LintFinding[];
}

/**
 * The corrections that the findings offer, in one new document; undefined when there is none. It has been parsed anew: what is written is a policy.
 * @param source the file's name for messages
 */
export function correctPolicy(
  policy: Policy,
  findings: readonly LintFinding[],
  source: string,
): PolicyCorrection | undefined {
  const before = policy.raw!;
  const { bytes, applied } = editPolicy(
    before,
    findings.flatMap(({ edits }) => edits),
  );
  if (applied.length === 0) return undefined;
  const corrected = findings.filter(({ edits }) => edits.some((edit) => applied.includes(edit)));
  return { before, policy: parseCorrected(bytes, source), findings: corrected };
}

function parseCorrected(bytes: Uint8Array, source: string): Policy {
  try {
    return parsePolicy(bytes, source);
  } catch (cause) {
    throw new InternalError(`the corrections of ${source} do not leave a policy; nothing was written`, { cause });
  }
}

/** The corrections as a unified diff on standard output. */
export function showCorrection({ before, policy }: PolicyCorrection, file: string, terminal: Terminal): void {
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const lines = unifiedDiff(text(before), text(policy.raw!), file, file);
  terminal.bytes(new TextEncoder().encode(`${lines.join("\n")}\n`));
}

/**
 * Writes the corrected policy in one step; the one before stays as `FILE.bak`.
 * @throws StoreError `store-busy` when somebody else has changed the file since it was read, `file-unwritable`, `disk-full`
 */
export async function writeCorrection({ before, policy }: PolicyCorrection, file: string): Promise<void> {
  await replacePolicyFile(file, before, policy.raw!);
}
