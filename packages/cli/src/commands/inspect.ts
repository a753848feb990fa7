import {
  type Digest,
  type UntrustedManifest,
  type UntrustedManifestList,
  chooseInstance,
  formatPlatform,
  parseManifest,
} from "@signet/core";
import type { EndpointAttempt } from "@signet/images";
import type { Command, FlagOption } from "../command-line/command.ts";
import {
  outputFormatOption,
  overrideArchOption,
  overrideOsOption,
  overrideVariantOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { type CompanionReport, describeCompanion, reportCompanions } from "../signatures/companion-report.ts";
import { describeSignature, tryReportSignature, unverifiedNotice } from "../signatures/signature-report.ts";
import type { Terminal } from "../terminal/terminal.ts";

const rawOption: FlagOption = {
  kind: "flag",
  name: "raw",
  summary: "Print the manifest as it is stored, and nothing else",
};

export const command: Command = {
  name: "inspect",
  summary: "Show an image's manifest, platforms and signatures",
  description: [
    "Shows what an image is made of: digest, type, layers or platforms, the signatures stored for it with what they claim, and what else belongs to it: cosign's signatures, attestations and SBOMs, and referrers. Nothing is verified: the claims are marked as such, and `signet verify` judges them.",
  ],
  arguments: [
    {
      name: "IMAGE",
      summary:
        "docker://…, dir:…, oci:…, oci-archive:…, docker-archive:…, docker-daemon:… or containers-storage:…; a bare name means docker://",
    },
  ],
  options: [
    rawOption,
    outputFormatOption,
    registriesDOption,
    registriesConfOption,
    overrideOsOption,
    overrideArchOption,
    overrideVariantOption,
    ...registryOptions.all,
    retryTimesOption,
  ],
  examples: [
    { line: "signet inspect registry.example.com/app:1", purpose: "An image in a registry" },
    { line: "signet inspect dir:app --raw | signet manifest-digest -", purpose: "The manifest as it is stored" },
  ],
  async run(invocation, runtime) {
    const { openImageSource, parseImageName } = await import("@signet/images");
    const { openImageAccess } = await import("../images/image-access.ts");
    const { readPlatform } = await import("../images/platform-options.ts");
    const { terminal } = runtime;
    const [text] = invocation.arguments as [string];
    await using access = await openImageAccess(invocation, registryOptions, runtime);
    const name = await parseImageName(text, access.names);
    await using source = await openImageSource(name, access.open);
    const top = await source.manifest();
    if (invocation.get(rawOption)) {
      terminal.bytes(top.bytes);
      return exitCodes.done;
    }
    const manifest = parseManifest(top.bytes, top.declaredMediaType);
    const platform = readPlatform(invocation);
    const chosen = manifest.kind === "list" ? chooseInstance(manifest, platform) : undefined;
    const digests: Digest[] = [top.namedDigest ?? top.digest];
    if (chosen !== undefined) digests.push(chosen.digest);
    const signatures = [];
    for (const digest of digests) {
      const reading = await source.signatures(digest);
      for (const warning of reading.warnings) terminal.warn(warning);
      for (const { bytes, location } of reading.signatures)
        signatures.push({ manifestDigest: digest, location, ...tryReportSignature(bytes) });
    }
    const companions = await reportCompanions(source, digests, terminal);
    const report = {
      image: name.text,
      digest: top.digest,
      size: top.bytes.length,
      endpoints: source.endpoints?.() ?? [],
      ...describeManifest(manifest),
      ...(chosen === undefined
        ? {}
        : { chosenInstance: { platform: formatPlatform(platform), digest: chosen.digest } }),
      signatures,
      companions,
    };
    if (invocation.get(outputFormatOption) === "json") terminal.json(report);
    else printReport(report, manifest, terminal);
    return exitCodes.done;
  },
};

type Signature = ReturnType<typeof tryReportSignature> & {
  readonly manifestDigest: Digest;
  readonly location: string;
};

interface Report {
  readonly image: string;
  readonly digest: Digest;
  readonly size: number;
  readonly endpoints: readonly EndpointAttempt[];
  readonly mediaType: string;
  readonly chosenInstance?: { readonly platform: string; readonly digest: Digest };
  readonly signatures: readonly Signature[];
  /** Null when the source did not tell. */
  readonly companions: readonly CompanionReport[] | null;
}

/** The members of a manifest that people look for. All of them are what the manifest says of itself. */
function describeManifest(manifest: UntrustedManifest): {
  readonly mediaType: string;
  readonly [member: string]: unknown;
} {
  const { mediaType } = manifest;
  if (manifest.kind === "list") return { mediaType, instances: manifest.instances.map(describeInstance) };
  if (manifest.kind === "schema1") return { mediaType, layers: manifest.layers.map((digest) => ({ digest })) };
  const annotations = Object.fromEntries(manifest.annotations);
  return {
    mediaType,
    config: describeBlob(manifest.config),
    layers: manifest.layers.map(describeBlob),
    ...(manifest.annotations.size === 0 ? {} : { annotations }),
  };
}

function describeInstance(instance: UntrustedManifestList["instances"][number]): Readonly<Record<string, unknown>> {
  return {
    ...describeBlob(instance),
    platform: instance.platform === undefined ? null : formatPlatform(instance.platform),
  };
}

function describeBlob(blob: { readonly digest: Digest; readonly size: number; readonly mediaType: string }): {
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
} {
  return { digest: blob.digest, size: blob.size, mediaType: blob.mediaType };
}

function describeEndpoint({ role, reference, outcome, message }: EndpointAttempt): string {
  if (outcome === "served") return `served by   ${role} ${reference}`;
  return `not served  by ${role} ${reference}: ${message}`;
}

function printReport(report: Report, manifest: UntrustedManifest, terminal: Terminal): void {
  terminal.line({ colour: "bold", text: report.image });
  terminal.line(`digest      ${report.digest}`);
  for (const endpoint of report.endpoints) terminal.line(describeEndpoint(endpoint));
  terminal.line(`type        ${report.mediaType}`);
  if (manifest.kind === "list") {
    for (const { digest, platform } of manifest.instances)
      terminal.line(`instance    ${digest}  ${platform === undefined ? "-" : formatPlatform(platform)}`);
    if (report.chosenInstance === undefined) terminal.line("chosen      none for this platform");
    else terminal.line(`chosen      ${report.chosenInstance.digest}  ${report.chosenInstance.platform}`);
  } else if (manifest.kind === "image") {
    terminal.line(`config      ${manifest.config.digest}`);
    for (const { digest, size } of manifest.layers) terminal.line(`layer       ${digest}  ${size} bytes`);
  } else for (const digest of manifest.layers) terminal.line(`layer       ${digest}`);
  if (report.signatures.length === 0) terminal.line("signatures  none");
  else printSignatures(report, terminal);
  printCompanions(report, terminal);
}

function printSignatures(report: Report, terminal: Terminal): void {
  terminal.line("signatures  ", { colour: "yellow", text: unverifiedNotice });
  for (const signature of report.signatures) {
    terminal.line(`  ${signature.location}`);
    if (signature.manifestDigest !== report.digest) terminal.line(`    for instance      ${signature.manifestDigest}`);
    if ("malformed" in signature) terminal.line(`    malformed         ${signature.malformed}`);
    else for (const line of describeSignature(signature)) terminal.line(`    ${line}`);
  }
}

/** Nothing where there is nothing: most images have none, and most places cannot. */
function printCompanions({ companions, digest }: Report, terminal: Terminal): void {
  if (companions?.length === 0) return;
  if (companions === null) return terminal.line("companions  cannot be told");
  terminal.line("companions  ", { colour: "yellow", text: unverifiedNotice });
  for (const companion of companions) {
    terminal.line(`  ${describeCompanion(companion)}`);
    if (companion.manifestDigest !== digest) terminal.line(`    for instance      ${companion.manifestDigest}`);
  }
}
