/** What belongs to an image and lies beside it, as a listing. Nothing in it is verified. */
import {
  type Digest,
  FormatError,
  SignetError,
  type UntrustedDescriptor,
  artifactTypeOf,
  parseManifest,
} from "@signet/core";
import type { FoundCompanion, ImageSource } from "@signet/images";
import type { Terminal } from "../terminal/terminal.ts";

/** One companion as JSON. */
export interface CompanionReport {
  readonly verified: false;
  /** The manifest it belongs to. */
  readonly manifestDigest: Digest;
  /** How it is found: under a tag of cosign's, or as a referrer. */
  readonly kind: "tag" | "referrer";
  readonly tag?: string;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly artifactType: string | null;
  /** Of a tag: what its manifest holds, one layer a signature or statement. */
  readonly layers?: readonly { readonly mediaType: string; readonly size: number; readonly digest: Digest }[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Lists what belongs to some manifests.
 * @returns null when the source did not tell, which is warned of; an empty list when there is nothing
 */
export async function reportCompanions(
  source: ImageSource,
  digests: readonly Digest[],
  terminal: Terminal,
): Promise<readonly CompanionReport[] | null> {
  const reports: CompanionReport[] = [];
  try {
    for (const digest of digests) {
      const listing = await source.companions?.(digest);
      for (const warning of listing?.warnings ?? []) terminal.warn(warning);
      for (const one of listing?.companions ?? []) reports.push(reportCompanion(digest, one));
    }
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    terminal.warn(`it cannot be told what belongs to the image: ${error.message}`);
    return null;
  }
  return reports;
}

function reportCompanion(manifestDigest: Digest, found: FoundCompanion): CompanionReport {
  const common = { verified: false, manifestDigest, kind: found.kind } as const;
  if (found.kind === "tag") {
    const { bytes, digest, declaredMediaType } = found.manifest;
    const described = describeTagged(bytes, declaredMediaType);
    return { ...common, tag: found.tag, digest, size: bytes.length, ...described };
  }
  const { digest, mediaType, size, artifactType, annotations } = found.listed;
  return {
    ...common,
    digest,
    mediaType,
    size,
    artifactType: artifactType ?? null,
    ...(annotations.size === 0 ? {} : { annotations: Object.fromEntries(annotations) }),
  };
}

/** A manifest that cannot be read is listed all the same. */
function describeTagged(
  bytes: Uint8Array,
  declaredMediaType: string | undefined,
): Pick<CompanionReport, "mediaType" | "artifactType" | "layers"> {
  try {
    const parsed = parseManifest(bytes, declaredMediaType);
    const layers = parsed.kind === "image" ? parsed.layers.map(describeLayer) : [];
    return { mediaType: parsed.mediaType, artifactType: artifactTypeOf(parsed) ?? null, layers };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { mediaType: declaredMediaType ?? "", artifactType: null };
  }
}

function describeLayer({
  mediaType,
  size,
  digest,
}: UntrustedDescriptor): NonNullable<CompanionReport["layers"]>[number] {
  return { mediaType, size, digest };
}

/** The same as a line of text. */
export function describeCompanion(report: CompanionReport): string {
  if (report.kind === "referrer")
    return `${report.digest}  ${report.artifactType ?? report.mediaType}, ${report.size} bytes`;
  const { layers } = report;
  if (layers === undefined) return `${report.tag}  cannot be read`;
  return `${report.tag}  ${layers.length} of ${[...new Set(layers.map(({ mediaType }) => mediaType))].join(", ") || "nothing"}`;
}
