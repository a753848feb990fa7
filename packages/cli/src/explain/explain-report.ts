/** What `policy explain --output json` prints. The members are documented in docs/policy-explain.md; a test compares. */
import {
  type CertificateAssessment,
  type Check,
  type Platform,
  type RequirementEvidence,
  type SignatureEvidence,
  type SignetError,
  firstFailedCheck,
  formatPlatform,
} from "@signet/core";
import type {
  DemandExplanation,
  ImageExplanation,
  KeyExplanation,
  LookupExplanation,
  ManifestExplanation,
} from "@signet/images";

/** The whole document: the tree of the text, in one stable shape. Members that do not apply are null. */
export function reportExplanation(explanation: ImageExplanation): Readonly<Record<string, unknown>> {
  const { image, verdict, policy, scopes, demands, endpoints, store, digest, list, manifests, error, fix } =
    explanation;
  return {
    image,
    verdict,
    policy: policy ?? null,
    scopes: scopes.map((scope) => ({
      scope: scope.scope ?? null,
      transport: scope.transport ?? null,
      label: scope.label,
      kind: scope.kind,
      inPolicy: scope.requirements !== undefined,
      governs: scope.governs,
      says: scope.summary ?? null,
      verdict: scope.verdict ?? null,
    })),
    requirements: demands.map(reportDemand),
    endpoints: endpoints.map(({ role, reference, outcome, code, message }) => ({
      role,
      reference,
      outcome,
      code: code ?? null,
      message: message ?? null,
    })),
    store: {
      kind: store.kind,
      label: store.label,
      configured: store.isConfigured,
      why: store.why,
      attachments: store.attachments ?? null,
    },
    digest: digest ?? null,
    list:
      list === undefined
        ? null
        : {
            wantedPlatform: formatPlatform(list.wanted),
            all: list.all,
            instances: list.platforms.map((one) => ({ digest: one.digest, platform: platformText(one.platform) })),
          },
    manifests: manifests.map(reportManifest),
    error: reportError(error),
    fix:
      fix === undefined
        ? null
        : {
            check: fix.check,
            message: fix.message,
            command: fix.command ?? null,
            placeholders: fix.placeholders,
          },
  };
}

function reportDemand({ index, requirement, summary, keys, identity }: DemandExplanation): object {
  return { index, type: requirement.type, says: summary, keys: keys.map(reportKey), identity: identity ?? null };
}

function reportKey({ source, certificates, error, warnings }: KeyExplanation): object {
  return { source, certificates: certificates.map(reportCertificate), error: reportError(error), warnings };
}

function reportCertificate({ fingerprint, userIds, keys, signingKeys }: CertificateAssessment): object {
  const primary = keys[0]!;
  return {
    fingerprint,
    userIds,
    status: primary.status,
    expires: primary.expiresAt === undefined ? null : new Date(primary.expiresAt).toISOString(),
    signingKeys,
  };
}

function reportManifest(manifest: ManifestExplanation): object {
  const { role, digest, platform, verdict, examination, lookup, unjudged, listSignatures, attachments, error } =
    manifest;
  return {
    role,
    digest,
    platform: platformText(platform),
    verdict,
    lookup: lookup === undefined ? null : reportLookup(lookup),
    requirements: (examination?.evidence.requirements ?? []).map(reportRequirement),
    unjudged: unjudged.map(({ location, claims }) => ({ location, unverifiedClaims: claims })),
    listSignatures: listSignatures ?? null,
    attachments: attachments ?? null,
    error: reportError(error),
  };
}

function reportLookup({ store, found, attempts, warnings, error }: LookupExplanation): object {
  return {
    store,
    found,
    attempts: attempts.map(({ location, outcome, status }) => ({ location, outcome, status: status ?? null })),
    warnings,
    error: reportError(error),
  };
}

function reportRequirement(evidence: RequirementEvidence): object {
  const { index, type, verdict, message, signatures, reasons, warnings } = evidence;
  return { index, type, verdict, message, signatures: signatures.map(reportSignature), reasons, warnings };
}

function reportSignature(signature: SignatureEvidence): object {
  const { location, verdict, signer, claims, checks, reasons } = signature;
  return {
    location,
    verdict,
    signer: signer ?? null,
    unverifiedClaims: claims,
    firstFailed: firstFailedCheck(signature)?.name ?? null,
    checks: checks.map(reportCheck),
    reasons,
  };
}

function reportCheck({ name, outcome, message, expected, found, clause }: Check): object {
  return {
    name,
    outcome,
    message,
    expected: expected ?? null,
    found: found ?? null,
    clause: clause ?? null,
  };
}

function platformText(platform: Platform | undefined): string | null {
  return platform === undefined ? null : formatPlatform(platform);
}

function reportError(error: SignetError | undefined): object | null {
  if (error === undefined) return null;
  const { code, message, hint } = error;
  return { code, message, hint: hint ?? null };
}
