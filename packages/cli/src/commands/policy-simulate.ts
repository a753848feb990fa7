import type { Command, TextOption } from "../command-line/command.ts";
import { policyOption } from "../command-line/common-options.ts";
import { type ExitCode, exitCodeOfMany } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { namesInventory, readInventory } from "../images/inventory-options.ts";
import { type SimulationRun, runSimulation, simulationOptions } from "../simulation/simulation-run.ts";

const name = "policy simulate";

const newPolicyOption: TextOption = {
  kind: "text",
  name: policyOption.name,
  value: "FILE",
  summary: "The policy that is not in force yet, when it is not given as argument",
  completion: "file",
};
const againstOption: TextOption = {
  kind: "text",
  name: "against",
  value: "FILE|current",
  summary: "Compare with this policy; current is the one in force on this machine",
  completion: "file",
};
const outputOption: TextOption = {
  kind: "text",
  name: "output",
  short: "o",
  value: "FORMAT",
  choices: ["text", "json", "jsonl"],
  summary: "text, json or jsonl, which is one line of JSON an image (default text)",
  completion: "nothing",
};

export const command: Command = {
  name,
  summary: "Judge the images in use by a policy that is not in force yet",
  description: [
    "Says what a policy would do to the images that run, before it is rolled out: with --against what would stop being pulled, what would newly be allowed, and what is rejected either way, grouped by reason and with those who use it; without --against what it would reject.",
    "Images come from --from, as often as wanted: a plain list with one name a line, Kubernetes lists and objects as JSON or YAML (such as the output of `kubectl get pods -A -o json`, of any size), a folder of manifests, or a compose file. Names are read as kubelet and docker read them: nginx is docker.io/library/nginx:latest, and of a name with both a tag and a digest the digest counts. Each image is fetched once.",
    "With --resume the work can be cut short and gone on with: finished images are kept in a journal, which only fits the same policies, keys, registries.d, registries.conf, options and images. Images that could not be told are tried again.",
    "The exit status is 1 if anything would newly stop (without --against: if anything is rejected), else 2 if an image could not be told, else 0.",
  ],
  arguments: [{ name: "POLICY", summary: "The policy that is not in force yet", optional: true, completion: "file" }],
  options: [newPolicyOption, againstOption, outputOption, ...simulationOptions],
  examples: [
    {
      line: "kubectl get pods -A -o json | signet policy simulate new.json --against current --from -",
      purpose: "What a cluster could no longer pull",
    },
    {
      line: "signet policy simulate new.json --from manifests/ --from compose.yaml -o json",
      purpose: "What manifests and a compose file ask for that the policy rejects",
    },
    {
      line: "signet policy simulate new.json --against old.json --from images.txt --resume journal --jobs 16",
      purpose: "Thousands of images, to be gone on with after an interruption",
    },
  ],
  async run(invocation, runtime) {
    const path = readPolicyPath(invocation.arguments[0], invocation.get(newPolicyOption));
    if (!namesInventory(invocation))
      throw usage("say with --from which images are in use", name, "e.g. --from images.txt, or - for standard input");
    const { currentHost, loadPolicy } = await import("@signet/images");
    const host = currentHost();
    const next = await loadPolicy({ host, path });
    const against = invocation.get(againstOption);
    const present =
      against === undefined
        ? undefined
        : await loadPolicy({ host, ...(against === "current" ? {} : { path: against }) });
    const { images } = await readInventory(invocation, runtime);
    const names = { policy: next.path, against: present?.path };
    const output = invocation.get(outputOption) ?? "text";
    const { jsonLinesReport, jsonReport } = await import("../simulation/simulation-json.ts");
    const { textReport } = await import("../simulation/simulation-text.ts");
    const report =
      output === "text"
        ? textReport(images, present !== undefined, runtime.terminal)
        : (output === "json" ? jsonReport : jsonLinesReport)(images, names, runtime.terminal);
    const sides = { next: next.policy, ...(present === undefined ? {} : { present: present.policy }) };
    const run = await runSimulation(images, sides, invocation, runtime, report);
    if (run.isInterrupted) await runtime.interruption.ended;
    return exitCodeOf(run, present !== undefined);
  },
};

function readPolicyPath(argument: string | undefined, option: string | undefined): string {
  if (argument !== undefined && option !== undefined && argument !== option)
    throw usage("give the policy as argument or with --policy, not both", name);
  const path = argument ?? option;
  if (path === undefined) throw usage("POLICY is missing: the policy that is not in force yet", name);
  return path;
}

function exitCodeOf({ summary }: SimulationRun, isCompared: boolean): ExitCode {
  const { stops, rejected, undetermined } = summary.counts;
  return exitCodeOfMany({ isRejected: (isCompared ? stops : rejected) > 0, isUndetermined: undetermined > 0 });
}
