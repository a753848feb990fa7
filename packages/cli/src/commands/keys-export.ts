import { StoreError, concatBytes, matchesSelector, writeArmoredPublicKey } from "@signet/core";
import { writeFileAtomic } from "@signet/images/atomic-file";
import type { Command, FlagOption, TextOption } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { readGpgKeyring, readKeyFile, warnOfSkippedKeys } from "../keys/key-source.ts";

const name = "keys export";

const gpgOption: FlagOption = {
  kind: "flag",
  name: "gpg",
  summary: "Take the keys from the gpg keyring; all arguments then are keys",
};
const binaryOption: FlagOption = {
  kind: "flag",
  name: "binary",
  summary: "Write binary packets instead of armored text",
};
const outputFileOption: TextOption = {
  kind: "text",
  name: "output-file",
  value: "FILE",
  summary: "Write to this file instead of standard output",
  completion: "file",
};

export const command: Command = {
  name,
  summary: "Write the public half of keys, for policies and for those who verify",
  description: [
    "Writes public keys as one block: all keys of a file, or those that are named by fingerprint, key id or a part of the user id. From a secret key only the public half is taken. Keys that cannot be read are left out with a warning.",
  ],
  arguments: [
    { name: "FILE", summary: "A key file, public or secret; - for standard input", optional: true, completion: "file" },
    { name: "KEY", summary: "Fingerprint, key id or e-mail address", optional: true, repeats: true },
  ],
  options: [gpgOption, binaryOption, outputFileOption],
  examples: [
    {
      line: "signet keys export release.private --output-file release.asc",
      purpose: "The public half of a secret key",
    },
    { line: "signet keys export --gpg release@example.com > release.asc", purpose: "A key of the gpg keyring" },
  ],
  async run(invocation, { terminal, interruption }) {
    const isGpg = invocation.get(gpgOption);
    const [file, ...rest] = invocation.arguments;
    const wanted = isGpg ? invocation.arguments : rest;
    if (isGpg && wanted.length === 0) throw usage("name at least one key of the gpg keyring", name);
    if (!isGpg && file === undefined) throw usage("name a key file, or --gpg with a key", name);
    const output = invocation.get(outputFileOption);
    const isBinary = invocation.get(binaryOption);
    if (isBinary && output === undefined && terminal.isTerminal)
      throw usage("binary keys are not written to a terminal", name, "use --output-file FILE, or leave --binary out");

    const source = isGpg ? await readGpgKeyring(wanted) : await readKeyFile(file!);
    warnOfSkippedKeys([source], terminal);
    const chosen = source.certificates.filter(
      (certificate) => wanted.length === 0 || wanted.some((text) => matchesSelector(certificate, text)),
    );
    if (chosen.length === 0) {
      const what = wanted.length === 0 ? "a key that can be read" : wanted.join(", ");
      throw new StoreError("file-missing", `${source.label} does not hold ${what}`, {
        side: "local",
        hint: "see `signet keys list`",
      });
    }
    const keys = concatBytes(chosen.map((certificate) => certificate.raw));
    const bytes = isBinary ? keys : new TextEncoder().encode(writeArmoredPublicKey(keys));
    if (output === undefined) terminal.bytes(bytes);
    else await interruption.finish(writeFileAtomic(output, bytes));
    return exitCodes.done;
  },
};
