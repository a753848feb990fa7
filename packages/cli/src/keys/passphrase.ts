import type { Invocation } from "../command-line/command.ts";
import { passphraseFdOption, passphraseFileOption } from "../command-line/common-options.ts";
import { usage } from "../command-line/parse.ts";
import type { TextOption } from "../command-line/command.ts";
import { readSecretDescriptor, readSecretFile } from "../terminal/input.ts";

/** The environment variable that may hold the passphrase of the signing key. */
export const PASSPHRASE_VARIABLE = "SIGNET_PASSPHRASE";

/**
 * The passphrase that was given: by file, by descriptor, or in the environment; never as an argument, which everybody on the machine can read.
 * @param fileOption the command's name for the option with the file
 * @returns undefined when none was given
 * @throws UsageError `command-line-malformed` for two at once; StoreError when it cannot be read
 */
export async function readPassphrase(
  invocation: Invocation,
  env: Readonly<Record<string, string | undefined>>,
  fileOption: TextOption = passphraseFileOption,
): Promise<string | undefined> {
  const file = invocation.get(fileOption);
  const descriptor = fileOption === passphraseFileOption ? invocation.get(passphraseFdOption) : undefined;
  if (file !== undefined && descriptor !== undefined)
    throw usage(`use --${fileOption.name} or --${passphraseFdOption.name}, not both`);
  if (file !== undefined) return readSecretFile(file, "passphrase file");
  if (descriptor !== undefined) return readSecretDescriptor(descriptor, "passphrase");
  return env[PASSPHRASE_VARIABLE];
}
