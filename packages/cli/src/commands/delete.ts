import type { DeleteResult } from "@signet/images";
import type { Command, FlagOption } from "../command-line/command.ts";
import {
  outputFormatOption,
  registriesDOption,
  registriesConfOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import type { Terminal } from "../terminal/terminal.ts";

const allOption: FlagOption = {
  kind: "flag",
  name: "all",
  short: "a",
  summary: "Of a list in a registry delete the instances as well, except those that other tags use",
};
const keepSignaturesOption: FlagOption = {
  kind: "flag",
  name: "keep-signatures",
  summary: "Leave the signatures where they are",
};
const dryRunOption: FlagOption = {
  kind: "flag",
  name: "dry-run",
  summary: "Say what would be deleted, and delete nothing",
};

export const command: Command = {
  name: "delete",
  summary: "Delete an image, and with it its signatures",
  description: [
    "Resolves the name once and deletes the manifest with that digest, then its signatures where registries.d has them written. All other tags of that digest vanish as well; they are named. No policy is asked.",
    "The manifest goes first: a deletion that fails leaves a signed image signed. If signatures could not be removed afterwards, the exit status is 2, and the same command with the digest completes it; what a killed process left, the same command completes: the store keeps a note of it. Signatures behind a registry's signatures API cannot be removed by clients; what the registry did with them is said.",
    "Of dir: the files of the image are removed, of oci: the entry in the index and the blobs that no other image needs, of oci-archive: the file, if it holds nothing else.",
  ],
  arguments: [{ name: "IMAGE", summary: "docker://…, dir:…, oci:… or oci-archive:…; a bare name means docker://" }],
  options: [
    allOption,
    keepSignaturesOption,
    dryRunOption,
    outputFormatOption,
    registriesDOption,
    registriesConfOption,
    ...registryOptions.all,
    retryTimesOption,
  ],
  examples: [
    { line: "signet delete --dry-run registry.example.com/app:1", purpose: "What would go, other tags included" },
    { line: "signet delete --all docker://registry.example.com/app:1", purpose: "A list with its instances" },
  ],
  async run(invocation, runtime) {
    const { interruption, terminal } = runtime;
    const { deleteImage, parseImageName } = await import("@signet/images");
    const { openImageAccess } = await import("../images/image-access.ts");
    const name = await parseImageName(invocation.arguments[0]!);
    await using access = await openImageAccess(invocation, registryOptions, runtime);
    // What was begun is brought to its end: half a deletion is no better than a whole one.
    const result = await interruption.finish(
      deleteImage(name, {
        open: access.open,
        all: invocation.get(allOption),
        keepSignatures: invocation.get(keepSignaturesOption),
        dryRun: invocation.get(dryRunOption),
        // Should the process be killed, this says what it was about.
        onBegin: (digest) => runtime.progress.step(`Deleting ${name.text}${digest === undefined ? "" : `, ${digest}`}`),
      }),
    );
    for (const warning of result.warnings) terminal.warn(warning);
    if (invocation.get(outputFormatOption) === "json") terminal.json({ ...result, digest: result.digest ?? null });
    else print(result, terminal);
    return exitCodes.done;
  },
};

function print(result: DeleteResult, terminal: Terminal): void {
  const { dryRun, image, digest, manifests, otherTags, signatures, removed } = result;
  const verb = dryRun ? "would delete" : "deleted";
  const indent = " ".repeat(verb.length + 2);
  terminal.line(`${verb}  ${image}${digest === undefined ? "" : `  ${digest}`}`);
  for (const { digest: one, outcome } of manifests) {
    if (one !== digest) terminal.line(`${indent}instance ${one}${outcome === "deleted" ? "" : `: ${words[outcome]}`}`);
    else if (outcome === "gone") terminal.line(`${indent}the manifest was gone already`);
  }
  if (otherTags.length > 0)
    terminal.line(`${indent}${dryRun ? "as well" : "gone as well"}: tags ${otherTags.join(", ")}`);
  for (const { store, removed: count, left, digest: one } of signatures) {
    const what = dryRun ? left : count;
    if (what > 0) terminal.line(`${indent}${what} ${what === 1 ? "signature" : "signatures"} of ${one} in ${store}`);
  }
  if (removed.length > 0) terminal.line(`${indent}${removed.length} ${removed.length === 1 ? "file" : "files"}`);
}

const words = { gone: "was gone already", shared: "stays, as other images use it" } as const;
