import { setTimeout as sleep } from "node:timers/promises";
import type { ManifestFormat } from "@signet/core";
import type { CompanionSelection, CopySelection, StoreKind } from "@signet/images";
import type { Command, FlagOption, Invocation, ListOption, TextOption } from "../command-line/command.ts";
import {
  insecurePolicyOption,
  outputFormatOption,
  overrideArchOption,
  overrideOsOption,
  overrideVariantOption,
  policyOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openPgpOptions } from "../command-line/openpgp-options.ts";
import { usage } from "../command-line/parse.ts";
import {
  destinationRegistryOptions,
  registryOptions,
  sourceRegistryOptions,
} from "../command-line/registry-options.ts";
import { readMountFrom, withMounts } from "../images/copy-mounts.ts";
import { refuseOtherSigners, signingOptions } from "../images/copy-signing-options.ts";
import type { Interruption } from "../interruption.ts";

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
const removeSignaturesOption: FlagOption = {
  kind: "flag",
  name: "remove-signatures",
  summary: "Leave the source's signatures behind, cosign's and notation's too; those that the destination has stay",
};
const companionsOption: TextOption = {
  kind: "text",
  name: "companions",
  value: "WHICH",
  choices: ["all", "signatures", "none"],
  summary:
    "What comes along that lies beside the image (cosign's signatures, attestations and SBOMs; referrers): all, signatures alone, or none (default: all that the destination has a place for)",
};
const preserveDigestsOption: FlagOption = {
  kind: "flag",
  name: "preserve-digests",
  summary: "Fail where the image would get another digest: by conversion, or in a place that keeps no manifest",
};
const formatOption: TextOption = {
  kind: "text",
  name: "format",
  short: "f",
  value: "FORMAT",
  choices: ["oci", "v2s1", "v2s2"],
  summary: "Convert manifests to oci or v2s2; refused where it would invalidate signatures (default: as they are)",
};
const storeOption: TextOption = {
  kind: "text",
  name: "store",
  value: "STORE",
  choices: ["lookaside", "extension"],
  summary: "Where the destination's signatures go (default: what the registry and registries.d say)",
};
const sourceStoreOption: TextOption = {
  kind: "text",
  name: "src-store",
  value: "STORE",
  choices: ["lookaside", "extension"],
  summary: "Where the source's signatures are read (default: what the registry and registries.d say)",
};
const mountFromOption: ListOption = {
  kind: "list",
  name: "mount-from",
  value: "REPO",
  summary: "A repository of the destination's registry that may have the blobs; the source's is tried by itself",
  completion: "nothing",
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
    "Copies an image byte for byte; docker-archive: and docker-daemon: get its config and its unpacked layers. The policy judges the source first; nothing is written unless it accepts. Every byte is hashed as it arrives, signatures are carried along and laid beside those that the destination has, and nothing has the destination's name before everything is there.",
    "Docker manifests become OCI ones on their way to oci: and oci-archive:, which hold nothing else, or with --format. That changes the digest, so it is refused for a signed image unless its signatures are left behind. Attestations, SBOMs and other referrers speak of the old digest and stay behind, with a warning that counts them; to keep them, copy to docker:// or dir: without --format, or attach new ones.",
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
    formatOption,
    ...signingOptions,
    removeSignaturesOption,
    companionsOption,
    preserveDigestsOption,
    digestFileOption,
    storeOption,
    sourceStoreOption,
    mountFromOption,
    outputFormatOption,
    registriesDOption,
    registriesConfOption,
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
    {
      line: "signet copy --format oci --remove-signatures --sign-by release.private app:1 docker://registry.example.com/app:1-oci",
      purpose: "To OCI, with a signature for the new digest",
    },
  ],
  async run(invocation, runtime) {
    const { terminal, interruption } = runtime;
    const [from, to] = invocation.arguments as [string, string];
    const selection = readSelection(invocation);
    const format = readFormat(invocation);
    refuseOtherSigners(invocation);
    const { copyImage, openImageDestination, openImageSource, parseImageName, writeFileAtomic } =
      await import("@signet/images");
    const { openImageAccess } = await import("../images/image-access.ts");
    const { printCopy, reportCopy } = await import("../images/copy-report.ts");
    const { showCopyProgress } = await import("../images/copy-display.ts");
    const { readPlatform } = await import("../images/platform-options.ts");
    const { choosePolicy, makeEnforcement } = await import("../images/copy-policy.ts");
    const { readSigning } = await import("../images/copy-signing.ts");
    const sourceStore = invocation.get(sourceStoreOption) as StoreKind | undefined;
    const destinationStore = invocation.get(storeOption) as StoreKind | undefined;
    await using sourceAccess = await openImageAccess(invocation, sourceRegistryOptions, runtime, sourceStore);
    await using destinationAccess = await openImageAccess(
      invocation,
      destinationRegistryOptions,
      runtime,
      destinationStore,
      sourceAccess.registriesConf,
    );
    const sourceName = await parseImageName(from, sourceAccess.names);
    const destinationName = await parseImageName(to, destinationAccess.names);
    const mountFrom = readMountFrom(invocation.get(mountFromOption), sourceName, destinationName);
    const policy = await choosePolicy(invocation, runtime);
    const signing = await readSigning(invocation, runtime);
    await using source = await openImageSource(sourceName, sourceAccess.open);
    await using destination = await openImageDestination(
      destinationName,
      withMounts(destinationAccess.open, mountFrom),
    );
    const work = Promise.withResolvers<void>();
    // What is under way ends first: a commit that is taken back half-way would leave a mixture.
    const finished = interruption.onInterrupt(async () => {
      await Promise.race([work.promise, sleep(MAX_SETTLING_MS)]);
      await Promise.allSettled([destination.close(), source.close()]);
    });
    try {
      const result = await copyImage(source, destination, {
        selection,
        platform: readPlatform(invocation),
        removeSignatures: invocation.get(removeSignaturesOption),
        companions: invocation.get(companionsOption) as CompanionSelection | undefined,
        preserveDigests: invocation.get(preserveDigestsOption),
        enforce: makeEnforcement(source, policy, invocation, runtime),
        signal: interruption.signal,
        onProgress: showCopyProgress(runtime.progress),
        ...(format === undefined ? {} : { format }),
        ...signing,
      });
      finished();
      const digestFile = invocation.get(digestFileOption);
      if (digestFile !== undefined)
        await interruption.finish(writeFileAtomic(digestFile, new TextEncoder().encode(result.digest)));
      for (const warning of [...result.warnings, ...result.companions.warnings]) terminal.warn(warning);
      if (invocation.get(outputFormatOption) === "json") terminal.json(reportCopy(sourceName, destinationName, result));
      else printCopy(sourceName, destinationName, result, terminal, source.endpoints?.().at(-1));
    } catch (error) {
      // The process is about to end by itself, with the status of the signal.
      if (interruption.signal.aborted) await endWith(work, interruption);
      throw error;
    } finally {
      work.resolve();
    }
    return exitCodes.done;
  },
};

/** Milliseconds that an interrupted copy may take to come to a halt; a file's flush or one answer of a registry. */
const MAX_SETTLING_MS = 3000;

async function endWith(work: PromiseWithResolvers<void>, interruption: Interruption): Promise<never> {
  work.resolve();
  return interruption.ended;
}

function readFormat(invocation: Invocation): ManifestFormat | undefined {
  const format = invocation.get(formatOption);
  if (format === "v2s1") {
    throw usage(
      "--format v2s1: docker's schema 1 is read and not written",
      name,
      "registries have stopped taking it; use v2s2 or oci",
    );
  }
  return format === undefined ? undefined : format === "oci" ? "oci" : "docker";
}

function readSelection(invocation: Invocation): CopySelection {
  const multiArch = invocation.get(multiArchOption) as CopySelection | undefined;
  if (invocation.get(allOption)) {
    if (multiArch !== undefined) throw usage("Cannot use --all and --multi-arch flags together", name);
    return "all";
  }
  return multiArch ?? "system";
}
