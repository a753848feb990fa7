/** Options that several commands share, each declared once, in the words of skopeo and podman. */
import type { FlagOption, NumberOption, OptionSpec, TextOption } from "./command.ts";

export const helpOption: FlagOption = { kind: "flag", name: "help", short: "h", summary: "Show this help" };
export const debugOption: FlagOption = {
  kind: "flag",
  name: "debug",
  summary: "After an error also show its stack and causes",
};
export const quietOption: FlagOption = { kind: "flag", name: "quiet", short: "q", summary: "Show no progress" };

/** What every command takes. */
export const everyCommandOptions: readonly OptionSpec[] = [quietOption, debugOption, helpOption];

export const versionOption: FlagOption = { kind: "flag", name: "version", short: "v", summary: "Show the version" };

export const outputFormatOption: TextOption = {
  kind: "text",
  name: "output",
  short: "o",
  value: "FORMAT",
  choices: ["text", "json"],
  summary: "text or json (default text)",
  completion: "nothing",
};

export const policyOption: TextOption = {
  kind: "text",
  name: "policy",
  value: "FILE",
  summary: "Policy to judge by (default ~/.config/containers/policy.json, then /etc/containers/policy.json)",
  completion: "file",
};
export const insecurePolicyOption: FlagOption = {
  kind: "flag",
  name: "insecure-policy",
  summary: "Accept every image, without looking at a policy or at signatures",
};
export const registriesDOption: TextOption = {
  kind: "text",
  name: "registries.d",
  value: "DIR",
  summary: "Folder of signature store configuration (default ~/.config/containers/registries.d, then /etc)",
  completion: "directory",
};
export const rootOption: TextOption = {
  kind: "text",
  name: "root",
  value: "DIR",
  summary: "Work on the file tree of a node or image below DIR: its system files and keys, as seen from inside",
  completion: "directory",
};
export const registriesConfOption: TextOption = {
  kind: "text",
  name: "registries-conf",
  value: "FILE",
  summary: "Mirrors, blocked registries and short names, from this file alone (default: where podman keeps them)",
  completion: "file",
};
export const overrideOsOption: TextOption = {
  kind: "text",
  name: "override-os",
  value: "OS",
  summary: "Choose the instance of a list for this operating system (default linux)",
  completion: "nothing",
};
export const overrideArchOption: TextOption = {
  kind: "text",
  name: "override-arch",
  value: "ARCH",
  summary: "Choose the instance of a list for this architecture (default: this machine's)",
  completion: "nothing",
};
export const overrideVariantOption: TextOption = {
  kind: "text",
  name: "override-variant",
  value: "VARIANT",
  summary: "Choose the instance of a list for this variant of the architecture",
  completion: "nothing",
};
export const retryTimesOption: NumberOption = {
  kind: "number",
  name: "retry-times",
  value: "N",
  minimum: 0,
  maximum: 100,
  summary: "Tries after a request that failed for a passing reason (default 3)",
};
export const jobsOption: NumberOption = {
  kind: "number",
  name: "jobs",
  value: "N",
  minimum: 1,
  maximum: 64,
  summary: "Images worked on at the same time (default 8)",
};

export const keyOption: TextOption = {
  kind: "text",
  name: "key",
  value: "FILE|FINGERPRINT|EMAIL",
  summary: "Secret key to sign with: a file, or a key of the gpg keyring",
  completion: "file",
};
export const passphraseFileOption: TextOption = {
  kind: "text",
  name: "passphrase-file",
  value: "FILE",
  summary: "The key's passphrase is the first line of this file",
  completion: "file",
};
export const passphraseFdOption: NumberOption = {
  kind: "number",
  name: "passphrase-fd",
  value: "N",
  minimum: 0,
  maximum: 65_535,
  summary: "The key's passphrase is the first line read from this open descriptor",
};

/** What may also stand before the command's name, as skopeo's global options do. */
export const leadingOptions: readonly OptionSpec[] = [
  policyOption,
  insecurePolicyOption,
  registriesDOption,
  registriesConfOption,
  overrideOsOption,
  overrideArchOption,
  overrideVariantOption,
  ...everyCommandOptions,
  versionOption,
];
