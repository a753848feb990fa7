import { type Digest, UndeterminedError } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { ImageSource } from "@signet/images";
import type {
  ComponentCheck,
  ReleaseImage,
  ReleaseSignatureSource,
  ReleaseSignaturesVerdict,
  ReleaseTrust,
} from "@signet/openshift";
import type { Command, FlagOption, Invocation, ListOption, TextOption } from "../command-line/command.ts";
import {
  jobsOption,
  outputFormatOption,
  overrideArchOption,
  overrideOsOption,
  overrideVariantOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import { openPgpOptions, readSwitches } from "../command-line/openpgp-options.ts";
import { usage } from "../command-line/parse.ts";
import { parseReferenceArgument } from "../command-line/reference-argument.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { type ImageAccess, openImageAccess } from "../images/image-access.ts";
import { readPlatform } from "../images/platform-options.ts";
import { checkReleaseArgument } from "../releases/release-argument.ts";
import { type VerifiedRelease, printReleaseReport, reportRelease } from "../releases/release-report.ts";
import { readReleaseTrust, releaseTrustOptions } from "../releases/release-trust-options.ts";
import type { Runtime } from "../runtime.ts";
import { plural } from "../terminal/plural.ts";

const name = "release verify";

const shallowOption: FlagOption = {
  kind: "flag",
  name: "shallow",
  summary: "Stop at the signature; a digest alone is enough then",
};
const configMapOption: ListOption = {
  kind: "list",
  name: "configmap",
  value: "FILE|DIR",
  summary: "Look for signatures in these ConfigMaps of mirrored signatures as well",
  completion: "file",
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
    "The release may be named by digest, in any spelling that stores and documents use (sha256:…, sha256=…, sha256%…). Exit status 1 means that a signature or an image is not as it must be, 2 that it could not be told.",
  ],
  arguments: [{ name: "IMAGE|DIGEST", summary: "The release image; with --shallow its digest is enough" }],
  options: [
    ...releaseTrustOptions,
    configMapOption,
    writeConfigMapOption,
    identityOption,
    shallowOption,
    componentsOption,
    jobsOption,
    outputFormatOption,
    registriesDOption,
    registriesConfOption,
    overrideOsOption,
    overrideArchOption,
    overrideVariantOption,
    ...registryOptions.all,
    retryTimesOption,
    ...openPgpOptions,
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
  ],
  async run(invocation, runtime) {
    const [argument] = invocation.arguments as [string];
    const trust = await readReleaseTrust(invocation);
    for (const warning of trust.warnings) runtime.terminal.warn(warning);
    await using access = await openImageAccess(invocation, registryOptions, runtime);
    const digest = await digestAlone(argument, invocation);
    if (digest !== undefined) {
      const signatures = await judge(digest, trust, undefined, access, invocation, runtime);
      return finish({ image: digest, signatures }, invocation, runtime);
    }
    checkReleaseArgument(argument, name);
    const { openImageSource, parseImageName } = await import("@signet/images");
    const imageName = await parseImageName(argument, access.names);
    await using source = await openImageSource(imageName, access.open);
    const top = await source.manifest();
    const signatures = await judge(top.digest, trust, source, access, invocation, runtime);
    if (signatures.verdict === "rejected" || invocation.get(shallowOption))
      return finish({ image: imageName.text, signatures }, invocation, runtime);
    const { readReleaseImage } = await import("@signet/openshift");
    const release = await readReleaseImage(source, readPlatform(invocation));
    for (const warning of release.release.warnings) runtime.terminal.warn(warning);
    const components = await checkAll(release, access, invocation, runtime);
    return finish({ image: imageName.text, signatures, release, components }, invocation, runtime);
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
  digest: Digest,
  trust: ReleaseTrust,
  source: ImageSource | undefined,
  access: ImageAccess,
  invocation: Invocation,
  runtime: Runtime,
): Promise<ReleaseSignaturesVerdict> {
  const { judgeReleaseSignatures, writeSignatureConfigMap } = await import("@signet/openshift");
  const identity = invocation.get(identityOption);
  const sources = await listSources(trust, source, access, invocation, runtime);
  runtime.progress.step(`Looking for signatures of ${digest} in ${sources.length} places`);
  const verdict = await judgeReleaseSignatures(digest, trust.keyrings, sources, {
    engine: nodeEngine,
    now: runtime.now(),
    // A cluster does not look at expiry at all; a key that has expired since it signed is told, and stays good for what it signed.
    switches: {
      acceptKeyExpiredSinceSigning: true,
      acceptSubkeyExpiredSinceSigning: true,
      ...readSwitches(invocation),
    },
    ...(identity === undefined ? {} : { identity: parseReferenceArgument(identity) }),
  });
  const folder = invocation.get(writeConfigMapOption);
  if (folder !== undefined && verdict.verdict === "accepted") {
    const path = await writeSignatureConfigMap(folder, digest, verdict.accepted);
    runtime.terminal.note(`wrote ${path}; apply it with: oc apply -f ${path}`);
  }
  return verdict;
}

async function listSources(
  trust: ReleaseTrust,
  source: ImageSource | undefined,
  access: ImageAccess,
  invocation: Invocation,
  { terminal }: Runtime,
): Promise<readonly ReleaseSignatureSource[]> {
  const { parseLookasideBase, readReleaseStore } = await import("@signet/images");
  const { loadSignatureConfigMaps } = await import("@signet/openshift");
  const sources: ReleaseSignatureSource[] = [];
  for (const path of invocation.get(configMapOption)) {
    const { signatures, warnings } = await loadSignatureConfigMaps(path);
    for (const warning of warnings) terminal.warn(warning);
    sources.push({
      label: `ConfigMaps in ${path}`,
      read: async (digest) => ({
        store: path,
        signatures: signatures.filter((signature) => signature.digest === digest),
        attempts: [],
        warnings: [],
      }),
    });
  }
  for (const { url } of trust.stores) {
    const base = parseLookasideBase(url.href, "the store of the release");
    sources.push({ label: base.label, read: (digest) => readReleaseStore(base, digest, access.clients) });
  }
  // Beside the image itself: in a lookaside store, behind the registry's signatures API, in a dir: image.
  if (source !== undefined)
    sources.push({ label: `signatures of ${source.name.text}`, read: (digest) => source.signatures(digest) });
  return sources;
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

function finish(verified: VerifiedRelease, invocation: Invocation, { terminal, progress }: Runtime): ExitCode {
  progress.clear();
  if (invocation.get(outputFormatOption) === "json") terminal.json(reportRelease(verified));
  else printReleaseReport(verified, terminal);
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
