import type { MachineConfig } from "@signet/openshift";
import type { Command, FlagOption, Invocation, ListOption, TextOption } from "../command-line/command.ts";
import { registriesDOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import type { Runtime } from "../runtime.ts";

const name = "machineconfig render";

const policyOption: TextOption = {
  kind: "text",
  name: "policy",
  value: "FILE",
  summary: "The policy.json that the nodes get",
  completion: "file",
};
const trustDirOption: TextOption = {
  kind: "text",
  name: "trust-dir",
  value: "DIR",
  summary: "Every file below this folder goes to the nodes, to the same path from their root folder",
  completion: "directory",
};
const filesDirOption: TextOption = {
  kind: "text",
  name: "files-dir",
  short: "d",
  value: "DIR",
  summary: "Where `local` files and trees of the Butane file are",
  completion: "directory",
};
const keyOption: ListOption = {
  kind: "list",
  name: "key",
  value: "FILE|NODEPATH=FILE",
  summary: "A key file that the policy names, found here: by its path on the node, or by its file name",
  completion: "file",
};
const embedKeysOption: FlagOption = {
  kind: "flag",
  name: "embed-keys",
  summary: "Put the content of the key files into the policy, in the place of their paths",
};
const includeKeysOption: FlagOption = {
  kind: "flag",
  name: "include-keys",
  summary: "Put the key files on the nodes, where the policy names them",
};
const nameOption: TextOption = {
  kind: "text",
  name: "name",
  value: "NAME",
  summary: "Name of the MachineConfig (default 99-ROLE-trust)",
  completion: "nothing",
};
const roleOption: TextOption = {
  kind: "text",
  name: "role",
  value: "ROLE",
  summary: "The pool of nodes that it is for (default worker)",
  completion: "nothing",
};
const labelOption: ListOption = {
  kind: "list",
  name: "label",
  value: "KEY=VALUE",
  summary: "A further label; as often as wanted",
  completion: "nothing",
};
const versionOption: TextOption = {
  kind: "text",
  name: "openshift-version",
  value: "VERSION",
  summary: "Oldest OpenShift that it is for, such as 4.12 (default 4.14)",
  completion: "nothing",
};
const strictOption: FlagOption = {
  kind: "flag",
  name: "strict",
  summary: "With a warning, write nothing and end with status 1",
};
const writeOption: TextOption = {
  kind: "text",
  name: "write",
  value: "FILE",
  summary: "Write it here instead of to standard output",
  completion: "file",
};
const outputOption: TextOption = {
  kind: "text",
  name: "output",
  short: "o",
  value: "FORMAT",
  choices: ["yaml", "json"],
  summary: "yaml or json (default yaml)",
  completion: "nothing",
};

export const command: Command = {
  name,
  summary: "Make the MachineConfig that brings policy, registries.d and keys to the nodes of a cluster",
  description: [
    "From a Butane file of variant openshift it makes what Butane makes, byte for byte; parts of Butane that have nothing to do with files are refused by their place. Without a Butane file it makes one from a policy, a folder of registries.d and key files, or from a folder laid out as the nodes are.",
    "A wrong policy keeps nodes from pulling anything. So every policy.json and registries.d file in it must parse as strictly as on the nodes; nothing is written otherwise. What parses and does not work as meant is warned about, as by signet policy check.",
    "Key files are looked for where --key says, then below --trust-dir, then where the policy names them on this machine.",
  ],
  arguments: [{ name: "FILE", summary: "A Butane file; - for standard input", optional: true, completion: "file" }],
  options: [
    policyOption,
    registriesDOption,
    trustDirOption,
    keyOption,
    embedKeysOption,
    includeKeysOption,
    filesDirOption,
    nameOption,
    roleOption,
    labelOption,
    versionOption,
    strictOption,
    writeOption,
    outputOption,
  ],
  examples: [
    {
      line: "signet machineconfig render 51-worker-rh-registry-trust.bu --write 51-worker-rh-registry-trust.yaml",
      purpose: "A Butane file",
    },
    {
      line: "signet machineconfig render --policy policy.json --registries.d registries.d --role master | oc apply -f -",
      purpose: "A policy and the stores that it needs",
    },
    {
      line: "signet machineconfig render --policy policy.json --key release.pub --embed-keys",
      purpose: "A policy that needs no key files on the nodes",
    },
  ],
  async run(invocation, runtime) {
    const [file] = invocation.arguments;
    checkOptions(file, invocation);
    const { renderFromButane, renderFromTrust } = await import("../machine-config/rendering.ts");
    const rendered =
      file === undefined
        ? await renderFromTrust(
            {
              ...definedOnly({
                policy: invocation.get(policyOption),
                registriesD: invocation.get(registriesDOption),
                trustDir: invocation.get(trustDirOption),
                name: invocation.get(nameOption),
                version: invocation.get(versionOption),
              }),
              role: invocation.get(roleOption) ?? "worker",
              labels: readLabels(invocation.get(labelOption)),
              keys: invocation.get(keyOption),
              keyUse: invocation.get(embedKeysOption)
                ? "embed"
                : invocation.get(includeKeysOption)
                  ? "include"
                  : "none",
            },
            name,
          )
        : await renderFromButane(file, invocation.get(filesDirOption), (problem) => runtime.terminal.note(problem));
    const source = file === "-" ? "standard input" : (file ?? rendered.config.metadata.name);
    return finish(rendered, source, invocation, runtime);
  },
};

async function finish(
  { config, warnings }: { readonly config: MachineConfig; readonly warnings: readonly string[] },
  source: string,
  invocation: Invocation,
  { terminal, now }: Runtime,
): Promise<0 | 1> {
  const { checkTrustFiles, explainOverridden, readRenderedFiles, roleOf, writeMachineConfig } =
    await import("@signet/openshift");
  const text = writeMachineConfig(config, invocation.get(outputOption) === "json" ? "json" : "yaml");
  // Read back from what was made: what is checked is what the nodes will see.
  const { files, refused } = readRenderedFiles(config, source);
  const check = await checkTrustFiles(files, now(), source);
  const overridden = explainOverridden(config.metadata.name, roleOf(config), files);
  const all = [
    ...warnings,
    ...refused,
    ...check.warnings,
    ...check.findings.map(({ file, line, column, lint, severity, what, fix }) => {
      return `${file}:${line}:${column}: ${severity} ${lint}: ${what}. ${fix}`;
    }),
    ...(overridden === undefined ? [] : [overridden]),
  ];
  for (const warning of all) terminal.warn(warning);
  if (invocation.get(strictOption) && all.length > 0) {
    terminal.note("nothing was written, as --strict asks");
    return exitCodes.rejected;
  }
  const path = invocation.get(writeOption);
  const bytes = new TextEncoder().encode(text);
  if (path === undefined) terminal.bytes(bytes);
  else {
    const { writeFileAtomic } = await import("@signet/images");
    await writeFileAtomic(path, bytes);
  }
  return exitCodes.done;
}

function checkOptions(file: string | undefined, invocation: Invocation): void {
  const forTrust = [
    policyOption,
    registriesDOption,
    trustDirOption,
    nameOption,
    roleOption,
    versionOption,
    keyOption,
    labelOption,
    embedKeysOption,
    includeKeysOption,
  ] as const;
  const isGiven = (option: (typeof forTrust)[number]): boolean => {
    if (option.kind === "flag") return invocation.get(option);
    return option.kind === "list" ? invocation.get(option).length > 0 : invocation.get(option) !== undefined;
  };
  if (file !== undefined) {
    const given = forTrust.find(isGiven);
    if (given !== undefined) throw usage(`a Butane file says itself what --${given.name} would say`, name);
    return;
  }
  if (invocation.get(filesDirOption) !== undefined) throw usage("--files-dir goes with a Butane file", name);
  if (!isGiven(policyOption) && !isGiven(registriesDOption) && !isGiven(trustDirOption))
    throw usage("name a Butane file, or what the nodes get: --policy, --registries.d or --trust-dir", name);
  if (isGiven(embedKeysOption) && isGiven(includeKeysOption))
    throw usage("use one of --embed-keys and --include-keys", name);
  if (isGiven(keyOption) && !isGiven(embedKeysOption) && !isGiven(includeKeysOption))
    throw usage("--key needs --embed-keys or --include-keys", name);
}

function readLabels(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text): [string, string] => {
      const match = /^([A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?)=([-A-Za-z0-9_.]*)$/.exec(text);
      if (match === null) throw usage(`--label takes KEY=VALUE, not ${JSON.stringify(text)}`, name);
      return [match[1]!, match[2]!];
    }),
  );
}

/** The members that have a value. */
function definedOnly<T extends Readonly<Record<string, string | undefined>>>(
  members: T,
): { readonly [K in keyof T]?: string } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    readonly [K in keyof T]?: string;
  };
}
