/** Options that say where the signatures of a scope's images are kept, for registries.d. */
import { type StoreChange, parseLookasideBase } from "@signet/images";
import type { Invocation, OptionSpec, SwitchOption, TextOption } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";
import { oneOf } from "./trust-options.ts";

const lookasideOption: TextOption = {
  kind: "text",
  name: "lookaside",
  value: "URL",
  summary: "Signatures of these images are read at this https:, http: or file: URL (written to registries.d)",
  completion: "nothing",
};
/** atomic's name for the same. */
const sigstoreOption: TextOption = { ...lookasideOption, name: "sigstore", short: "s", hidden: true };
const stagingOption: TextOption = {
  kind: "text",
  name: "staging",
  value: "URL",
  summary: "New signatures of these images are written at this file: URL",
  completion: "nothing",
};
const attachmentsOption: SwitchOption = {
  kind: "switch",
  name: "attachments",
  summary: "Read and write sigstore signatures in the registry, beside the image",
};

export const storeOptions: readonly OptionSpec[] = [lookasideOption, sigstoreOption, stagingOption, attachmentsOption];

/** A change of registries.d, with what is to be said about it. */
export interface ChosenStore {
  /** Undefined when no option asks for one. */
  readonly change: StoreChange | undefined;
  readonly warnings: readonly string[];
}

/**
 * What the options ask for.
 * @throws UsageError `command-line-malformed`; PolicyError `registries-d-malformed` for a URL that cannot be parsed
 */
export function readStore(invocation: Invocation, command: string): ChosenStore {
  const lookaside = oneOf(invocation, [lookasideOption, sigstoreOption], command);
  const staging = invocation.get(stagingOption);
  const attachments = invocation.get(attachmentsOption);
  const warnings: string[] = [];
  if (lookaside !== undefined) warnings.push(...checkUrl(lookaside, `--${lookasideOption.name}`, command));
  if (staging !== undefined) {
    checkUrl(staging, `--${stagingOption.name}`, command);
    if (/^https?:/i.test(staging)) {
      throw usage(
        `--${stagingOption.name}: signatures are written to folders alone; nobody has agreed on a way to write them over http`,
        command,
        "write file:///path, and let a web server serve that folder under the URL of --lookaside",
      );
    }
  }
  const change: StoreChange = {
    ...(lookaside === undefined ? {} : { lookaside }),
    ...(staging === undefined ? {} : { staging }),
    ...(attachments === undefined ? {} : { attachments }),
  };
  return { change: Object.keys(change).length === 0 ? undefined : change, warnings };
}

function checkUrl(text: string, option: string, command: string): readonly string[] {
  if (text.startsWith("/")) throw usage(`${option} ${text}: a URL is expected`, command, `write file://${text}`);
  const { scheme, label, origin } = parseLookasideBase(text, option);
  if (scheme === "")
    throw usage(
      `${option} ${label}: a URL is expected`,
      command,
      `write https://${label}, or file:///path for a folder`,
    );
  if (!["file", "http", "https"].includes(scheme)) {
    throw usage(
      `${option} ${label}: signatures cannot be kept at a URL of scheme ${scheme}`,
      command,
      "use https:, http: or file:",
    );
  }
  const warnings: string[] = [];
  if (scheme === "http") {
    warnings.push(`${label}: without TLS anybody on the way can keep signatures back; they cannot be forged`);
  }
  if (origin.includes("@"))
    warnings.push(`${label}: registries.d is readable by all, and so is the password in the URL`);
  return warnings;
}
