/** The audit of a catalog as one JSON document, which the other forms are made from as well. */
import type { AuditFinding, AuditVerdict, AuditedImage, AuditedPackage, CatalogAudit, Demand } from "@signet/openshift";

/** What was audited, and how it is called. */
export interface AuditedSource {
  /** As it was given: a path, or the image's canonical name. */
  readonly name: string;
  /** Of the image; null for files. */
  readonly digest: string | null;
  /** Where a file of the catalog is, for people and code hosts. */
  readonly locate: (file: string) => string;
}

/** Numbers that an auditor asks for. Null where nobody asked for them. */
export interface AuditSummary {
  readonly images: number;
  readonly byDigest: number;
  readonly byTag: number;
  readonly signaturesDemanded: number | null;
  readonly acceptedUnseen: number | null;
  readonly rejectedUnseen: number | null;
  readonly signed: number | null;
  readonly accepted: number | null;
  readonly rejected: number | null;
  readonly undetermined: number | null;
  readonly mirrored: number | null;
  readonly missingInMirror: number | null;
  readonly registries: Readonly<Record<string, number>>;
  readonly errors: number;
  readonly warnings: number;
}

/** One image. */
export interface ImageReport {
  readonly image: string;
  readonly form: string;
  readonly registry: string | null;
  readonly scope: string | null;
  readonly demand: Demand | null;
  readonly requirements: string | null;
  /** Null: nobody looked for signatures, or nobody could. */
  readonly signed: boolean | null;
  readonly verdict: "accepted" | "rejected" | "undetermined" | null;
  readonly signers: readonly string[];
  readonly reasons: readonly { readonly code: string; readonly message: string }[];
  readonly mirror: { readonly outcome: string; readonly image: string; readonly message: string } | null;
  readonly uses: AuditedImage["uses"];
}

/** The whole document. */
export interface AuditReport {
  readonly source: string;
  readonly digest: string | null;
  readonly kind: string;
  readonly verdict: AuditVerdict;
  readonly files: number;
  readonly ignored: readonly string[];
  readonly summary: AuditSummary;
  readonly packages: readonly AuditedPackage[];
  readonly images: readonly ImageReport[];
  readonly findings: readonly AuditFinding[];
}

export function reportAudit(source: AuditedSource, audit: CatalogAudit): AuditReport {
  return {
    source: source.name,
    digest: source.digest,
    kind: audit.kind,
    verdict: audit.verdict,
    files: audit.files,
    ignored: audit.ignored,
    summary: summarize(audit),
    packages: audit.packages,
    images: audit.auditedImages.map(reportImage),
    findings: audit.findings.map(({ place, ...finding }) => {
      return place === undefined
        ? finding
        : { ...finding, place: { file: source.locate(place.file), line: place.line } };
    }),
  };
}

function reportImage({ image, form, reference, coverage, check, mirror, uses }: AuditedImage): ImageReport {
  return {
    image,
    form,
    registry: reference?.domain ?? null,
    scope: coverage?.scope ?? null,
    demand: coverage?.demand ?? null,
    requirements: coverage?.requirements ?? null,
    signed: check?.found === undefined ? null : check.found > 0,
    verdict: check?.outcome ?? null,
    signers: check?.signers ?? [],
    reasons: check?.reasons ?? [],
    mirror: mirror ?? null,
    uses,
  };
}

function summarize({ auditedImages: images, errors, warnings }: CatalogAudit): AuditSummary {
  const count = (fits: (image: AuditedImage) => boolean): number => images.filter(fits).length;
  // No image may have been asked about while somebody wanted to know; then the answer is none, and not unknown.
  const ifAny = (asked: (image: AuditedImage) => boolean, fits: (image: AuditedImage) => boolean): number | null =>
    images.some(asked) ? count(fits) : null;
  const covered = ({ coverage }: AuditedImage): boolean => coverage !== undefined;
  const checked = ({ check }: AuditedImage): boolean => check !== undefined;
  const mirrored = ({ mirror }: AuditedImage): boolean => mirror !== undefined;
  const registries = new Map<string, number>();
  for (const { reference } of images)
    if (reference !== undefined) registries.set(reference.domain, (registries.get(reference.domain) ?? 0) + 1);
  return {
    images: images.length,
    byDigest: count(({ form }) => form === "digest" || form === "tag-and-digest"),
    byTag: count(({ form }) => form === "tag" || form === "unnamed"),
    signaturesDemanded: ifAny(covered, ({ coverage }) => coverage?.demand === "signatures"),
    acceptedUnseen: ifAny(covered, ({ coverage }) => coverage?.demand === "accepts-anything"),
    rejectedUnseen: ifAny(covered, ({ coverage }) => coverage?.demand === "rejects"),
    signed: ifAny(checked, ({ check }) => (check?.found ?? 0) > 0),
    accepted: ifAny(checked, ({ check }) => check?.outcome === "accepted"),
    rejected: ifAny(checked, ({ check }) => check?.outcome === "rejected"),
    undetermined: ifAny(checked, ({ check }) => check?.outcome === "undetermined"),
    mirrored: ifAny(mirrored, ({ mirror }) => mirror?.outcome === "present"),
    missingInMirror: ifAny(mirrored, ({ mirror }) => mirror?.outcome === "absent"),
    registries: Object.fromEntries([...registries].sort(([a], [b]) => (a < b ? -1 : 1))),
    errors,
    warnings,
  };
}

/** The numbers with their names, as text and HTML show them. */
export function listSummary(summary: AuditSummary): readonly (readonly [string, string])[] {
  const { images, byDigest, byTag } = summary;
  const lines: (readonly [string, string])[] = [["images", `${images}: ${byDigest} by digest, ${byTag} by tag`]];
  if (summary.signaturesDemanded !== null) {
    const { signaturesDemanded, acceptedUnseen, rejectedUnseen } = summary;
    const rest = `${acceptedUnseen} accepted without looking, ${rejectedUnseen} rejected without looking`;
    lines.push(["policy", `${signaturesDemanded} must be signed, ${rest}`]);
  }
  if (summary.accepted !== null) {
    const { signed, accepted, rejected, undetermined } = summary;
    lines.push([
      "verified",
      `${accepted} accepted, ${rejected} rejected, ${undetermined} undetermined; ${signed} signed`,
    ]);
  }
  if (summary.mirrored !== null)
    lines.push(["mirror", `${summary.mirrored} present, ${summary.missingInMirror} missing`]);
  const registries = Object.entries(summary.registries);
  if (registries.length > 0)
    lines.push(["registries", registries.map(([host, count]) => `${host} ${count}`).join(", ")]);
  return lines;
}

/** What a finding is about, in one text. */
export function subjectOf({ image, package: owner, channel, bundle }: AuditFinding): string {
  if (image !== undefined) return image;
  return [owner, bundle ?? channel].filter((part) => part !== undefined && part !== "").join(" ");
}
