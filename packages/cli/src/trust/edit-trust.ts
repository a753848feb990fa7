import { type PolicyOutline, outlinePolicy } from "@signet/core";
import { type TrustChange, type TrustEdit, type TrustFiles, makeTrustEdit, planTrustEdit } from "@signet/images";
import type { Invocation } from "../command-line/command.ts";
import type { Runtime } from "../runtime.ts";
import { dryRunOption } from "./trust-options.ts";

/** An edit, and the policy on both sides of it. */
export interface Edited {
  readonly edit: TrustEdit;
  readonly before: PolicyOutline;
  readonly after: PolicyOutline;
  readonly isDryRun: boolean;
}

const nothing: PolicyOutline = { policy: undefined, refusal: undefined, transports: new Map(), default: undefined };

/** Makes the change, or with `--dry-run` only plans it. An interruption waits until all files are written. */
export async function editTrust(
  change: TrustChange,
  files: TrustFiles,
  invocation: Invocation,
  { interruption }: Runtime,
): Promise<Edited> {
  const isDryRun = invocation.get(dryRunOption);
  const edit = await (isDryRun ? planTrustEdit(change, files) : interruption.finish(makeTrustEdit(change, files)));
  return { edit, before: edit.before ?? nothing, after: outlinePolicy(edit.after.bytes, edit.policyPath), isDryRun };
}
