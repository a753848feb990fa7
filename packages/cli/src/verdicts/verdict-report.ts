/** What `verify --output json` prints: the evidence of every verdict in one stable shape. */
import {
  type Evidence,
  type Platform,
  type Reason,
  type SignetError,
  UndeterminedError,
  formatPlatform,
} from "@signet/core";
import type { EndpointAttempt, ImageRow, ManifestOutcome } from "@signet/images";

/** One image. */
export interface ResultReport {
  /** Canonical name with its transport; as it was given where it could not be read. */
  readonly image: string;
  /** Of the image's own manifest, for a list that of the list; null when it is not known. */
  readonly digest: string | null;
  readonly verdict: "accepted" | "rejected" | "undetermined";
  /** The governing scope of the policy; null when judging did not come that far. */
  readonly scope: string | null;
  readonly requirements: readonly RequirementReport[];
  readonly signatures: readonly SignatureReport[];
  /** Why it was not accepted; empty for an accepted image. */
  readonly reasons: readonly Reason[];
  /** The manifests that were judged: the image's own, or instances of a list and with --all the list. */
  readonly manifests: readonly ManifestReport[];
  readonly warnings: readonly string[];
  /** Places where registries.conf let the image be looked for, in order; empty where its name is the only one. */
  readonly endpoints: readonly EndpointAttempt[];
}

interface ManifestReport {
  readonly role: string;
  readonly digest: string;
  readonly platform: string | null;
  readonly verdict: string;
}

interface RequirementReport {
  /** Digest of the manifest it was asked about. */
  readonly manifest: string;
  readonly index: number;
  readonly type: string;
  readonly verdict: string;
  readonly message: string;
}

interface SignatureReport {
  readonly manifest: string;
  /** Index of the requirement it was judged for. */
  readonly requirement: number;
  readonly location: string;
  readonly verdict: string;
  /** Null unless accepted. */
  readonly signer: unknown;
  readonly unverifiedClaims: unknown;
  readonly checks: readonly unknown[];
  readonly reasons: readonly Reason[];
}

/** The whole document. */
export interface VerifyReport {
  readonly results: readonly ResultReport[];
  readonly summary: {
    readonly total: number;
    readonly accepted: number;
    readonly rejected: number;
    readonly undetermined: number;
  };
}

export function reportResults(rows: readonly ImageRow[]): VerifyReport {
  const results = rows.map(reportRow);
  const count = (verdict: ResultReport["verdict"]): number => results.filter((row) => row.verdict === verdict).length;
  return {
    results,
    summary: {
      total: results.length,
      accepted: count("accepted"),
      rejected: count("rejected"),
      undetermined: count("undetermined"),
    },
  };
}

/** One image's row. */
export function reportRow(row: ImageRow): ResultReport {
  if (row.outcome === "undetermined") return reportUndetermined(row);
  const judged = row.manifests.map((manifest) => ({ manifest, evidence: evidenceOf(manifest) }));
  return {
    image: row.image,
    digest: row.digest,
    verdict: row.outcome,
    scope: judged.find(({ evidence }) => evidence !== undefined)?.evidence?.scope.label ?? null,
    ...combine(
      judged.flatMap(({ manifest, evidence }) =>
        evidence === undefined ? [] : [{ digest: manifest.digest, evidence }],
      ),
    ),
    reasons: row.manifests.flatMap((manifest) => reasonsOf(manifest, row.manifests.length > 1)),
    manifests: row.manifests.map(({ role, digest, platform, outcome }) => ({
      role,
      digest,
      platform: platform === undefined ? null : formatPlatform(platform),
      verdict: outcome,
    })),
    warnings: [...new Set(row.manifests.flatMap(warningsOf))],
    endpoints: row.endpoints ?? [],
  };
}

function reportUndetermined(row: Extract<ImageRow, { readonly outcome: "undetermined" }>): ResultReport {
  const { name, error, endpoints = [] } = row;
  const evidence = error instanceof UndeterminedError ? (error.details["evidence"] as Evidence | undefined) : undefined;
  return {
    image: name,
    digest: evidence?.digest ?? null,
    verdict: "undetermined",
    scope: evidence?.scope.label ?? null,
    ...combine(evidence === undefined ? [] : [{ digest: evidence.digest, evidence }]),
    reasons: [reasonOfError(error)],
    manifests: [],
    warnings: evidence?.warnings ?? [],
    endpoints,
  };
}

function combine(
  judged: readonly { readonly digest: string; readonly evidence: Evidence }[],
): Pick<ResultReport, "requirements" | "signatures"> {
  return {
    requirements: judged.flatMap(({ digest, evidence }) =>
      evidence.requirements.map(({ index, type, verdict, message }) => ({
        manifest: digest,
        index,
        type,
        verdict,
        message,
      })),
    ),
    signatures: judged.flatMap(({ digest, evidence }) =>
      evidence.requirements.flatMap(({ index, signatures }) =>
        signatures.map(({ location, verdict, signer, claims, checks, reasons }) => ({
          manifest: digest,
          requirement: index,
          location,
          verdict,
          signer: signer ?? null,
          unverifiedClaims: claims,
          checks,
          reasons,
        })),
      ),
    ),
  };
}

function evidenceOf(manifest: ManifestOutcome): Evidence | undefined {
  return manifest.outcome === "undetermined" ? undefined : manifest.verdict.evidence;
}

function reasonsOf(manifest: ManifestOutcome, isOneOfSeveral: boolean): readonly Reason[] {
  const reasons =
    manifest.outcome === "undetermined"
      ? [reasonOfError(manifest.error)]
      : manifest.verdict.verdict === "rejected"
        ? manifest.verdict.reasons
        : [];
  if (!isOneOfSeveral) return reasons;
  return reasons.map((reason) => ({ ...reason, message: `${describeManifest(manifest)}: ${reason.message}` }));
}

function warningsOf(manifest: ManifestOutcome): readonly string[] {
  if (manifest.outcome === "undetermined") return [];
  return [...manifest.verdict.evidence.warnings, ...(manifest.lookup?.warnings ?? [])];
}

function reasonOfError(error: SignetError): Reason {
  return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
}

/** `instance linux/amd64 sha256:…`, `list sha256:…`. */
export function describeManifest(manifest: {
  readonly role: string;
  readonly digest: string;
  readonly platform?: Platform;
}): string {
  const platform = manifest.platform === undefined ? "" : ` ${formatPlatform(manifest.platform)}`;
  return `${manifest.role}${platform} ${manifest.digest}`;
}
