import type { Command, Invocation } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { openImageAccess } from "../images/image-access.ts";
import { reportCertificate } from "../keys/key-report.ts";
import { describeUsedTrust, reportUsedTrust } from "../releases/release-report.ts";
import { readReleaseTrust, releaseTrustOptions, trustFromReleaseOption } from "../releases/release-trust-options.ts";
import { type UsedTrust, findReleaseTrust, releaseReadingOptions } from "../releases/trust-from-release.ts";
import type { Runtime } from "../runtime.ts";
import type { Terminal } from "../terminal/terminal.ts";

export const command: Command = {
  name: "release trust",
  summary: "Show whose signatures an OpenShift release needs, and where they are looked for",
  description: [
    "Shows a set of trust for release images: keyrings, each of which a signature must satisfy, and stores. `redhat` is built in: the keys and stores that every OpenShift 4 release carries, pinned by fingerprint. Files replace it.",
    "--trust-from-release shows the keys and stores that a release image carries for its successors. Whoever made the image chose them, so they are read only from a release that the trust of the other options (default: redhat) accepts: a release cannot vouch for itself.",
  ],
  arguments: [],
  options: [...releaseTrustOptions, outputFormatOption, ...releaseReadingOptions],
  examples: [
    { line: "signet release trust", purpose: "Red Hat's keys and stores, as they are built in" },
    { line: "signet release trust --trust-configmap release-verification.yaml", purpose: "What a cluster uses" },
    {
      line: "signet release trust --trust-from-release quay.io/openshift-release-dev/ocp-release@sha256:0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363",
      purpose: "What a release that Red Hat signed carries",
    },
  ],
  async run(invocation, runtime) {
    const { terminal, progress, now } = runtime;
    const fromFiles = invocation.get(trustFromReleaseOption) === undefined;
    const used = fromFiles ? await readFromFiles(invocation, runtime) : await readFromRelease(invocation, runtime);
    progress.clear();
    const time = now();
    if (invocation.get(outputFormatOption) === "json") terminal.json(reportTrust(used, time));
    else printTrust(used, time, terminal);
    return exitCodes.done;
  },
};

/** No registry is asked, and no configuration of any is read. */
async function readFromFiles(invocation: Invocation, { terminal }: Runtime): Promise<UsedTrust> {
  const trust = await readReleaseTrust(invocation);
  for (const warning of trust.warnings) terminal.warn(warning);
  return { trust };
}

async function readFromRelease(invocation: Invocation, runtime: Runtime): Promise<UsedTrust> {
  await using access = await openImageAccess(invocation, registryOptions, runtime);
  return await findReleaseTrust(new Set(), access, invocation, runtime);
}

function reportTrust(used: UsedTrust, time: number): object {
  const { keyrings, stores } = used.trust;
  return {
    ...reportUsedTrust(used),
    keyrings: keyrings.map(({ name, keyring }) => ({
      name,
      certificates: keyring.certificates.map((certificate) => reportCertificate(certificate, name, time)),
    })),
    stores: stores.map(({ name, url }) => ({ name, url: url.href })),
  };
}

function printTrust(used: UsedTrust, time: number, terminal: Terminal): void {
  const { keyrings, stores } = used.trust;
  const [source, ...why] = describeUsedTrust(used);
  terminal.line({ colour: "bold", text: source! });
  for (const line of why) terminal.line(`  ${line}`);
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
