import type { ReleaseTrust } from "@signet/openshift";
import type { Command } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { reportCertificate } from "../keys/key-report.ts";
import { readReleaseTrust, releaseTrustOptions } from "../releases/release-trust-options.ts";
import type { Terminal } from "../terminal/terminal.ts";

export const command: Command = {
  name: "release trust",
  summary: "Show whose signatures an OpenShift release needs, and where they are looked for",
  description: [
    "Shows a set of trust for release images: keyrings, each of which a signature must satisfy, and stores. `redhat` is built in: the keys and stores that every OpenShift 4 release carries, pinned by fingerprint. Files replace it.",
  ],
  arguments: [],
  options: [...releaseTrustOptions, outputFormatOption],
  examples: [
    { line: "signet release trust", purpose: "Red Hat's keys and stores, as they are built in" },
    { line: "signet release trust --trust-configmap release-verification.yaml", purpose: "What a cluster uses" },
  ],
  async run(invocation, { terminal, now }) {
    const trust = await readReleaseTrust(invocation);
    for (const warning of trust.warnings) terminal.warn(warning);
    const time = now();
    if (invocation.get(outputFormatOption) === "json") terminal.json(reportTrust(trust, time));
    else printTrust(trust, time, terminal);
    return exitCodes.done;
  },
};

function reportTrust({ source, keyrings, stores }: ReleaseTrust, time: number): object {
  return {
    source,
    keyrings: keyrings.map(({ name, keyring }) => ({
      name,
      certificates: keyring.certificates.map((certificate) => reportCertificate(certificate, name, time)),
    })),
    stores: stores.map(({ name, url }) => ({ name, url: url.href })),
  };
}

function printTrust({ source, keyrings, stores }: ReleaseTrust, time: number, terminal: Terminal): void {
  terminal.line({ colour: "bold", text: source });
  for (const { name, keyring } of keyrings) {
    terminal.line(`  keyring ${name}: a signature by one of`);
    for (const certificate of keyring.certificates) {
      const { fingerprint, userIds, signingKeys, keys } = reportCertificate(certificate, name, time);
      const state = signingKeys.length === 0 ? `  (${keys[0]?.explanation ?? "it cannot sign"})` : "";
      terminal.line(`    ${fingerprint}  ${userIds[0] ?? "(no user id)"}${state}`);
    }
  }
  for (const { name, url } of stores) terminal.line(`  store ${name === url.href ? "" : `${name}: `}${url.href}`);
}
