/** Whether a release is signed as its trust demands: every store asked at once, every keyring to be satisfied. */
import {
  type Digest,
  PolicyError,
  type Reason,
  SignetError,
  UndeterminedError,
  type VerifiedSigner,
} from "@signet/core";
import type { IsEnough, SignatureReading, StoredSignature } from "@signet/images";
import {
  type ReleaseSignatureOptions,
  type ReleaseSignatureVerdict,
  judgeReleaseSignature,
} from "./release-signature.ts";
import { untrustedKeyName } from "./red-hat-trust.ts";
import type { ReleaseKeyring } from "./release-trust.ts";

/** One place to look for signatures. */
export interface ReleaseSignatureSource {
  /** For people. */
  readonly label: string;
  /**
   * @param isEnough may be asked with each signature as it is found, and ends the reading
   * @throws SignetError when it cannot be told whether there are any
   */
  read(digest: Digest, isEnough: IsEnough): Promise<SignatureReading>;
}

/**
 * What one place answered. Neither a reading nor an error: others had satisfied every keyring before it answered. Both: it gave some signatures, and may have others that it
 * failed to give.
 */
export interface SourceAnswer {
  readonly label: string;
  readonly reading?: SignatureReading;
  /** Why it could not be told. */
  readonly error?: SignetError;
}

/** One signature that was looked at, for one keyring. */
export interface JudgedSignature {
  readonly location: string;
  readonly keyring: string;
  readonly judgement: ReleaseSignatureVerdict;
}

/** How one keyring was satisfied, or not. */
export interface KeyringOutcome {
  readonly name: string;
  /** Undefined: no signature satisfies it. */
  readonly signer?: VerifiedSigner;
  /** Where the signature lies. */
  readonly location?: string;
}

/** What was found of one release, whatever it is worth. */
export interface ReleaseEvidence {
  readonly digest: Digest;
  readonly keyrings: readonly KeyringOutcome[];
  readonly sources: readonly SourceAnswer[];
  readonly signatures: readonly JudgedSignature[];
  /** The signatures that satisfied a keyring, each once, as they are stored. */
  readonly accepted: readonly Uint8Array[];
}

export type ReleaseSignaturesVerdict =
  | (ReleaseEvidence & { readonly verdict: "accepted" })
  | (ReleaseEvidence & { readonly verdict: "rejected"; readonly reasons: readonly Reason[] });

/**
 * Judges the signatures of a release. All sources are asked at once, and as soon as every keyring is satisfied nobody waits for the others: a store that a disconnected
 * site cannot reach holds nothing up. Every keyring needs a signature by any of its keys; one signature may satisfy several.
 *
 * @param keyrings at least one
 * @param sources at least one
 * @throws UndeterminedError `release-undetermined` when a keyring is not satisfied and a source could not be asked: the signature may be there. `details.evidence`
 *   has what was found. PolicyError `release-trust-malformed` for an empty list
 */
export async function judgeReleaseSignatures(
  digest: Digest,
  keyrings: readonly ReleaseKeyring[],
  sources: readonly ReleaseSignatureSource[],
  options: ReleaseSignatureOptions,
): Promise<ReleaseSignaturesVerdict> {
  // Nothing to satisfy, or nowhere to look, must never read as a pass.
  if (keyrings.length === 0 || sources.length === 0)
    throw new PolicyError("release-trust-malformed", "the trust for the release has no keyring or no store");
  const judging = new Judging(digest, keyrings, options);
  const answers: SourceAnswer[] = sources.map(({ label }) => ({ label }));
  await new Promise<void>((resolve, reject) => {
    let waiting = sources.length;
    const take = (index: number, answer: SourceAnswer): void => {
      answers[index] = answer;
      judging.add(answer);
      waiting--;
      if (judging.isSatisfied || waiting === 0) resolve();
    };
    for (const [index, source] of sources.entries())
      ask(source, digest, judging).then((answer) => take(index, answer), reject);
  });
  const { outcomes, signatures, accepted } = judging;
  const evidence: ReleaseEvidence = { digest, keyrings: outcomes, sources: [...answers], signatures, accepted };
  const unsatisfied = outcomes.filter(({ signer }) => signer === undefined).map(({ name }) => name);
  if (unsatisfied.length === 0) return { verdict: "accepted", ...evidence };
  const failure = answers.find(({ error }) => error !== undefined);
  if (failure?.error !== undefined) {
    const { label, error } = failure;
    throw new UndeterminedError(
      "release-undetermined",
      `no signature for keyring ${unsatisfied.join(", ")} was found, and ${label} could not be asked: ${error.message}`,
      {
        cause: error,
        details: { evidence },
        hint: `${error.hint ?? "try again"}; --store names other stores, --configmap mirrored signatures`,
      },
    );
  }
  return { verdict: "rejected", reasons: explainRejection(unsatisfied, signatures), ...evidence };
}

/** Which keyrings are satisfied so far. */
class Judging {
  readonly outcomes: KeyringOutcome[];
  readonly signatures: JudgedSignature[] = [];
  readonly accepted: Uint8Array[] = [];
  readonly #digest: Digest;
  readonly #keyrings: readonly ReleaseKeyring[];
  readonly #options: ReleaseSignatureOptions;
  readonly #seen = new Set<StoredSignature>();

  constructor(digest: Digest, keyrings: readonly ReleaseKeyring[], options: ReleaseSignatureOptions) {
    this.#digest = digest;
    this.#keyrings = keyrings;
    this.#options = options;
    this.outcomes = keyrings.map(({ name }) => ({ name }));
  }

  get isSatisfied(): boolean {
    return this.outcomes.every(({ signer }) => signer !== undefined);
  }

  add({ reading }: SourceAnswer): void {
    for (const signature of reading?.signatures ?? []) this.addOne(signature);
  }

  /** Once for each, also where it was judged as it was found. */
  addOne(signature: StoredSignature): void {
    if (this.#seen.has(signature)) return;
    this.#seen.add(signature);
    const { bytes, location } = signature;
    for (const [index, { name, keyring }] of this.#keyrings.entries()) {
      if (this.outcomes[index]!.signer !== undefined) continue;
      const judgement = judgeReleaseSignature(bytes, this.#digest, keyring, this.#options);
      this.signatures.push({ location, keyring: name, judgement });
      if (judgement.verdict === "rejected") continue;
      if (!this.accepted.includes(bytes)) this.accepted.push(bytes);
      this.outcomes[index] = { name, signer: judgement.signer, location };
    }
  }
}

async function ask(source: ReleaseSignatureSource, digest: Digest, judging: Judging): Promise<SourceAnswer> {
  const { label } = source;
  try {
    const reading = await source.read(digest, (signature) => {
      judging.addOne(signature);
      return judging.isSatisfied;
    });
    const { failure, signatures } = reading;
    if (failure === undefined) return { label, reading };
    return signatures.length === 0 ? { label, error: failure } : { label, reading, error: failure };
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    return { label, error };
  }
}

function explainRejection(keyrings: readonly string[], signatures: readonly JudgedSignature[]): readonly Reason[] {
  if (signatures.length === 0) {
    const message = "the release has no signature in any of the stores";
    const hint = "check the digest; releases that are not published by Red Hat need --key and --store of their own";
    return [{ code: "no-signature", message, hint }];
  }
  return signatures
    .filter(({ keyring }) => keyrings.includes(keyring))
    .flatMap(({ location, keyring, judgement }) =>
      judgement.verdict === "accepted"
        ? []
        : judgement.reasons.map((reason) => ({
            ...reason,
            message: `${location}, keyring ${keyring}: ${reason.message}${explainSigner(reason, judgement.keyId)}`,
          })),
    );
}

/** Says whose key it is that is not trusted, where the world knows it. */
function explainSigner({ code }: Reason, keyId: string | undefined): string {
  const name = code === "signer-known" && keyId !== undefined ? untrustedKeyName(keyId) : undefined;
  return name === undefined ? "" : `; by its number it is ${name}`;
}
