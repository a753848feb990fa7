import { type Policy, RejectedError, createSignature, insecureAcceptAnythingPolicy } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { CopyOptions, CopySelection, ImageSource } from "@signet/images";
import type { Command, FlagOption, Invocation, TextOption } from "../command-line/command.ts";
import {
  insecurePolicyOption,
  overrideArchOption,
  overrideOsOption,
  overrideVariantOption,
  policyOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openPgpOptions, readSwitches } from "../command-line/openpgp-options.ts";
import { usage } from "../command-line/parse.ts";
import { parseReferenceArgument } from "../command-line/reference-argument.ts";
import {
  destinationRegistryOptions,
  registryOptions,
  sourceRegistryOptions,
} from "../command-line/registry-options.ts";
import { readPassphrase } from "../keys/passphrase.ts";
import type { Runtime } from "../runtime.ts";
import type { Terminal } from "../terminal/terminal.ts";

const name = "copy";

const allOption: FlagOption = {
  kind: "flag",
  name: "all",
  short: "a",
  summary: "Copy a list with all its instances; the same as --multi-arch all",
};
const multiArchOption: TextOption = {
  kind: "text",
  name: "multi-arch",
  value: "WHICH",
  choices: ["system", "all", "index-only"],
  summary: "Of a list copy this platform's instance, everything, or the list alone (default system)",
};
const signByOption: TextOption = {
  kind: "text",
  name: "sign-by",
  value: "KEY",
  summary: "Add a signature by this key: a secret key file, or a key of the gpg keyring",
  completion: "file",
};
const signIdentityOption: TextOption = {
  kind: "text",
  name: "sign-identity",
  value: "REF",
  summary: "What the new signature is for, with its tag or digest (default: the destination's name)",
  completion: "nothing",
};
const signPassphraseFileOption: TextOption = {
  kind: "text",
  name: "sign-passphrase-file",
  value: "FILE",
  summary: "The passphrase of the key of --sign-by is the first line of this file",
  completion: "file",
};
const removeSignaturesOption: FlagOption = {
  kind: "flag",
  name: "remove-signatures",
  summary: "Leave the source's signatures behind",
};
const preserveDigestsOption: FlagOption = {
  kind: "flag",
  name: "preserve-digests",
  summary: "Fail where the image would get another digest: docker-archive:, docker-daemon:, from containers-storage:",
};
const digestFileOption: TextOption = {
  kind: "text",
  name: "digestfile",
  value: "FILE",
  summary: "Write the digest of the copied manifest to this file",
  completion: "file",
};

export const command: Command = {
  name,
  summary: "Copy an image under the policy, with its signatures",
  description: [
    "Copies an image byte for byte; docker-archive: and docker-daemon: get its config and its unpacked layers. The policy judges the source first; nothing is written unless it accepts. Every byte is hashed as it arrives, signatures are carried along, and nothing has the destination's name before everything is there.",
    "Exit status 1 means that the policy rejected the image.",
  ],
  arguments: [
    {
      name: "SOURCE",
      summary:
        "docker://…, dir:…, oci:…, oci-archive:…, docker-archive:…, docker-daemon:… or containers-storage:…; a bare name means docker://",
    },
    { name: "DESTINATION", summary: "The same; docker://, dir: and containers-storage: keep signatures" },
  ],
  options: [
    policyOption,
    insecurePolicyOption,
    allOption,
    multiArchOption,
    signByOption,
    signIdentityOption,
    signPassphraseFileOption,
    removeSignaturesOption,
    preserveDigestsOption,
    digestFileOption,
    registriesDOption,
    overrideOsOption,
    overrideArchOption,
    overrideVariantOption,
    registryOptions.authFile,
    registryOptions.tlsVerify,
    ...sourceRegistryOptions.all,
    ...destinationRegistryOptions.all,
    retryTimesOption,
    ...openPgpOptions,
  ],
  examples: [
    {
      line: "signet copy --all registry.example.com/app:1 docker://mirror.example.org/app:1",
      purpose: "A whole multi-platform image, with its signatures",
    },
    {
      line: "signet copy registry.example.com/app:1 docker-archive:app.tar:registry.example.com/app:1 --remove-signatures",
      purpose: "A file for docker load and podman load, from an image that was judged",
    },
    {
      line: "signet copy dir:app docker://registry.example.com/app:1 --sign-by release@example.com",
      purpose: "Publish and sign in one step",
    },
  ],
  async run(invocation, runtime) {
    const { copyImage, openImageDestination, openImageSource, parseImageName, writeFileAtomic } =
      await import("@signet/images");
    const { openImageAccess } = await import("../images/image-access.ts");
    const { showCopyProgress } = await import("../images/copy-display.ts");
    const [from, to] = invocation.arguments as [string, string];
    const selection = readSelection(invocation);
    const sourceName = await parseImageName(from);
    const destinationName = await parseImageName(to);
    const policy = await choosePolicy(invocation, runtime.terminal);
    const signing = await readSigning(invocation, runtime);
    await using sourceAccess = await openImageAccess(invocation, sourceRegistryOptions, runtime);
    await using destinationAccess = await openImageAccess(invocation, destinationRegistryOptions, runtime);
    await using source = await openImageSource(sourceName, sourceAccess.open);
    await using destination = await openImageDestination(destinationName, destinationAccess.open);
    const finished = runtime.interruption.onInterrupt(() => Promise.allSettled([destination.close(), source.close()]));
    const { readPlatform } = await import("../images/platform-options.ts");
    const result = await copyImage(source, destination, {
      selection,
      platform: readPlatform(invocation),
      removeSignatures: invocation.get(removeSignaturesOption),
      preserveDigests: invocation.get(preserveDigestsOption),
      enforce: await makeEnforcement(source, policy, invocation, runtime),
      signal: runtime.interruption.signal,
      onProgress: showCopyProgress(runtime.progress),
      ...signing,
    });
    finished();
    const digestFile = invocation.get(digestFileOption);
    if (digestFile !== undefined)
      await runtime.interruption.finish(writeFileAtomic(digestFile, new TextEncoder().encode(result.digest)));
    const { carried, made } = result.signatures;
    runtime.terminal.line(`Copied ${sourceName.text} to ${destinationName.text}`);
    runtime.terminal.line(`digest ${result.digest}, ${carried} signatures carried along, ${made} made`);
    return exitCodes.done;
  },
};

function readSelection(invocation: Invocation): CopySelection {
  const multiArch = invocation.get(multiArchOption) as CopySelection | undefined;
  if (invocation.get(allOption)) {
    if (multiArch !== undefined) throw usage("Cannot use --all and --multi-arch flags together", name);
    return "all";
  }
  return multiArch ?? "system";
}

async function choosePolicy(invocation: Invocation, terminal: Terminal): Promise<Policy> {
  const path = invocation.get(policyOption);
  if (invocation.get(insecurePolicyOption)) {
    if (path !== undefined) throw usage("use --policy or --insecure-policy, not both", name);
    terminal.warn("--insecure-policy: the image is copied without being judged");
    return insecureAcceptAnythingPolicy();
  }
  const { currentHost, loadPolicy } = await import("@signet/images");
  return (await loadPolicy({ host: currentHost(), ...(path === undefined ? {} : { path }) })).policy;
}

/** Judges every manifest that is about to be copied; a rejection ends the copy before anything is written. */
async function makeEnforcement(
  source: ImageSource,
  policy: Policy,
  invocation: Invocation,
  { now, terminal }: Runtime,
): Promise<NonNullable<CopyOptions["enforce"]>> {
  const { judgeManifest, makeTrustAnchors } = await import("@signet/images");
  const judging = { policy, now: now(), switches: readSwitches(invocation), trustAnchors: makeTrustAnchors() };
  return async (manifest) => {
    const { verdict, lookup } = await judgeManifest(source, manifest, judging);
    for (const warning of [...verdict.evidence.warnings, ...(lookup?.warnings ?? [])]) terminal.warn(warning);
    if (verdict.verdict === "accepted") return;
    const { reasons, evidence } = verdict;
    const hint = reasons.find((reason) => reason.hint !== undefined)?.hint;
    throw new RejectedError(
      "image-rejected",
      `Source image rejected: ${reasons.map(({ message }) => message).join("; ")}`,
      { details: { reasons, evidence }, ...(hint === undefined ? {} : { hint }) },
    );
  };
}

async function readSigning(
  invocation: Invocation,
  runtime: Runtime,
): Promise<Pick<CopyOptions, "sign" | "signIdentity">> {
  const key = invocation.get(signByOption);
  const identity = invocation.get(signIdentityOption);
  if (key === undefined) {
    for (const option of [signIdentityOption, signPassphraseFileOption])
      if (invocation.get(option) !== undefined) throw usage(`--${option.name} needs --sign-by`, name);
    return {};
  }
  const reference = identity === undefined ? undefined : parseReferenceArgument(identity);
  if (reference !== undefined && reference.tag === undefined && reference.digest === undefined)
    throw usage("--sign-identity needs a tag or a digest", name, `such as ${identity}:latest`);
  const { openSigningKey } = await import("../keys/signing-key.ts");
  const signer = await openSigningKey(
    key,
    await readPassphrase(invocation, runtime.env, signPassphraseFileOption),
    runtime,
  );
  const now = runtime.now();
  return {
    sign: async (manifestBytes, _digest, signedIdentity) =>
      (await createSignature(manifestBytes, signedIdentity, signer, { engine: nodeEngine, now })).bytes,
    ...(identity === undefined ? {} : { signIdentity: identity }),
  };
}
