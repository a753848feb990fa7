import type { Credentials, RegistryClientsOptions } from "@signet/images";
import type { Invocation } from "../command-line/command.ts";
import { debugOption, retryTimesOption } from "../command-line/common-options.ts";
import type { RegistryOptions } from "../command-line/registry-options.ts";
import { usage } from "../command-line/parse.ts";
import type { Runtime } from "../runtime.ts";
import { readSecretFile } from "../terminal/input.ts";

/**
 * How a registry is to be asked, by the options of the command line.
 * @param options those of the side in question
 * @throws UsageError `command-line-malformed` for options that contradict each other; StoreError for a password file that cannot be read
 */
export async function readRegistryAccess(
  invocation: Invocation,
  options: RegistryOptions,
  runtime: Runtime,
): Promise<RegistryClientsOptions> {
  const { currentHost } = await import("@signet/images");
  const { terminal } = runtime;
  const credentials = await readCredentials(invocation, options);
  const { bothSides } = options;
  const authFile = invocation.get(options.authFile) ?? (bothSides && invocation.get(bothSides.authFile));
  const certDir = invocation.get(options.certDir);
  const tlsVerify = invocation.get(options.tlsVerify) ?? (bothSides && invocation.get(bothSides.tlsVerify));
  const retryTimes = invocation.get(retryTimesOption);
  const isDebug = invocation.get(debugOption);
  return {
    host: currentHost(),
    ...(credentials === "search" ? {} : { credentials: async () => credentials }),
    ...(authFile === undefined ? {} : { authFile }),
    ...(certDir === undefined ? {} : { certDir }),
    ...(tlsVerify === undefined ? {} : { tlsVerify }),
    ...(retryTimes === undefined ? {} : { retryTimes }),
    log: (level, message) => {
      if (level === "warning") terminal.warn(message);
      else if (isDebug) terminal.note(`debug: ${message}`);
    },
  };
}

/** The credentials that were given; `search`: none were, look in the files. Undefined: explicitly none. */
async function readCredentials(
  invocation: Invocation,
  options: RegistryOptions,
): Promise<Credentials | undefined | "search"> {
  const pair = invocation.get(options.creds);
  const username = invocation.get(options.username);
  const passwordFile = invocation.get(options.passwordFile);
  const isAnonymous = invocation.get(options.anonymous);
  const given = [pair !== undefined, username !== undefined, isAnonymous].filter(Boolean).length;
  if (given > 1)
    throw usage(`use one of --${options.creds.name}, --${options.username.name} and --${options.anonymous.name}`);
  if ((username === undefined) !== (passwordFile === undefined))
    throw usage(`--${options.username.name} and --${options.passwordFile.name} go together`);
  if (username !== undefined) {
    return { kind: "password", username, password: await readSecretFile(passwordFile!, "password file") };
  }
  if (isAnonymous) return undefined;
  if (pair === undefined) return "search";
  const colon = pair.indexOf(":");
  if (colon < 1) throw usage(`--${options.creds.name} is written USER:PASS`);
  return { kind: "password", username: pair.slice(0, colon), password: pair.slice(colon + 1) };
}
