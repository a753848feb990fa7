import { type Policy, SignetError } from "@signet/core";
import type { ExplainOptions, ExplainedVerdict } from "@signet/images";
import type { Command, FlagOption, Invocation } from "../command-line/command.ts";
import {
  outputFormatOption,
  overrideArchOption,
  overrideOsOption,
  overrideVariantOption,
  policyOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
  rootOption,
} from "../command-line/common-options.ts";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import { openPgpOptions, readSwitches } from "../command-line/openpgp-options.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { manifestOption, readOfflineOptions, signaturesOption } from "../images/offline-options.ts";
import type { RegistriesConfAccess } from "../registry/registries-conf-access.ts";
import type { Runtime } from "../runtime.ts";

const name = "policy explain";

const allOption: FlagOption = {
  kind: "flag",
  name: "all",
  short: "a",
  summary: "Of a list explain every instance and the list itself, not this platform's instance alone",
};

const exitCodesByVerdict: Readonly<Record<ExplainedVerdict, ExitCode>> = {
  accepted: exitCodes.done,
  rejected: exitCodes.rejected,
  undetermined: exitCodes.failed,
};

export const command: Command = {
  name,
  summary: "Say why an image would be accepted or refused, and what would help",
  description: [
    "Judges one image as `signet verify` does and shows everything that the verdict depends on: each scope in the order of look-up and the one that governs; the store that was asked for signatures, why that one, and what it answered; each requirement with its keys; each signature with each check. The first check that failed is marked, and the last line is what would help: a command where there is one.",
    "What kept it from being judged (a registry that does not answer, a key that cannot be read) is part of the explanation. The exit status is 0 for an accepted image, 1 for a rejected one, and 2 when it could not be told.",
    "With --manifest no network is asked: the file is judged as if IMAGE were it, with the signatures that lie in the folder that --signatures names, or as unsigned without one.",
    "An image that registries.conf sends to mirrors or another location is looked for there, and each place that was tried is shown: the policy goes by the name that was asked for; the store of signatures and credentials go by the place that served. With --root those of the tree count, but no helper that they name is started, and no credentials go to a registry that only they call insecure.",
  ],
  arguments: [{ name: "IMAGE", summary: "docker://…, dir:…, oci:… or oci-archive:…; a bare name means docker://" }],
  options: [
    policyOption,
    registriesDOption,
    registriesConfOption,
    rootOption,
    manifestOption,
    signaturesOption,
    allOption,
    outputFormatOption,
    overrideOsOption,
    overrideArchOption,
    overrideVariantOption,
    ...registryOptions.all,
    retryTimesOption,
    ...openPgpOptions,
  ],
  examples: [
    { line: "signet policy explain registry.example.com/team/app:1", purpose: "Why does this machine refuse it?" },
    {
      line: "signet policy explain --root /mnt/node registry.example.com/team/app:1",
      purpose: "Why does the node refuse it whose file tree is mounted there?",
    },
    {
      line: "signet policy explain --manifest app.json --signatures sigs registry.example.com/team/app:1",
      purpose: "Offline, from files",
    },
  ],
  async run(invocation, runtime) {
    const { explainImage, parseImageName } = await import("@signet/images");
    const offline = readOfflineOptions(invocation, name);
    const [text] = invocation.arguments as [string];
    const registriesConf = offline === undefined ? await openConf(invocation, runtime) : undefined;
    const image = await parseImageName(text, registriesConf);
    const { readPlatform } = await import("../images/platform-options.ts");
    const options: ExplainOptions = {
      ...(await readTrust(invocation)),
      now: runtime.now(),
      switches: readSwitches(invocation),
      platform: readPlatform(invocation),
      all: invocation.get(allOption),
      fix: fixOptions(invocation),
      ...(offline === undefined ? {} : { offline }),
    };
    await using stack = new AsyncDisposableStack();
    const registry =
      registriesConf === undefined ? {} : { registry: await openRegistry(invocation, runtime, stack, registriesConf) };
    const explanation = await explainImage(image, { ...options, ...registry });
    if (invocation.get(outputFormatOption) === "json") {
      const { reportExplanation } = await import("../explain/explain-report.ts");
      runtime.terminal.json(reportExplanation(explanation));
    } else {
      const { printExplanation } = await import("../explain/explain-text.ts");
      const { treeStyleFor } = await import("../explain/tree.ts");
      const { terminal, env } = runtime;
      const columns = terminal.isTerminal ? process.stdout.columns : undefined;
      printExplanation(explanation, terminal, treeStyleFor(terminal.isTerminal, columns, env));
    }
    return exitCodesByVerdict[explanation.verdict];
  },
};

/** The policy and its keys, of this machine or of a file tree. */
async function readTrust(
  invocation: Invocation,
): Promise<{ readonly policy: Policy; readonly readKeyFile: (path: string) => Uint8Array }> {
  const { currentHost, fileTreeHost, loadPolicy, resolveInTree, readKeyFile } = await import("@signet/images");
  const root = invocation.get(rootOption);
  const path = invocation.get(policyOption);
  const host = root === undefined ? currentHost() : fileTreeHost(root);
  const { policy } = await loadPolicy({ host, ...(path === undefined ? {} : { path }) });
  return { policy, readKeyFile: root === undefined ? readKeyFile : (file) => readKeyFile(resolveInTree(root, file)) };
}

async function openConf(invocation: Invocation, runtime: Runtime): Promise<RegistriesConfAccess> {
  const { openRegistriesConf } = await import("../registry/registries-conf-access.ts");
  return openRegistriesConf(invocation, runtime, invocation.get(rootOption));
}

/** What asking registries and stores takes. Configuration that cannot be read is part of the explanation, not the end of it. */
async function openRegistry(
  invocation: Invocation,
  runtime: Runtime,
  stack: AsyncDisposableStack,
  registriesConf: RegistriesConfAccess,
): Promise<NonNullable<ExplainOptions["registry"]>> {
  const { RegistryClients, fileTreeHost, loadRegistriesD, placeInTree, pullEndpoints } = await import("@signet/images");
  const { readRegistryAccess } = await import("../registry/registry-access.ts");
  const access = await readRegistryAccess(invocation, registryOptions, runtime);
  const directory = invocation.get(registriesDOption);
  const root = invocation.get(rootOption);
  const host = root === undefined ? access.host : fileTreeHost(root);
  const isTheirs = root !== undefined && invocation.get(registriesConfOption) === undefined;
  try {
    const loaded = await loadRegistriesD({ host, ...(directory === undefined ? {} : { directory }) });
    for (const warning of loaded.warnings) runtime.terminal.warn(warning);
    const registriesD = root === undefined ? loaded : placeInTree(loaded, root);
    const credentialHelpers = async (): Promise<readonly string[] | undefined> =>
      (await registriesConf.load()).credentialHelpers;
    return {
      clients: stack.use(new RegistryClients({ ...access, credentialHelpers, anonymousWhereInsecure: isTheirs })),
      registriesD,
      resolveEndpoints: async (reference) => pullEndpoints(await registriesConf.load(), reference),
    };
  } catch (error) {
    if (error instanceof SignetError && error.code !== "proxy-malformed") return error;
    throw error;
  }
}

/** The options of this call that the command of a fix needs as well. Credentials are not repeated. */
function fixOptions(invocation: Invocation): NonNullable<ExplainOptions["fix"]> {
  const repeat = (option: typeof policyOption): readonly string[] => {
    const value = invocation.get(option);
    return value === undefined ? [] : [`--${option.name}`, value];
  };
  const isPlain = invocation.get(registryOptions.tlsVerify) === false;
  return {
    policy: [...repeat(policyOption), ...repeat(rootOption)],
    store: repeat(registriesDOption),
    registry: [
      ...repeat(registriesConfOption),
      ...repeat(registryOptions.authFile),
      ...repeat(registryOptions.certDir),
      ...(isPlain ? ["--tls-verify=false"] : []),
    ],
  };
}
