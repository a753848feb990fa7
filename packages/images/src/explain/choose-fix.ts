/** From an explanation to the one thing that would help. */
import {
  type Check,
  type Fix,
  type FixSituation,
  type Requirement,
  type Requirements,
  type SignatureEvidence,
  type SignetError,
  StoreError,
  type StoreSituation,
  closestSignature,
  firstFailedCheck,
  fixFor,
} from "@signet/core";
import type { ExplainedName } from "./explain-image.ts";
import type { ExplainedPlace } from "./image-places.ts";
import type { DemandExplanation, ImageExplanation, ManifestExplanation } from "./explanation.ts";

/** Options that commands of fixes repeat, because the explanation was asked with them. Default none. */
export interface FixOptions {
  readonly policy?: readonly string[];
  readonly store?: readonly string[];
  readonly registry?: readonly string[];
}

/** Where it failed. */
interface Failure {
  /** The check's name or the error's code. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly status?: number;
  readonly requirement?: Requirement;
  readonly signature?: SignatureEvidence;
  readonly failed?: Check;
}

/**
 * The fix for the first manifest that was rejected, else for the first that could not be told. Undefined when nothing failed.
 * @param place of an image in a registry, where it is
 */
export function chooseFix(
  explanation: ImageExplanation,
  name: ExplainedName,
  requirements: Requirements,
  options: FixOptions,
  place?: ExplainedPlace,
): Fix | undefined {
  const manifest =
    explanation.manifests.find(({ verdict }) => verdict === "rejected") ??
    explanation.manifests.find(({ verdict }) => verdict === "undetermined");
  const failure =
    manifest === undefined
      ? explanation.error === undefined
        ? undefined
        : ofError(explanation.error)
      : findFailure(manifest, requirements);
  if (failure === undefined) return undefined;
  const governing = explanation.scopes.find(({ governs }) => governs)!;
  const { code, ...more } = failure;
  const situation: FixSituation = {
    image: name.text,
    transport: name.transport,
    reference: name.reference,
    scope: { ...governing, tried: [] },
    requirements,
    ...more,
    ...(manifest === undefined ? {} : aboutManifest(manifest, explanation)),
    store: storeSituation(explanation, manifest),
    signingKeys: signingKeys(explanation.demands, failure.requirement),
    policyOptions: options.policy ?? [],
    storeOptions: options.store ?? [],
    ...atPlace(place, options.registry ?? []),
  };
  return fixFor(code, situation);
}

/** A name that registries.conf led to is none of its tables: what they allow there has to be said. */
function atPlace(
  place: ExplainedPlace | undefined,
  options: readonly string[],
): Pick<FixSituation, "place" | "registryOptions"> {
  if (place === undefined || place.isNamed) return { registryOptions: options };
  const { reference, insecure } = place.endpoint;
  const plain = insecure && !options.includes("--tls-verify=false") ? ["--tls-verify=false"] : [];
  return { place: reference, registryOptions: [...options, ...plain] };
}

function findFailure(manifest: ManifestExplanation, requirements: Requirements): Failure | undefined {
  const { examination, error } = manifest;
  if (examination === undefined) return error === undefined ? undefined : ofError(error);
  if (examination.verdict === "accepted") return undefined;
  const evidence = examination.evidence.requirements.find(({ verdict }) => verdict === examination.verdict);
  const requirement = evidence === undefined ? undefined : requirements[evidence.index];
  const asked = requirement === undefined ? {} : { requirement };
  if (examination.verdict === "undetermined") return { ...ofError(examination.error), ...asked };
  const [first] = examination.reasons;
  const signature = closestSignature(evidence?.signatures ?? []);
  const failed = signature === undefined ? undefined : firstFailedCheck(signature);
  // With nothing but sigstore signatures the reason is that there is no simple one.
  const isMissing = first?.code === "no-signature" || failed === undefined;
  const hint = isMissing
    ? first?.hint
    : (signature?.reasons.find(({ code }) => code === failed.name)?.hint ?? undefined);
  return {
    code: isMissing ? (first?.code ?? "no-signature") : failed.name,
    message: isMissing ? (first?.message ?? "") : failed.message,
    ...(hint === undefined ? {} : { hint }),
    ...asked,
    ...(signature === undefined ? {} : { signature }),
    ...(isMissing || failed === undefined ? {} : { failed }),
  };
}

function ofError(error: SignetError): Failure {
  const status = error instanceof StoreError ? error.status : undefined;
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(status === undefined ? {} : { status }),
  };
}

function aboutManifest(
  manifest: ManifestExplanation,
  explanation: ImageExplanation,
): Pick<FixSituation, "digest" | "list" | "attachments" | "simpleSignatures"> {
  const simple = manifest.unjudged.filter(({ claims }) => claims.format === "simple-signing").length;
  const isInstance = manifest.role === "instance" && explanation.digest !== undefined;
  return {
    digest: manifest.digest,
    ...(isInstance ? { list: { digest: explanation.digest, signatures: manifest.listSignatures ?? 0 } } : {}),
    ...(manifest.attachments === undefined ? {} : { attachments: manifest.attachments.count }),
    simpleSignatures: simple,
  };
}

function storeSituation({ store }: ImageExplanation, manifest: ManifestExplanation | undefined): StoreSituation {
  const attempts = manifest?.lookup?.attempts ?? [];
  return {
    kind: store.kind,
    label: store.label,
    isConfigured: store.isConfigured,
    pages: attempts.filter(({ outcome }) => outcome === "skipped").length,
  };
}

function signingKeys(demands: readonly DemandExplanation[], requirement: Requirement | undefined): readonly string[] {
  const demand = demands.find((one) => one.requirement === requirement);
  const certificates = demand?.keys.flatMap((key) => key.certificates) ?? [];
  return certificates.filter((one) => one.signingKeys.length > 0).map(({ fingerprint }) => fingerprint);
}
