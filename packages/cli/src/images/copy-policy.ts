/** The policy that governs a copy. */
import { type Policy, RejectedError, insecureAcceptAnythingPolicy } from "@signet/core";
import {
  type CopyOptions,
  type ImageSource,
  currentHost,
  judgeManifest,
  loadPolicy,
  makeTrustAnchors,
} from "@signet/images";
import type { Invocation } from "../command-line/command.ts";
import { insecurePolicyOption, policyOption } from "../command-line/common-options.ts";
import { readSwitches } from "../command-line/openpgp-options.ts";
import { usage } from "../command-line/parse.ts";
import type { Runtime } from "../runtime.ts";

/** @throws UsageError `command-line-malformed`; StoreError `policy-missing` and PolicyError for a policy that cannot be read */
export async function choosePolicy(invocation: Invocation, runtime: Runtime): Promise<Policy> {
  const path = invocation.get(policyOption);
  if (invocation.get(insecurePolicyOption)) {
    if (path !== undefined) throw usage("use --policy or --insecure-policy, not both", "copy");
    runtime.terminal.warn("--insecure-policy: the image is copied without being judged");
    return insecureAcceptAnythingPolicy();
  }
  return (await loadPolicy({ host: currentHost(), ...(path === undefined ? {} : { path }) })).policy;
}

/** Judges every manifest that is about to be copied; a rejection ends the copy before anything is written. */
export function makeEnforcement(
  source: ImageSource,
  policy: Policy,
  invocation: Invocation,
  { now, terminal }: Runtime,
): NonNullable<CopyOptions["enforce"]> {
  const judging = { policy, now: now(), switches: readSwitches(invocation), trustAnchors: makeTrustAnchors() };
  return async (manifest) => {
    const { verdict, lookup } = await judgeManifest(source, manifest, judging);
    for (const warning of [...verdict.evidence.warnings, ...(lookup?.warnings ?? [])]) terminal.warn(warning);
    if (verdict.verdict === "accepted") return;
    const { reasons, evidence } = verdict;
    const hint = reasons.find((reason) => reason.hint !== undefined)?.hint;
    throw new RejectedError(
      "image-rejected",
      `Source image rejected: ${reasons.map(({ message }) => message).join("; ")}`,
      { details: { reasons, evidence }, ...(hint === undefined ? {} : { hint }) },
    );
  };
}
