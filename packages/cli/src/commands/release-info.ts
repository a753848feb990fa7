import { type Reference, StoreError } from "@signet/core";
import type { ReleaseImage, UntrustedRelease } from "@signet/openshift";
import type { Command, FlagOption, Invocation, TextOption } from "../command-line/command.ts";
import {
  overrideArchOption,
  overrideOsOption,
  overrideVariantOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { openImageAccess } from "../images/image-access.ts";
import { readPlatform } from "../images/platform-options.ts";
import { checkReleaseArgument } from "../releases/release-argument.ts";
import type { Runtime } from "../runtime.ts";
import type { Terminal } from "../terminal/terminal.ts";

const name = "release info";

const outputOption: TextOption = {
  kind: "text",
  name: "output",
  short: "o",
  value: "FORMAT",
  choices: ["json", "pullspec", "digest", "name"],
  summary: "json, or of each image its pullspec, digest or name, one a line",
  completion: "nothing",
};
const pullSpecsOption: FlagOption = {
  kind: "flag",
  name: "pullspecs",
  summary: "Show where each image is pulled from instead of its digest",
};
const imageForOption: TextOption = {
  kind: "text",
  name: "image-for",
  value: "NAME",
  summary: "Print where this one image of the release is pulled from",
  completion: "nothing",
};
const changesFromOption: TextOption = {
  kind: "text",
  name: "changes-from",
  value: "IMAGE",
  summary: "Show which images were added, removed or changed since this release",
  completion: "nothing",
};

export const command: Command = {
  name,
  summary: "Show what an OpenShift release says of itself, and the images that it refers to",
  description: [
    "Prints what `oc adm release info` prints: name, digest, versions, upgrades and images of a release, from a registry, a folder or an archive. Every byte that is read is held against the digests of the image; no signature is looked at: `signet release verify` does that.",
  ],
  arguments: [{ name: "IMAGE", summary: "The release image: docker://…, oci:…, dir:… or an archive" }],
  options: [
    outputOption,
    pullSpecsOption,
    imageForOption,
    changesFromOption,
    registriesDOption,
    registriesConfOption,
    overrideOsOption,
    overrideArchOption,
    overrideVariantOption,
    ...registryOptions.all,
    retryTimesOption,
  ],
  examples: [
    { line: "signet release info quay.io/openshift-release-dev/ocp-release:4.15.0-x86_64", purpose: "A release" },
    {
      line: "signet release info oci:release --changes-from quay.io/openshift-release-dev/ocp-release:4.14.9-x86_64",
      purpose: "What an update brings",
    },
  ],
  async run(invocation, runtime) {
    const chosen = [outputOption, pullSpecsOption, imageForOption].filter((option) => {
      const value = option.kind === "flag" ? invocation.get(option) : invocation.get(option);
      return value !== undefined && value !== false;
    });
    if (chosen.length > 1) throw usage(`use one of ${chosen.map((option) => `--${option.name}`).join(" and ")}`, name);
    const [argument] = invocation.arguments as [string];
    const { image, reference } = await read(argument, invocation, runtime);
    const from = invocation.get(changesFromOption);
    if (from !== undefined) {
      const { image: before } = await read(from, invocation, runtime);
      await printChanges(before.release, image.release, invocation, runtime.terminal);
    } else await print(image, reference, argument, invocation, runtime.terminal);
    return exitCodes.done;
  },
};

interface ReadRelease {
  readonly image: ReleaseImage;
  /** The name it was asked for by; undefined for folders and archives. */
  readonly reference: Reference | undefined;
}

async function read(argument: string, invocation: Invocation, runtime: Runtime): Promise<ReadRelease> {
  checkReleaseArgument(argument, name);
  const { openImageSource, parseImageName } = await import("@signet/images");
  const { normalizeReleaseName, readReleaseImage } = await import("@signet/openshift");
  await using access = await openImageAccess(invocation, registryOptions, runtime);
  const imageName = await parseImageName(normalizeReleaseName(argument), access.names);
  await using source = await openImageSource(imageName, access.open);
  const image = await readReleaseImage(source, readPlatform(invocation));
  for (const warning of image.release.warnings) runtime.terminal.warn(warning);
  return { image, reference: imageName.reference };
}

async function print(
  image: ReleaseImage,
  reference: Reference | undefined,
  argument: string,
  invocation: Invocation,
  terminal: Terminal,
): Promise<void> {
  const { components } = image.release;
  const imageFor = invocation.get(imageForOption);
  if (imageFor !== undefined) {
    const component = components.find((candidate) => candidate.name === imageFor);
    if (component === undefined) {
      throw new StoreError(
        "image-missing",
        `no image tag ${JSON.stringify(imageFor)} exists in the release image ${argument}`,
        {
          side: "source",
          hint: "`signet release info IMAGE -o name` lists them",
        },
      );
    }
    return terminal.line(component.pullSpec);
  }
  const output = invocation.get(outputOption);
  if (output === "json") return terminal.json(await toJson(image, argument));
  if (output === "name") {
    for (const tag of image.release.tagNames) terminal.line(tag);
    return;
  }
  if (output === undefined) {
    const { describeRelease } = await import("../releases/release-text.ts");
    for (const line of describeRelease(image, reference, invocation.get(pullSpecsOption))) terminal.line(line);
    return;
  }
  for (const component of components) {
    const text = { pullspec: component.pullSpec, digest: component.digest }[output];
    if (text === undefined) terminal.note(`error: ${component.name} does not point to a digest`);
    else terminal.line(text);
  }
}

/** In the member names of `oc adm release info -o json`. */
async function toJson(image: ReleaseImage, argument: string): Promise<object> {
  const { digest, instanceDigest, isList, platform, created, release } = image;
  const { componentVersions } = await import("@signet/openshift");
  const { versions } = componentVersions(release);
  const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));
  return {
    image: argument,
    digest,
    contentDigest: instanceDigest,
    listDigest: isList ? digest : "",
    config: { created, os: platform.os, architecture: platform.architecture },
    references: parse(release.raw.imageReferences),
    metadata: release.raw.metadata === undefined ? null : parse(release.raw.metadata),
    versions: Object.fromEntries(versions.map(({ name: of, version }) => [of, version])),
    displayVersions: Object.fromEntries(
      versions.map(({ name: of, version, displayName }) => [of, { Version: version, DisplayName: displayName }]),
    ),
  };
}

async function printChanges(
  before: UntrustedRelease,
  after: UntrustedRelease,
  invocation: Invocation,
  terminal: Terminal,
): Promise<void> {
  const { compareReleases } = await import("@signet/openshift");
  const difference = compareReleases(before, after);
  const output = invocation.get(outputOption);
  if (output !== undefined && output !== "json") throw usage("--changes-from takes --output json alone", name);
  if (output === "json") {
    const plain = ({ name: of, pullSpec, digest }: UntrustedRelease["components"][number]): object => ({
      name: of,
      pullSpec,
      digest: digest ?? null,
    });
    return terminal.json({
      from: before.name,
      to: after.name,
      added: difference.added.map(plain),
      removed: difference.removed.map(plain),
      changed: difference.changed.map((change) => ({ before: plain(change.before), after: plain(change.after) })),
      unchanged: difference.unchanged,
    });
  }
  const { describeDifference } = await import("../releases/release-text.ts");
  terminal.line(`${before.name} -> ${after.name}`);
  terminal.line("");
  for (const line of describeDifference(difference, invocation.get(pullSpecsOption))) terminal.line(line);
}
