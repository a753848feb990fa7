/** One signature of a release, by the rules of the cluster's own verifier with its holes closed. */
import {
  type AcceptedMessage,
  type Check,
  type Digest,
  type Engine,
  FormatError,
  type JsonNode,
  type Keyring,
  type OpenPgpSwitches,
  type Reason,
  type Reference,
  type UntrustedPayload,
  type VerifiedSigner,
  formatReference,
  parseJson,
  parseReference,
  parseSignatureBlob,
  parseSimpleSigningPayload,
  verifySignedMessage,
} from "@signet/core";

export interface ReleaseSignatureOptions {
  /** The one that read the keyrings. */
  readonly engine: Engine;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  readonly switches?: OpenPgpSwitches;
  /** What the signature must be for; default: any name, as the cluster has it, since a release is known by its digest. */
  readonly identity?: Reference;
}

export type ReleaseSignatureVerdict =
  | { readonly verdict: "accepted"; readonly signer: VerifiedSigner; readonly checks: readonly Check[] }
  | {
      readonly verdict: "rejected";
      readonly reasons: readonly Reason[];
      readonly checks: readonly Check[];
      readonly keyId?: string;
    };

/**
 * Judges one signature for one keyring: an OpenPGP message of the accepted form, by a key of the ring, over a payload that the cluster's verifier reads, for this
 * digest. Stricter than the cluster, which looks at neither expiry nor revocation of keys.
 *
 * @returns the verdict; nothing is thrown for any bytes
 */
export function judgeReleaseSignature(
  bytes: Uint8Array,
  digest: Digest,
  keyring: Keyring,
  options: ReleaseSignatureOptions,
): ReleaseSignatureVerdict {
  let message: Uint8Array;
  try {
    const blob = parseSignatureBlob(bytes);
    if (blob.format === "sigstore-json")
      return reject([], "signature-format", "it is a sigstore signature, and the keyring asks for OpenPGP");
    ({ message } = blob);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return reject([], "signature-format", error.message);
  }
  const outcome = verifySignedMessage(message, keyring, options);
  if (outcome.verdict === "rejected") return outcome;
  let payload: UntrustedPayload;
  try {
    payload = parseSimpleSigningPayload(outcome.content);
    checkClusterForm(outcome.content);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return reject(outcome.checks, "payload-json", `the cluster cannot read what was signed: ${error.message}`);
  }
  if (payload.manifestDigest !== digest) {
    const found = `the signature is for digest ${payload.manifestDigest}`;
    return reject(outcome.checks, "manifest-digest", `${found}, which is not the release's ${digest}`);
  }
  const { identity } = options;
  if (identity !== undefined && !isSameReference(identity, payload.dockerReference)) {
    const wanted = formatReference(identity);
    return reject(outcome.checks, "identity", `the signature is for ${payload.dockerReference}, not for ${wanted}`);
  }
  return { verdict: "accepted", signer: signerOf(outcome, payload, digest), checks: outcome.checks };
}

function reject(checks: readonly Check[], code: string, message: string): ReleaseSignatureVerdict {
  return { verdict: "rejected", reasons: [{ code, message }], checks };
}

/**
 * What the cluster demands beyond simple signing (openshift/library-go, pkg/verify): no members but `critical` and `optional`, in `optional` none but `creator` and
 * `timestamp`, and a timestamp that is written as a whole number.
 */
function checkClusterForm(content: Uint8Array): void {
  const root = parseJson(content, "signature payload");
  const optional = memberOf(root, "optional");
  if (optional !== undefined && optional.kind === "object") {
    for (const { key } of optional.members)
      if (key !== "creator" && key !== "timestamp") throw formProblem(`optional.${key} is unknown to it`);
  }
  const timestamp = optional === undefined ? undefined : memberOf(optional, "timestamp");
  if (timestamp?.kind === "number" && !/^-?[0-9]+$/.test(timestamp.text))
    throw formProblem(`optional.timestamp ${timestamp.text} is not a whole number`);
}

function memberOf(node: JsonNode, key: string): JsonNode | undefined {
  return node.kind === "object" ? node.members.find((member) => member.key === key)?.value : undefined;
}

function formProblem(problem: string): FormatError {
  return new FormatError("payload-malformed", `signature payload: ${problem}`);
}

function isSameReference(expected: Reference, claimed: string): boolean {
  try {
    return formatReference(parseReference(claimed)) === formatReference(expected);
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

function signerOf(message: AcceptedMessage, payload: UntrustedPayload, digest: Digest): VerifiedSigner {
  const { certificate, signingFingerprint, signedAt, validUntil } = message;
  const { creator, timestamp, dockerReference } = payload;
  return {
    fingerprint: certificate.fingerprint,
    signingFingerprint,
    userIds: certificate.userIds,
    signedAt: new Date(signedAt).toISOString(),
    dockerReference,
    manifestDigest: digest,
    ...(creator === undefined ? {} : { creator }),
    ...(timestamp === undefined ? {} : { timestamp }),
    ...(validUntil === undefined ? {} : { validUntil: new Date(validUntil).toISOString() }),
  };
}
