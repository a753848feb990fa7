import { type Policy, signedByPolicy } from "@signet/core";
import type { ImageRow } from "@signet/images";
import type { Command, FlagOption, Invocation, ListOption, TextOption } from "../command-line/command.ts";
import {
  jobsOption,
  outputFormatOption,
  overrideArchOption,
  overrideOsOption,
  overrideVariantOption,
  policyOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { type ExitCode, exitCodeOfMany } from "../command-line/exit-code.ts";
import { openPgpOptions, readSwitches } from "../command-line/openpgp-options.ts";
import { usage } from "../command-line/parse.ts";
import { parseReferenceArgument } from "../command-line/reference-argument.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { manifestOption, readOfflineOptions, signaturesOption } from "../images/offline-options.ts";
import type { Runtime } from "../runtime.ts";
import { exitStatusOf } from "../terminal/failure.ts";
import { reportResults } from "../verdicts/verdict-report.ts";
import { printRow, printSummary } from "../verdicts/verdict-text.ts";

const name = "verify";

const keyOption: ListOption = {
  kind: "list",
  name: "key",
  value: "FILE|FINGERPRINT|EMAIL",
  summary: "Judge by this key instead of a policy; of several, a signature by any is enough",
  completion: "file",
};
const identityOption: TextOption = {
  kind: "text",
  name: "identity",
  value: "REF",
  summary: "With --key: what must have been signed, a reference or a whole repository (default: the image's own name)",
  completion: "nothing",
};
const fromOption: TextOption = {
  kind: "text",
  name: "from",
  value: "FILE",
  summary: "Read image names from a file, one a line; - for standard input",
  completion: "file",
};
const allOption: FlagOption = {
  kind: "flag",
  name: "all",
  short: "a",
  summary: "Of a list judge every instance and the list itself, not this platform's instance alone",
};

export const command: Command = {
  name,
  summary: "Judge images by a policy, or by keys",
  description: [
    "Judges whether images may be used: by the signatures stored for them and the requirements of policy.json. Of a manifest list the instance for this platform is judged, as podman and skopeo do.",
    "Each image gets a line: accepted with its signers, rejected with the reasons, or undetermined with the error that prevented judging. The exit status is 1 if any image is rejected, else 2 if any is undetermined, else 0.",
  ],
  arguments: [
    {
      name: "IMAGE",
      summary:
        "docker://…, dir:…, oci:…, oci-archive:…, docker-archive:…, docker-daemon:… or containers-storage:…; a bare name means docker://",
      optional: true,
      repeats: true,
    },
  ],
  options: [
    keyOption,
    identityOption,
    policyOption,
    fromOption,
    manifestOption,
    signaturesOption,
    allOption,
    outputFormatOption,
    jobsOption,
    registriesDOption,
    registriesConfOption,
    overrideOsOption,
    overrideArchOption,
    overrideVariantOption,
    ...registryOptions.all,
    retryTimesOption,
    ...openPgpOptions,
  ],
  examples: [
    { line: "signet verify registry.example.com/app:1", purpose: "By the policy of this machine" },
    {
      line: "signet verify --key release.asc --identity registry.example.com/app dir:app",
      purpose: "By a key, with no policy file",
    },
    {
      line: "signet verify --manifest app.json --signatures sigs registry.example.com/app:1",
      purpose: "Offline: a manifest and signatures that were fetched before",
    },
    {
      line: "oc get pods -A -o jsonpath='{..image}' | tr ' ' '\\n' | signet verify --policy new.json --from -",
      purpose: "All that runs in a cluster, by a policy that is not in force yet",
    },
  ],
  async run(invocation, runtime) {
    const names = await readNames(invocation);
    const policy = await choosePolicy(invocation);
    const rows = await verify(names, policy, invocation, runtime);
    const report = reportResults(rows);
    if (invocation.get(outputFormatOption) === "json") runtime.terminal.json(report);
    else if (rows.length > 1) printSummary(report, runtime.terminal);
    return exitCodeOf(rows);
  },
};

async function readNames(invocation: Invocation): Promise<readonly string[]> {
  const from = invocation.get(fromOption);
  if (from === undefined) {
    if (invocation.arguments.length === 0) throw usage("name at least one image, or a list with --from", name);
    return invocation.arguments;
  }
  const { readImageList } = await import("../images/image-list.ts");
  return [...invocation.arguments, ...(await readImageList(from))];
}

async function choosePolicy(invocation: Invocation): Promise<Policy> {
  const { currentHost, loadPolicy } = await import("@signet/images");
  const keys = invocation.get(keyOption);
  const identity = invocation.get(identityOption);
  const path = invocation.get(policyOption);
  if (keys.length === 0) {
    if (identity !== undefined) throw usage("--identity needs --key", name, "a policy says itself what must be signed");
    return (await loadPolicy({ host: currentHost(), ...(path === undefined ? {} : { path }) })).policy;
  }
  if (path !== undefined) throw usage("use --key or --policy, not both", name);
  if (identity !== undefined) parseReferenceArgument(identity);
  const { readPublicKeys } = await import("../keys/key-source.ts");
  const files = await Promise.all(keys.map(readPublicKeys));
  return signedByPolicy(files, identity);
}

async function verify(
  names: readonly string[],
  policy: Policy,
  invocation: Invocation,
  runtime: Runtime,
): Promise<readonly ImageRow[]> {
  const { verifyImages } = await import("@signet/images");
  const { openImageAccess } = await import("../images/image-access.ts");
  const { readPlatform } = await import("../images/platform-options.ts");
  const jobs = invocation.get(jobsOption);
  const isText = invocation.get(outputFormatOption) !== "json";
  const offline = readOfflineOptions(invocation, name);
  if (offline !== undefined && names.length > 1)
    throw usage("--manifest stands for one image, and several are named", name);
  await using access = offline === undefined ? await openImageAccess(invocation, registryOptions, runtime) : undefined;
  const done: ImageRow[] = [];
  let printed = 0;
  let count = 0;
  return await verifyImages(names, {
    policy,
    now: runtime.now(),
    switches: readSwitches(invocation),
    platform: readPlatform(invocation),
    all: invocation.get(allOption),
    open: access?.open ?? (offline === undefined ? {} : { offline }),
    ...(access === undefined ? {} : { names: access.names }),
    ...(jobs === undefined ? {} : { jobs }),
    onRow: (row, index) => {
      done[index] = row;
      // In the order of the names, as soon as all before are known.
      for (; isText && done[printed] !== undefined; printed++) printRow(done[printed]!, runtime.terminal);
      count++;
      if (names.length > 1) runtime.progress.count(count, names.length, "images judged");
    },
  });
}

function exitCodeOf(rows: readonly ImageRow[]): ExitCode {
  const [first] = rows;
  // A single name that is no name is a mistake on the command line; among others it is one row of several.
  if (rows.length === 1 && first?.outcome === "undetermined") return exitStatusOf(first.error);
  const has = (wanted: ImageRow["outcome"]): boolean => rows.some(({ outcome }) => outcome === wanted);
  return exitCodeOfMany({ isRejected: has("rejected"), isUndetermined: has("undetermined") });
}
