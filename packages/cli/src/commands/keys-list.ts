import type { Command, FlagOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { printCertificateLine, reportCertificate } from "../keys/key-report.ts";
import { readGpgKeyring, readKeyFile, warnOfSkippedKeys } from "../keys/key-source.ts";

const gpgOption: FlagOption = { kind: "flag", name: "gpg", summary: "List the keys of the gpg keyring" };

export const command: Command = {
  name: "keys list",
  summary: "List the OpenPGP keys in files or in the gpg keyring",
  description: [
    "Lists the certificates in key files, binary or armored, one line each, and whether a signature made by them now would be accepted. Keys that cannot be read are skipped with a warning.",
  ],
  arguments: [
    { name: "FILE", summary: "Key files; - for standard input", optional: true, repeats: true, completion: "file" },
  ],
  options: [gpgOption, outputFormatOption],
  examples: [
    { line: "signet keys list /etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release", purpose: "Keys that a distribution ships" },
    { line: "signet keys list --gpg --output json", purpose: "Your own keyring, for a script" },
  ],
  async run(invocation, { terminal, now }) {
    const files = invocation.arguments;
    if (files.length === 0 && !invocation.get(gpgOption)) throw usage("name a key file, or --gpg", "keys list");
    const sources = await Promise.all(files.map(readKeyFile));
    if (invocation.get(gpgOption)) sources.push(await readGpgKeyring());
    const time = now();
    const reports = sources.flatMap(({ label, certificates }) =>
      certificates.map((certificate) => reportCertificate(certificate, label, time)),
    );
    warnOfSkippedKeys(sources, terminal);
    if (invocation.get(outputFormatOption) === "json") {
      const skipped = sources.flatMap(({ label, warnings }) => warnings.map((message) => ({ source: label, message })));
      terminal.json({ certificates: reports, warnings: skipped });
    } else for (const report of reports) printCertificateLine(report, terminal);
    const empty = sources.filter(({ certificates }, index) => index < files.length && certificates.length === 0);
    for (const { label } of empty) terminal.note(`error: there is no OpenPGP key that can be read in ${label}`);
    return empty.length === 0 ? exitCodes.done : exitCodes.failed;
  },
};
