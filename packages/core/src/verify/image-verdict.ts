/** Whole images against a policy: scope, requirements, signatures, verdict (policy-json, section 6). */
import type { Digest } from "../bytes/digest.ts";
import { FormatError, PolicyError, StoreError, UndeterminedError } from "../errors.ts";
import type { Policy, Requirement, SignedByRequirement } from "../policy/policy.ts";
import type { PolicyIdentity } from "../policy/policy-identity.ts";
import { findGoverningScope } from "../policy/scope-lookup.ts";
import type { Reference } from "../reference/reference.ts";
import type { Evidence, Reason, RequirementEvidence, SignatureEvidence, Verdict, VerifiedSigner } from "./evidence.ts";
import { judgeSignedBy, type SignatureDeps, type SignatureToJudge } from "./signed-by.ts";
import { type TrustAnchorDeps, TrustAnchors } from "./trust-anchors.ts";

/** One image. For a manifest list it is the platform's instance, under the name of the list. */
export interface ImageToJudge {
  /** What policy.json is asked with. */
  readonly identity: PolicyIdentity;
  /** The logical docker reference; undefined for transports that have none. */
  readonly reference: Reference | undefined;
  /** For messages: `docker://host/repo:tag`, `dir:/path`. */
  readonly text: string;
  /** Digest of the manifest, by the rules of `computeManifestDigest`. */
  readonly digest: Digest;
}

/** What images are judged by and with. */
export interface JudgeDeps extends SignatureDeps, TrustAnchorDeps {
  readonly policy: Policy;
  /** All signatures stored for the manifest. Called at most once, and only when a requirement needs it. Throws a StoreError when it cannot be told. */
  readonly readSignatures: () => Promise<readonly SignatureToJudge[]>;
  /** Keys kept from one image to the next. Default: read anew for this image. */
  readonly trustAnchors?: TrustAnchors;
}

/**
 * Judges an image by a policy: one scope governs, its requirements are ANDed in order, the signatures of each are ORed. The first requirement that rejects
 * ends it. One that cannot be evaluated never counts as met: the later ones are still asked, because a rejection by any of them is certain either way; without
 * one, it is thrown.
 *
 * Not checked: that the manifest has this digest, and anything about layers.
 *
 * @returns the verdict; the signers of an accepted image, each once, in the order in which requirements met them (none where the policy asks for none)
 * @throws StoreError when keys or signatures could not be read; PolicyError `no-trust-anchors`, or `policy-malformed` for an empty list of requirements;
 * UndeterminedError `requirement-undetermined` for requirements that this version does not evaluate, with the evidence so far in `details.evidence`
 */
export async function judgeImage(image: ImageToJudge, deps: JudgeDeps): Promise<Verdict> {
  const examined = await examineImage(image, deps);
  if (examined.verdict !== "undetermined") return examined;
  throw withEvidence(examined.error, examined.evidence);
}

/** A verdict, or what kept one from being reached, beside all that was found. */
export type Examination =
  | Verdict
  | { readonly verdict: "undetermined"; readonly error: UndeterminedReason; readonly evidence: Evidence };

/** Errors about keys, signatures and requirements that could not be looked at. */
export type UndeterminedReason = StoreError | FormatError | UndeterminedError;

/**
 * What {@link judgeImage} finds, for showing it: also where it could not be told, the evidence of every requirement is there.
 * @returns never an acceptance where `judgeImage` would throw
 * @throws PolicyError `policy-malformed` for an empty list of requirements
 */
export async function examineImage(image: ImageToJudge, deps: JudgeDeps): Promise<Examination> {
  const { requirements, scope } = findGoverningScope(deps.policy, image.identity);
  if (requirements.length === 0) {
    throw new PolicyError(
      "policy-malformed",
      `${scope.label}: List of verification policy requirements must not be empty`,
    );
  }
  const judge = new RequirementJudge(image, scope.label, deps);
  const judged: RequirementEvidence[] = [];
  let rejection: RequirementEvidence | undefined;
  let failure: UndeterminedReason | undefined;
  for (const [index, requirement] of requirements.entries()) {
    if (rejection !== undefined) {
      judged.push(withoutSignatures(index, requirement, "not-reached", "an earlier requirement decided"));
      continue;
    }
    try {
      const evidence = await judge.judge(index, requirement);
      judged.push(evidence);
      if (evidence.verdict === "rejected") rejection = evidence;
    } catch (error) {
      if (!isUndetermined(error)) throw error;
      failure ??= error;
      judged.push(withoutSignatures(index, requirement, "undetermined", error.message));
    }
  }
  const warnings = [...new Set(judged.flatMap((evidence) => evidence.warnings))];
  const evidence: Evidence = { digest: image.digest, scope, requirements: judged, warnings };
  if (rejection !== undefined) return { verdict: "rejected", reasons: rejection.reasons, evidence };
  if (failure !== undefined) return { verdict: "undetermined", error: failure, evidence };
  return { verdict: "accepted", signers: distinctSigners(judged), evidence };
}

/** Judges the requirements of one image, reading its signatures once. */
class RequirementJudge {
  readonly #image: ImageToJudge;
  readonly #scope: string;
  readonly #deps: JudgeDeps;
  readonly #trustAnchors: TrustAnchors;
  #signatures: Promise<readonly SignatureToJudge[]> | undefined;

  constructor(image: ImageToJudge, scope: string, deps: JudgeDeps) {
    this.#image = image;
    this.#scope = scope;
    this.#deps = deps;
    this.#trustAnchors = deps.trustAnchors ?? new TrustAnchors(deps);
  }

  async judge(index: number, requirement: Requirement): Promise<RequirementEvidence> {
    switch (requirement.type) {
      case "insecureAcceptAnything":
        return withoutSignatures(index, requirement, "accepted", "every image is accepted, signed or not");
      case "reject":
        return rejected(index, requirement, {
          code: "policy-reject",
          message: `running image ${this.#image.text} is rejected by policy, scope ${this.#scope}`,
        });
      case "signedBaseLayer":
        return rejected(index, requirement, {
          code: "requirement-unsupported",
          message: "signedBaseLayer is not implemented by any tool, and no image can satisfy it",
          hint: "remove the requirement from the policy",
        });
      case "sigstoreSigned":
        throw new UndeterminedError(
          "requirement-undetermined",
          `requirement ${index + 1} of scope ${this.#scope}: sigstoreSigned cannot be evaluated by this version of Signet`,
          { hint: "ask skopeo or podman, which evaluate sigstoreSigned, or require signedBy for this scope" },
        );
      case "signedBy":
        return this.#judgeSignedBy(index, requirement);
    }
  }

  async #judgeSignedBy(index: number, requirement: SignedByRequirement): Promise<RequirementEvidence> {
    if (requirement.keyType !== "GPGKeys") {
      return rejected(index, requirement, {
        code: "key-type-unsupported",
        message: `keyType ${requirement.keyType} is not implemented by any tool, and no image can satisfy it`,
        hint: 'use "keyType": "GPGKeys"',
      });
    }
    // Keys come first: a policy that cannot work is an error whatever the image looks like.
    const keys = this.#trustAnchors.keysOf(requirement);
    const signatures = await (this.#signatures ??= this.#deps.readSignatures());
    const judged: SignatureEvidence[] = [];
    for (const signature of signatures) {
      const evidence = judgeSignedBy(signature, requirement, keys, this.#image, this.#deps);
      judged.push(evidence);
      // One accepted signature is enough; the ones after it are not looked at.
      if (evidence.verdict === "accepted") break;
    }
    return requirementEvidence(index, requirement, judged, keys.warnings);
  }
}

function requirementEvidence(
  index: number,
  { type }: SignedByRequirement,
  signatures: readonly SignatureEvidence[],
  keyWarnings: readonly string[],
): RequirementEvidence {
  const last = signatures.at(-1);
  const warnings = [...keyWarnings, ...signatureWarnings(last)];
  if (last?.signer !== undefined) {
    const message = `signed by ${last.signer.fingerprint}`;
    return { index, type, verdict: "accepted", message, signatures, reasons: [], warnings };
  }
  const reasons = rejectionReasons(signatures);
  const message =
    signatures.length > 1 ? `none of the ${signatures.length} signatures was accepted` : reasons[0]!.message;
  return { index, type, verdict: "rejected", message, signatures, reasons, warnings };
}

/** What was let pass in an accepted signature; in a rejected one it no longer matters. */
function signatureWarnings(signature: SignatureEvidence | undefined): readonly string[] {
  if (signature?.verdict !== "accepted") return [];
  return signature.checks.filter(({ outcome }) => outcome === "warning").map(({ message }) => message);
}

/** Every reason of every signature, each with the signature's place where there are several. Never empty. */
function rejectionReasons(signatures: readonly SignatureEvidence[]): readonly Reason[] {
  const simple = signatures.filter(({ claims }) => claims.format !== "sigstore-json");
  if (simple.length === 0) {
    const others = signatures.length === 0 ? "" : ` (${signatures.length} sigstore signatures were passed over)`;
    return [
      {
        code: "no-signature",
        message: `a signature was required, but no signature exists${others}`,
        hint: "sign the image, or check in registries.d where its signatures are looked for",
      },
    ];
  }
  if (simple.length === 1) return simple[0]!.reasons;
  return simple.flatMap(({ location, reasons }) => {
    return reasons.map((reason) => ({ ...reason, message: `${location}: ${reason.message}` }));
  });
}

function rejected(index: number, requirement: Requirement, reason: Reason): RequirementEvidence {
  return { ...withoutSignatures(index, requirement, "rejected", reason.message), reasons: [reason] };
}

function withoutSignatures(
  index: number,
  { type }: Requirement,
  verdict: RequirementEvidence["verdict"],
  message: string,
): RequirementEvidence {
  return { index, type, verdict, message, signatures: [], reasons: [], warnings: [] };
}

/** Anything else is a fault of the program and not held back. */
function isUndetermined(error: unknown): error is UndeterminedReason {
  return error instanceof StoreError || error instanceof FormatError || error instanceof UndeterminedError;
}

function withEvidence(failure: UndeterminedReason, evidence: Evidence): Error {
  if (!(failure instanceof UndeterminedError)) return failure;
  const { code, message, hint, cause } = failure;
  return new UndeterminedError(code, message, {
    details: { evidence },
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** One person who signed twice, or whose one signature met two requirements, is one signer. */
function distinctSigners(judged: readonly RequirementEvidence[]): readonly VerifiedSigner[] {
  const signers = new Map<string, VerifiedSigner>();
  for (const { signatures } of judged) {
    for (const { signer } of signatures) {
      if (signer !== undefined && !signers.has(signer.fingerprint)) signers.set(signer.fingerprint, signer);
    }
  }
  return [...signers.values()];
}
