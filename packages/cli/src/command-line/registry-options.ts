import type { FlagOption, OptionSpec, SwitchOption, TextOption } from "./command.ts";

/** Access to a registry; `copy` has them once more for each side. */
export interface RegistryOptions {
  readonly creds: TextOption;
  readonly username: TextOption;
  readonly passwordFile: TextOption;
  readonly anonymous: FlagOption;
  readonly certDir: TextOption;
  readonly tlsVerify: SwitchOption;
  readonly authFile: TextOption;
  /** What holds for this side where its own option is not given; undefined for the options without a side. */
  readonly bothSides: RegistryOptions | undefined;
  readonly all: readonly OptionSpec[];
}

export const registryOptions: RegistryOptions = makeRegistryOptions("", "");
export const sourceRegistryOptions: RegistryOptions = makeRegistryOptions("src-", " of the source");
export const destinationRegistryOptions: RegistryOptions = makeRegistryOptions("dest-", " of the destination");

function makeRegistryOptions(prefix: string, side: string): RegistryOptions {
  const creds: TextOption = {
    kind: "text",
    name: `${prefix}creds`,
    value: "USER:PASS",
    summary: `Credentials for the registry${side}; others on this machine can see them while the command runs`,
    completion: "nothing",
  };
  const username: TextOption = {
    kind: "text",
    name: `${prefix}username`,
    value: "USER",
    summary: `User name for the registry${side}`,
    completion: "nothing",
  };
  const passwordFile: TextOption = {
    kind: "text",
    name: `${prefix}password-file`,
    value: "FILE",
    summary: `The password for that user name is the first line of this file`,
    completion: "file",
  };
  const anonymous: FlagOption = {
    kind: "flag",
    name: `${prefix}no-creds`,
    summary: `Access the registry${side} without credentials`,
  };
  const certDir: TextOption = {
    kind: "text",
    name: `${prefix}cert-dir`,
    value: "DIR",
    summary: `Folder with certificates (*.crt, *.cert, *.key) for the registry${side}`,
    completion: "directory",
  };
  const tlsVerify: SwitchOption = {
    kind: "switch",
    name: `${prefix}tls-verify`,
    summary: `--${prefix}tls-verify=false allows plain http and unknown certificates for the registry${side}`,
  };
  const authFile: TextOption = {
    kind: "text",
    name: `${prefix}authfile`,
    value: "FILE",
    summary:
      prefix === ""
        ? "File with registry credentials (default: where podman and docker keep them)"
        : `File with credentials for the registry${side} (default that of --authfile)`,
    completion: "file",
  };
  return {
    creds,
    username,
    passwordFile,
    anonymous,
    certDir,
    tlsVerify,
    authFile,
    bothSides: prefix === "" ? undefined : registryOptions,
    all: [authFile, creds, username, passwordFile, anonymous, certDir, tlsVerify],
  };
}
