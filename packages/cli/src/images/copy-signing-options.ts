import type { Invocation, ListOption, TextOption } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";

export const signByOption: ListOption = {
  kind: "list",
  name: "sign-by",
  value: "KEY",
  summary: "Add a signature by this key: a secret key file, or a key of the gpg keyring; may be repeated",
  completion: "file",
};
export const signIdentityOption: TextOption = {
  kind: "text",
  name: "sign-identity",
  value: "REF",
  summary: "What the new signatures are for, with its tag or digest (default: the destination's name)",
  completion: "nothing",
};
export const signPassphraseFileOption: TextOption = {
  kind: "text",
  name: "sign-passphrase-file",
  value: "FILE",
  summary: "The passphrase of the key of --sign-by is the first line of this file",
  completion: "file",
};

/** skopeo's options for other kinds of signatures: understood, so that a script is told what is wrong instead of the nearest spelling. */
const otherSigners: readonly TextOption[] = [
  "sign-by-sigstore",
  "sign-by-sigstore-private-key",
  "sign-by-sq-fingerprint",
].map((name) => ({ kind: "text", name, value: "WHAT", summary: "Not available", hidden: true }));

export const signingOptions: readonly (TextOption | ListOption)[] = [
  signByOption,
  signIdentityOption,
  signPassphraseFileOption,
  ...otherSigners,
];

/** @throws UsageError `command-line-malformed` */
export function refuseOtherSigners(invocation: Invocation): void {
  const given = otherSigners.find((option) => invocation.get(option) !== undefined);
  if (given === undefined) return;
  throw usage(
    `--${given.name} is not available: copy makes OpenPGP signatures only`,
    "copy",
    "sign with --sign-by KEY",
  );
}
