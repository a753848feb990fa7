import { StoreError, matchesSelector } from "@signet/core";
import type { Command, FlagOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { printCertificate, reportCertificate } from "../keys/key-report.ts";
import { readGpgKeyring, readKeyFile, warnOfSkippedKeys } from "../keys/key-source.ts";

const gpgOption: FlagOption = {
  kind: "flag",
  name: "gpg",
  summary: "Look in the gpg keyring; all arguments then are keys",
};

export const command: Command = {
  name: "keys show",
  summary: "Show all about keys: primary, subkeys, user ids, expiry, revocation",
  description: [
    "Shows every key of a file, or those that are named by fingerprint, key id or a part of the user id. Each key and subkey is listed with whether a signature made by it now would be accepted, and if not, why.",
  ],
  arguments: [
    { name: "FILE", summary: "A key file; - for standard input", optional: true, completion: "file" },
    { name: "KEY", summary: "Fingerprint, key id or e-mail address", optional: true, repeats: true },
  ],
  options: [gpgOption, outputFormatOption],
  examples: [
    { line: "signet keys show release.asc", purpose: "Everything in a key file" },
    { line: "signet keys show --gpg release@example.com", purpose: "One key of the gpg keyring" },
  ],
  async run(invocation, { terminal, now }) {
    const isGpg = invocation.get(gpgOption);
    const [file, ...rest] = invocation.arguments;
    if (file === undefined && !isGpg) throw usage("name a key file, or --gpg", "keys show");
    const wanted = isGpg ? invocation.arguments : rest;
    const source = isGpg ? await readGpgKeyring(wanted) : await readKeyFile(file!);
    const shown = source.certificates.filter(
      (certificate) => wanted.length === 0 || wanted.some((text) => matchesSelector(certificate, text)),
    );
    warnOfSkippedKeys([source], terminal);
    if (shown.length === 0) {
      const what = wanted.length === 0 ? "a key" : wanted.join(", ");
      throw new StoreError("file-missing", `${source.label} does not hold ${what}`, {
        side: "local",
        hint: isGpg ? "see `signet keys list --gpg`" : `see \`signet keys list ${file}\``,
      });
    }
    const time = now();
    const reports = shown.map((certificate) => reportCertificate(certificate, source.label, time));
    if (invocation.get(outputFormatOption) === "json")
      terminal.json({ certificates: reports, warnings: source.warnings });
    else for (const report of reports) printCertificate(report, terminal);
    return exitCodes.done;
  },
};
