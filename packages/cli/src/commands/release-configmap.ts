import { type Digest, StoreError } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { MirroredSignature, ReleaseKeyring, ReleaseSignaturesVerdict } from "@signet/openshift";
import type { Command, Invocation, ListOption, TextOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodeOfMany } from "../command-line/exit-code.ts";
import { openPgpOptions, readSwitches } from "../command-line/openpgp-options.ts";
import { usage } from "../command-line/parse.ts";
import { notesOn } from "../releases/release-report.ts";
import type { Runtime } from "../runtime.ts";
import { plural } from "../terminal/plural.ts";
import type { Terminal } from "../terminal/terminal.ts";

const name = "release configmap";

const trustConfigMapOption: TextOption = {
  kind: "text",
  name: "trust-configmap",
  value: "FILE",
  summary: "Keys of this verification ConfigMap, as a cluster has it (default: Red Hat's, which are built in)",
  completion: "file",
};
const keyOption: ListOption = {
  kind: "list",
  name: "key",
  value: "FILE",
  summary: "Public keys; each file is a keyring that a signature must satisfy",
  completion: "file",
};
const writeOption: TextOption = {
  kind: "text",
  name: "write",
  value: "DIR",
  summary: "Write what was accepted here, a ConfigMap for each release, beside what is there already",
  completion: "directory",
};

export const command: Command = {
  name,
  summary: "Check ConfigMaps of mirrored release signatures, and merge them",
  description: [
    "Reads ConfigMaps of mirrored signatures in the dialects of oc adm release mirror, oc-mirror and the cluster itself, and judges for every release that they speak of whether a cluster with this trust would accept it. What a cluster would pass over (another namespace, no label, keys without a digest) is warned about. No network is asked.",
    "With --write the accepted signatures are written in the form that every cluster reads, each release once, merged from all files and with what the folder has. The exit status is 1 when a release is rejected, 2 when there is no signature in the files.",
  ],
  arguments: [
    { name: "FILE|DIR", summary: "ConfigMaps, YAML or JSON, or folders of them", repeats: true, completion: "file" },
  ],
  options: [trustConfigMapOption, keyOption, writeOption, outputFormatOption, ...openPgpOptions],
  examples: [
    {
      line: "signet release configmap signature-configmap.yaml",
      purpose: "Before oc apply: would the cluster accept it?",
    },
    {
      line: "signet release configmap oc-mirror/cluster-resources old-config --write config",
      purpose: "One folder out of several, without what is not signed as it must be",
    },
  ],
  async run(invocation, runtime) {
    const keyrings = await readKeyrings(invocation, runtime.terminal);
    const releases = await readReleases(invocation.arguments, runtime.terminal);
    const verdicts: ReleaseSignaturesVerdict[] = [];
    for (const [digest, signatures] of releases)
      verdicts.push(await judge(digest, signatures, keyrings, invocation, runtime));
    const written = await write(verdicts, invocation.get(writeOption));
    if (invocation.get(outputFormatOption) === "json") runtime.terminal.json(report(verdicts, written));
    else print(verdicts, written, runtime.terminal);
    return exitCodeOfMany({
      isRejected: verdicts.some(({ verdict }) => verdict === "rejected"),
      isUndetermined: false,
    });
  },
};

async function readKeyrings(invocation: Invocation, terminal: Terminal): Promise<readonly ReleaseKeyring[]> {
  const { loadReleaseTrust, loadVerificationConfigMap, redHatReleaseTrust } = await import("@signet/openshift");
  const configMap = invocation.get(trustConfigMapOption);
  const keys = invocation.get(keyOption);
  if (configMap !== undefined && keys.length > 0) throw usage("use one of --trust-configmap and --key", name);
  const { keyrings, warnings } =
    configMap !== undefined
      ? await loadVerificationConfigMap(configMap, nodeEngine)
      : keys.length > 0
        ? await loadReleaseTrust(keys, [], nodeEngine)
        : redHatReleaseTrust(nodeEngine);
  for (const warning of warnings) terminal.warn(warning);
  return keyrings;
}

/** By digest, in order of appearance. @throws StoreError `file-missing` when there is no signature at all */
async function readReleases(
  paths: readonly string[],
  terminal: Terminal,
): Promise<ReadonlyMap<Digest, readonly MirroredSignature[]>> {
  const { loadSignatureConfigMaps } = await import("@signet/openshift");
  const releases = new Map<Digest, MirroredSignature[]>();
  for (const path of paths) {
    const { signatures, warnings } = await loadSignatureConfigMaps(path);
    for (const warning of warnings) terminal.warn(warning);
    for (const signature of signatures) {
      const there = releases.get(signature.digest) ?? [];
      // The same signature in two files is one.
      if (there.some(({ bytes }) => Buffer.compare(bytes, signature.bytes) === 0)) continue;
      releases.set(signature.digest, [...there, signature]);
    }
  }
  if (releases.size > 0) return releases;
  // Nothing to judge must not read as accepted.
  throw new StoreError("file-missing", "no ConfigMap with mirrored signatures was found", {
    side: "local",
    hint: "their binaryData has keys that begin with sha256-",
  });
}

async function judge(
  digest: Digest,
  signatures: readonly MirroredSignature[],
  keyrings: readonly ReleaseKeyring[],
  invocation: Invocation,
  runtime: Runtime,
): Promise<ReleaseSignaturesVerdict> {
  const { judgeReleaseSignatures } = await import("@signet/openshift");
  const store = "the ConfigMaps";
  const source = { label: store, read: async () => ({ store, signatures, attempts: [], warnings: [] }) };
  return judgeReleaseSignatures(digest, keyrings, [source], {
    engine: nodeEngine,
    now: runtime.now(),
    // As release verify has it.
    switches: {
      acceptKeyExpiredSinceSigning: true,
      acceptSubkeyExpiredSinceSigning: true,
      ...readSwitches(invocation),
    },
  });
}

/** @returns the files */
async function write(
  verdicts: readonly ReleaseSignaturesVerdict[],
  folder: string | undefined,
): Promise<readonly string[]> {
  if (folder === undefined) return [];
  const { writeSignatureConfigMap } = await import("@signet/openshift");
  const files: string[] = [];
  for (const { verdict, digest, accepted } of verdicts)
    if (verdict === "accepted") files.push(await writeSignatureConfigMap(folder, digest, accepted));
  return files;
}

function print(verdicts: readonly ReleaseSignaturesVerdict[], written: readonly string[], terminal: Terminal): void {
  for (const verdict of verdicts) {
    const isAccepted = verdict.verdict === "accepted";
    terminal.line({ colour: isAccepted ? "green" : "red", text: verdict.verdict.padEnd(8) }, `  ${verdict.digest}`);
    for (const { name: keyring, signer, location } of verdict.keyrings) {
      if (signer === undefined) continue;
      const userId = signer.userIds[0] === undefined ? "" : ` (${signer.userIds[0]})`;
      terminal.line(`  keyring ${keyring}: signed by ${signer.fingerprint}${userId}`);
      terminal.line(`    for ${signer.dockerReference}, ${signer.signedAt.slice(0, 10)}, ${location ?? ""}`);
      for (const note of notesOn(verdict, keyring)) terminal.line(`    ${note}`);
    }
    for (const { message } of verdict.verdict === "rejected" ? verdict.reasons : [])
      terminal.line(`  reason  ${message}`);
  }
  for (const file of written) terminal.note(`wrote ${file}`);
  const accepted = verdicts.filter(({ verdict }) => verdict === "accepted").length;
  const counts = `${accepted} accepted, ${verdicts.length - accepted} rejected`;
  terminal.line(`${plural(verdicts.length, "release")}: ${counts}`);
}

function report(verdicts: readonly ReleaseSignaturesVerdict[], written: readonly string[]): object {
  const accepted = verdicts.filter(({ verdict }) => verdict === "accepted").length;
  return {
    releases: verdicts.map((verdict) => ({
      digest: verdict.digest,
      verdict: verdict.verdict,
      keyrings: verdict.keyrings.map(({ name: keyring, signer, location }) => ({
        name: keyring,
        satisfied: signer !== undefined,
        location: location ?? null,
        signer: signer ?? null,
      })),
      reasons: verdict.verdict === "rejected" ? verdict.reasons : [],
    })),
    written,
    summary: { releases: verdicts.length, accepted, rejected: verdicts.length - accepted },
  };
}
