import type { PolicyChange, PolicyDiff, ScopeDiff } from "@signet/core";
import type { Command, TextOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { type ExitCode, exitCodeOfMany, exitCodes } from "../command-line/exit-code.ts";
import { namesInventory, readInventory } from "../images/inventory-options.ts";
import { type SimulationReport, runSimulation, simulationOptions } from "../simulation/simulation-run.ts";
import type { Painted, Terminal } from "../terminal/terminal.ts";

const failOnOption: TextOption = {
  kind: "text",
  name: "fail-on",
  value: "CHANGE",
  choices: ["none", "looser", "stricter", "any"],
  summary: "Exit with status 1 for such a change: looser, stricter or any (default none)",
  completion: "nothing",
};

/** Changes that end with status 1. What could not be compared may be either, and counts as what is feared. */
const failing: Readonly<Record<string, readonly PolicyChange[]>> = {
  none: [],
  looser: ["looser", "different"],
  stricter: ["stricter", "different"],
  any: ["looser", "stricter", "different"],
};

export const command: Command = {
  name: "policy diff",
  summary: "Say what became stricter, looser or different between two policies",
  description: [
    "Compares two policies scope by scope. A scope that only one of them has is compared with what governs its images in the other. Stricter is said only when every image that B accepts is accepted by A; looser when every image that A accepts is accepted by B; what cannot be ordered is different.",
    "Requirements of one scope are ANDed: B is within A if for each requirement of A there is one of B that accepts no more. Of signatures fewer keys and a narrower signedIdentity (matchExact, matchRepoDigestOrExact, matchRepository; exactReference, exactRepository) accept less. Keys are compared by fingerprint where their files can be read, else by path.",
    "With --from also says which of the images in use change, as `signet policy simulate B --against A` does.",
    "The exit status is 0 for a report, whatever it says; with --fail-on looser it is 1 if anything became looser or different, with stricter if anything became stricter or different, with any if anything changed.",
  ],
  arguments: [
    { name: "A", summary: "The policy before", completion: "file" },
    { name: "B", summary: "The policy after", completion: "file" },
  ],
  options: [failOnOption, outputFormatOption, ...simulationOptions],
  examples: [
    { line: "signet policy diff /etc/containers/policy.json new.json", purpose: "What a new policy changes" },
    { line: "signet policy diff old.json new.json --fail-on looser", purpose: "A gate that no loosening passes" },
    {
      line: "signet policy diff old.json new.json --from images.txt -o json",
      purpose: "Also which images in use change",
    },
  ],
  async run(invocation, runtime) {
    const [pathA, pathB] = invocation.arguments as readonly [string, string];
    const { currentHost, loadPolicy, readComparedKeys } = await import("@signet/images");
    const { diffPolicies } = await import("@signet/core");
    const host = currentHost();
    const a = await loadPolicy({ host, path: pathA });
    const b = await loadPolicy({ host, path: pathB });
    const diff = diffPolicies(a.policy, b.policy, readComparedKeys);
    const status: ExitCode = failing[invocation.get(failOnOption) ?? "none"]!.some((change) => diff.counts[change] > 0)
      ? exitCodes.rejected
      : exitCodes.done;
    const { terminal } = runtime;
    const isJson = invocation.get(outputFormatOption) === "json";
    const document = { a: a.path, b: b.path, scopes: diff.scopes.map(scopeDocument), summary: diff.counts };
    if (!namesInventory(invocation)) {
      if (isJson) terminal.json(document);
      else printDiff(diff, terminal);
      return status;
    }
    const { images } = await readInventory(invocation, runtime);
    if (!isJson) printDiff(diff, terminal);
    const { summaryOf } = await import("../simulation/simulation-json.ts");
    const { textReport } = await import("../simulation/simulation-text.ts");
    const report: SimulationReport = isJson
      ? {
          begin: () => {},
          row: () => {},
          end: (run) => terminal.json({ ...document, images: summaryOf(images, run) }),
        }
      : textReport(images, true, terminal);
    const run = await runSimulation(images, { next: b.policy, present: a.policy }, invocation, runtime, report);
    if (run.isInterrupted) await runtime.interruption.ended;
    // A comparison that was asked about images and could not tell for some is not whole.
    return exitCodeOfMany({
      isRejected: status === exitCodes.rejected,
      isUndetermined: run.summary.counts.undetermined > 0,
    });
  },
};

function scopeDocument(diff: ScopeDiff): object {
  const { presence, change, before, after, reasons } = diff;
  return { transport: diff.transport ?? null, scope: diff.scope ?? null, presence, change, before, after, reasons };
}

const colours: Readonly<Record<PolicyChange, Painted["colour"]>> = {
  same: "dim",
  stricter: "green",
  looser: "red",
  different: "yellow",
};

function printDiff({ scopes, counts }: PolicyDiff, terminal: Terminal): void {
  for (const { label, change, presence, before, after, reasons } of scopes) {
    if (change === "same") continue;
    terminal.line(
      `${label}: `,
      { colour: colours[change], text: change },
      `: ${before.requirements} → ${after.requirements}`,
    );
    if (presence === "added") terminal.line(`    new scope, governed by ${before.governedBy} before`);
    if (presence === "removed") terminal.line(`    scope removed, governed by ${after.governedBy} now`);
    for (const reason of reasons) terminal.line(`    ${reason}`);
  }
  const { same, stricter, looser, different } = counts;
  terminal.line(
    `${scopes.length} ${scopes.length === 1 ? "scope" : "scopes"}: ${stricter} stricter, ${looser} looser, ${different} different, ${same} the same`,
  );
}
