/** Options of the commands that edit trust, with the words that users of podman and atomic know. */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { StoreError } from "@signet/core";
import { type TrustFiles, currentHost, fileTreeHost } from "@signet/images";
import type { FlagOption, Invocation, OptionSpec, TextOption } from "../command-line/command.ts";
import { outputFormatOption, registriesDOption, rootOption } from "../command-line/common-options.ts";
import { usage } from "../command-line/parse.ts";

const policyOption: TextOption = {
  kind: "text",
  name: "policy",
  value: "FILE",
  summary: "Policy to edit (default ~/.config/containers/policy.json if it exists, then /etc/containers/policy.json)",
  completion: "file",
};
/** podman's names for the same. */
const signaturePolicyOption: TextOption = { ...policyOption, name: "signature-policy", hidden: true };
const policyPathOption: TextOption = { ...policyOption, name: "policypath", hidden: true };

const editedRegistriesDOption: TextOption = {
  ...registriesDOption,
  summary: "Folder of signature store configuration to edit (default: the one beside the policy)",
};
const registryPathOption: TextOption = { ...registriesDOption, name: "registrypath", hidden: true };

export const transportOption: TextOption = {
  kind: "text",
  name: "transport",
  value: "NAME",
  summary: "Transport that the scope belongs to, such as docker, dir or containers-storage (default docker)",
  completion: "nothing",
};
/** atomic's names for three transports. */
const sigstoreTypeOption: TextOption = {
  kind: "text",
  name: "sigstoretype",
  value: "TYPE",
  choices: ["web", "local", "atomic"],
  summary: "Transport, in the words of atomic",
  hidden: true,
};

export const dryRunOption: FlagOption = {
  kind: "flag",
  name: "dry-run",
  summary: "Show what would change, as a diff, and write nothing",
};

/** What says which files are edited and how the result is shown. */
export const fileOptions: readonly OptionSpec[] = [
  policyOption,
  signaturePolicyOption,
  policyPathOption,
  editedRegistriesDOption,
  registryPathOption,
  rootOption,
  dryRunOption,
  outputFormatOption,
];

/** What says which transport a scope belongs to. */
export const scopeOptions: readonly OptionSpec[] = [transportOption, sigstoreTypeOption];

/**
 * The files that the options name.
 * @throws UsageError `command-line-malformed`; StoreError `file-missing` for a root folder that is none
 */
export async function readTrustFiles(invocation: Invocation, command: string): Promise<TrustFiles> {
  const policy = oneOf(invocation, [policyOption, signaturePolicyOption, policyPathOption], command);
  const registriesD = oneOf(invocation, [editedRegistriesDOption, registryPathOption], command);
  const root = await readRoot(invocation);
  return {
    host: root === undefined ? currentHost() : fileTreeHost(root),
    ...(policy === undefined ? {} : { policy }),
    ...(registriesD === undefined ? {} : { registriesD }),
  };
}

async function readRoot(invocation: Invocation): Promise<string | undefined> {
  const root = invocation.get(rootOption);
  if (root === undefined) return undefined;
  const path = resolve(root);
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory() === true) return path;
  throw new StoreError("file-missing", `--root ${root}: there is no such folder`, { hint: "check the path" });
}

/** The transport that was named, in either way; undefined when none was. */
export function readTransport(invocation: Invocation, command: string): string | undefined {
  const named = invocation.get(transportOption);
  const type = invocation.get(sigstoreTypeOption);
  if (type === undefined) return named;
  if (named !== undefined) throw usage(`use --${transportOption.name} alone`, command);
  return { web: "docker", local: "dir" }[type] ?? type;
}

/** The value of an option that has several names. */
export function oneOf(invocation: Invocation, names: readonly TextOption[], command: string): string | undefined {
  const given = names.flatMap((option) => {
    const value = invocation.get(option);
    return value === undefined ? [] : [{ name: option.name, value }];
  });
  const [first, ...others] = given;
  for (const other of others) {
    if (other.value !== first!.value) throw usage(`--${first!.name} and --${other.name} are the same option`, command);
  }
  return first?.value;
}
