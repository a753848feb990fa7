import { type Digest, UndeterminedError } from "@signet/core";
import type { ComponentCheck, ReleaseEvidence, ReleaseImage, ReleaseSignaturesVerdict } from "@signet/openshift";
import type { Command, FlagOption, Invocation, NumberOption, TextOption } from "../command-line/command.ts";
import { jobsOption as anyJobsOption, outputFormatOption } from "../command-line/common-options.ts";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { parseReferenceArgument } from "../command-line/reference-argument.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { type ImageAccess, openImageAccess } from "../images/image-access.ts";
import { readPlatform } from "../images/platform-options.ts";
import { checkReleaseArgument } from "../releases/release-argument.ts";
import { type VerifiedRelease, printReleaseReport, reportRelease } from "../releases/release-report.ts";
import { releaseTrustOptions } from "../releases/release-trust-options.ts";
import { type SearchedRelease, judgeRelease } from "../releases/signature-search.ts";
import { findReleaseTrust, releaseReadingOptions } from "../releases/trust-from-release.ts";
import type { Runtime } from "../runtime.ts";
import { plural } from "../terminal/plural.ts";

const name = "release verify";

const shallowOption: FlagOption = {
  kind: "flag",
  name: "shallow",
  summary: "Stop at the signature; a digest alone is enough then",
};
const writeConfigMapOption: TextOption = {
  kind: "text",
  name: "write-configmap",
  value: "DIR",
  summary: "Write the signatures that were accepted as a ConfigMap, for a disconnected cluster",
  completion: "directory",
};
const identityOption: TextOption = {
  kind: "text",
  name: "identity",
  value: "REF",
  summary: "The signature must be for this name, with its tag (default: any, as clusters have it)",
  completion: "nothing",
};
const jobsOption: NumberOption = {
  ...anyJobsOption,
  summary: "Images of the release looked at at the same time (default 16)",
};
const componentsOption: TextOption = {
  kind: "text",
  name: "component-repository",
  value: "HOST/PATH",
  summary: "The images of the release lie in this repository of a mirror, whatever the release says",
  completion: "nothing",
};

export const command: Command = {
  name,
  summary: "Verify an OpenShift release: its signature, then every image it refers to",
  description: [
    "Looks for signatures of the release's digest in all stores at once, and asks that every keyring of the trust is satisfied (signet release trust shows it). Then reads the release image and fetches every image it refers to by its digest: each is present and equal, different, for another platform, or absent.",
    "--trust-from-release takes keys and stores from the verification ConfigMap of another release, as a cluster does from the one that it runs. A release cannot vouch for itself: the other one is verified first, by the trust that the remaining options name (default: Red Hat's), and it must be another release than the one in question, named by digest.",
    "The release may be named by digest, in any spelling that stores and documents use (sha256:…, sha256=…, sha256%…). Exit status 1 means that a signature or an image is not as it must be, 2 that it could not be told.",
  ],
  arguments: [{ name: "IMAGE|DIGEST", summary: "The release image; with --shallow its digest is enough" }],
  options: [
    ...releaseTrustOptions,
    ...releaseReadingOptions,
    writeConfigMapOption,
    identityOption,
    shallowOption,
    componentsOption,
    jobsOption,
    outputFormatOption,
  ],
  examples: [
    {
      line: "signet release verify quay.io/openshift-release-dev/ocp-release@sha256:0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363",
      purpose: "A release with all its images, before an update",
    },
    {
      line: "signet release verify --shallow sha256:0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363 --store file:///srv/signatures --write-configmap config",
      purpose: "The signature alone, from a folder; and the ConfigMap for a disconnected cluster",
    },
    {
      line: "signet release verify registry.example.com/okd/release@sha256:1111111111111111111111111111111111111111111111111111111111111111 --trust-from-release registry.example.com/okd/release@sha256:2222222222222222222222222222222222222222222222222222222222222222 --trust-configmap release-verification.yaml",
      purpose: "By the keys of the release that runs now, which a ConfigMap that is known accepts",
    },
  ],
  async run(invocation, runtime) {
    const { normalizeReleaseName } = await import("@signet/openshift");
    const argument = normalizeReleaseName(invocation.arguments[0]!);
    await using access = await openImageAccess(invocation, registryOptions, runtime);
    const digest = await digestAlone(argument, invocation);
    if (digest !== undefined) {
      const used = await findReleaseTrust(new Set([digest]), access, invocation, runtime);
      const signatures = await judge({ digest }, { image: digest, used }, access, invocation, runtime);
      return finish({ image: digest, used, signatures }, invocation, runtime);
    }
    checkReleaseArgument(argument, name);
    const { openImageSource, parseImageName } = await import("@signet/images");
    const { digestsOfRelease, readReleaseImage } = await import("@signet/openshift");
    const imageName = await parseImageName(argument, access.names);
    const image = imageName.text;
    await using source = await openImageSource(imageName, access.open);
    const used = await findReleaseTrust(await digestsOfRelease(source), access, invocation, runtime);
    const top = await source.manifest();
    const signatures = await judge({ digest: top.digest, source }, { image, used }, access, invocation, runtime);
    if (signatures.verdict === "rejected" || invocation.get(shallowOption))
      return finish({ image, used, signatures }, invocation, runtime);
    const release = await readReleaseImage(source, readPlatform(invocation));
    for (const warning of release.release.warnings) runtime.terminal.warn(warning);
    const components = await checkAll(release, access, invocation, runtime);
    return finish({ image, used, signatures, release, components }, invocation, runtime);
  },
};

/** The digest, where the argument is nothing else. */
async function digestAlone(argument: string, invocation: Invocation): Promise<Digest | undefined> {
  const { tryParseReleaseDigest } = await import("@signet/openshift");
  const digest = argument.includes("/") ? undefined : tryParseReleaseDigest(argument);
  if (digest === undefined || invocation.get(shallowOption)) return digest;
  throw usage(
    "a digest alone says nothing about where the release's images are",
    name,
    "name the image, or stop at its signature with --shallow",
  );
}

async function judge(
  release: SearchedRelease,
  { image, used }: Pick<VerifiedRelease, "image" | "used">,
  access: ImageAccess,
  invocation: Invocation,
  runtime: Runtime,
): Promise<ReleaseSignaturesVerdict> {
  const identity = invocation.get(identityOption);
  const wanted = identity === undefined ? release : { ...release, identity: parseReferenceArgument(identity) };
  const verdict = await judgeRelease(wanted, used.trust, access, invocation, runtime).catch((error: unknown) => {
    // What was found is shown also where it does not suffice.
    const evidence = error instanceof UndeterminedError ? error.details["evidence"] : undefined;
    if (evidence !== undefined) {
      const signatures = { ...(evidence as ReleaseEvidence), verdict: "undetermined" as const };
      print({ image, used, signatures }, invocation, runtime);
    }
    throw error;
  });
  const folder = invocation.get(writeConfigMapOption);
  if (folder !== undefined && verdict.verdict === "accepted") {
    const { writeSignatureConfigMap } = await import("@signet/openshift");
    const path = await writeSignatureConfigMap(folder, verdict.digest, verdict.accepted);
    runtime.terminal.note(`wrote ${path}; apply it with: oc apply -f ${path}`);
  }
  return verdict;
}

async function checkAll(
  { release, platform }: ReleaseImage,
  access: ImageAccess,
  invocation: Invocation,
  { progress }: Runtime,
): Promise<readonly ComponentCheck[]> {
  const { checkComponents } = await import("@signet/openshift");
  const { openImageSource, parseImageName } = await import("@signet/images");
  const jobs = invocation.get(jobsOption);
  const repository = invocation.get(componentsOption);
  let done = 0;
  return checkComponents(release.components, {
    platform,
    open: async (image) => openImageSource(await parseImageName(image), access.open),
    ...(jobs === undefined ? {} : { jobs }),
    ...(repository === undefined ? {} : { repository }),
    onDone: (check) => progress.count(++done, release.components.length, check.name),
  });
}

function print(verified: VerifiedRelease, invocation: Invocation, { terminal, progress }: Runtime): void {
  progress.clear();
  if (invocation.get(outputFormatOption) === "json") terminal.json(reportRelease(verified));
  else printReleaseReport(verified, terminal);
}

function finish(verified: VerifiedRelease, invocation: Invocation, runtime: Runtime): ExitCode {
  print(verified, invocation, runtime);
  const { signatures, components = [] } = verified;
  if (signatures.verdict === "rejected") return exitCodes.rejected;
  const bad = components.filter(({ outcome }) => outcome !== "equal");
  if (bad.some(({ outcome }) => outcome !== "unknown")) return exitCodes.rejected;
  if (bad.length === 0) return exitCodes.done;
  throw new UndeterminedError(
    "release-undetermined",
    `${plural(bad.length, "image")} of the release could not be looked at: ${bad[0]!.message}`,
  );
}
