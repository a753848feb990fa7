/** One signature against one `signedBy` requirement: the hot path. Synchronous, and no key is read in here. */
import type { Digest } from "../bytes/digest.ts";
import type { Engine } from "../bytes/engine.ts";
import { FormatError } from "../errors.ts";
import { parseSignatureBlob } from "../formats/signature-blob/signature-blob.ts";
import { parseSimpleSigningPayload, type UntrustedPayload } from "../formats/simple-signing/payload.ts";
import type { OpenPgpSwitches } from "../keys/switches.ts";
import { matchSignedIdentity } from "../policy/identity-match.ts";
import type { SignedByRequirement } from "../policy/policy.ts";
import type { Reference } from "../reference/reference.ts";
import type { Check, SignatureEvidence, UntrustedClaims, VerifiedSigner } from "./evidence.ts";
import { type AcceptedMessage, inspectSignedMessage, verifySignedMessage } from "./signed-message.ts";
import { CheckList } from "./signed-message-checks.ts";
import type { TrustedKeys } from "./trust-anchors.ts";

/** A signature as a store gave it out. Nothing in it is trusted. */
export interface SignatureToJudge {
  /** Where it was found, for people: a path, a URL, or a position such as `signature 2`. */
  readonly location: string;
  readonly bytes: Uint8Array;
  /** `blob`: its first octets say what it is. `simple-signing`: the store said so, and it must be just that. */
  readonly encoding: "blob" | "simple-signing";
}

/** What signatures must be about. */
export interface SignedImage {
  /** Digest of the manifest, by the rules of `computeManifestDigest`. */
  readonly digest: Digest;
  /** The logical docker reference; undefined for transports that have none. */
  readonly reference: Reference | undefined;
}

/** What one judgement uses. */
export interface SignatureDeps {
  /** The one that read the keys. */
  readonly engine: Engine;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  /** Default: none set. */
  readonly switches?: OpenPgpSwitches;
}

/** Where the payload's form and its meaning are written down. */
const payloadClause = "containers-signature(5), the cryptographic payload";
const digestClause = "containers-signature(5), critical.image";
const identityClause = "containers-policy.json(5), signedIdentity";

const payloadPassed: Check = Object.freeze({
  name: "payload-json",
  outcome: "passed",
  message: "the payload has exactly the members of a container signature",
  clause: payloadClause,
});

/**
 * Judges one signature: stored form, OpenPGP message, payload, digest, identity, in this order. The payload is not read before the message has verified;
 * digest and identity are then both compared, so that all that is wrong is said at once.
 *
 * Not checked: `keyType`, which is the requirement's matter and not a signature's.
 *
 * @param keys the requirement's, from `TrustAnchors`
 * @returns evidence; bytes of any kind are at worst a rejection and never thrown
 */
export function judgeSignedBy(
  signature: SignatureToJudge,
  requirement: SignedByRequirement,
  keys: TrustedKeys,
  image: SignedImage,
  deps: SignatureDeps,
): SignatureEvidence {
  const { location } = signature;
  const list = new CheckList();
  const message = takeMessage(signature, list);
  if (message instanceof Uint8Array) {
    const outcome = verifySignedMessage(message, keys.keyring, deps);
    if (outcome.verdict === "rejected") {
      const claims = readClaims(message, deps.engine);
      return { location, verdict: "rejected", claims, checks: outcome.checks, reasons: outcome.reasons };
    }
    list.checks.push(...outcome.checks);
    return judgePayload(location, outcome, requirement, image, list);
  }
  return { location, verdict: "rejected", claims: message, checks: list.checks, reasons: list.reasons };
}

/** The OpenPGP message inside a stored signature; else its claims, with the failure in `list`. */
function takeMessage({ bytes, encoding }: SignatureToJudge, list: CheckList): Uint8Array | UntrustedClaims {
  try {
    const blob = parseSignatureBlob(bytes);
    if (blob.format === "sigstore-json") {
      list.fail("signature-format", "it is a sigstore signature; signedBy looks at simple signatures only");
      return { format: "sigstore-json" };
    }
    if (encoding === "blob" || blob.message.length === bytes.length) return blob.message;
    list.fail("signature-format", "the store calls it a simple signature, and it is a tagged blob");
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    list.fail("signature-format", error.message, error.hint === undefined ? {} : { hint: error.hint });
  }
  return { format: "unrecognized" };
}

function judgePayload(
  location: string,
  message: AcceptedMessage,
  requirement: SignedByRequirement,
  image: SignedImage,
  list: CheckList,
): SignatureEvidence {
  const { checks, reasons } = list;
  const { keyId } = message;
  const payload = readSignedPayload(message.content, list);
  if (payload === undefined) {
    return { location, verdict: "rejected", claims: { format: "simple-signing", keyId }, checks, reasons };
  }
  const claims = claimsOf(payload, keyId);
  checkDigest(payload.manifestDigest, image.digest, list);
  checkIdentity(requirement, image.reference, payload.dockerReference, list);
  if (reasons.length > 0) return { location, verdict: "rejected", claims, checks, reasons };
  const signer = signerOf(message, payload, image.digest);
  return { location, verdict: "accepted", claims, signer, checks, reasons };
}

/** Reads the content of a message that verified; undefined, with the failure in `list`, when it is no payload. */
export function readSignedPayload(content: Uint8Array, list: CheckList): UntrustedPayload | undefined {
  try {
    const payload = parseSimpleSigningPayload(content);
    list.add(payloadPassed);
    return payload;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    list.fail("payload-json", `what was signed is not a container signature: ${error.message}`, {
      clause: payloadClause,
    });
    return undefined;
  }
}

/** Compares as text: manifests are always digested with SHA-256, so a payload with another algorithm never matches. */
export function checkDigest(found: Digest, expected: Digest, list: CheckList): void {
  if (found === expected) {
    const message = "the signature is for this manifest";
    list.add({ name: "manifest-digest", outcome: "passed", message, expected, found, clause: digestClause });
    return;
  }
  const message = `the signature is for digest ${found}, which does not match the image's ${expected}`;
  const hint = "the image changed after it was signed, or the signature was stored for another one";
  list.fail("manifest-digest", message, { expected, found, clause: digestClause, hint });
}

function checkIdentity(
  requirement: SignedByRequirement,
  reference: Reference | undefined,
  claimed: string,
  list: CheckList,
): void {
  const { matches, message, expected, found, hint } = matchSignedIdentity(
    requirement.signedIdentity,
    reference,
    claimed,
  );
  if (matches) {
    list.add({ name: "identity", outcome: "passed", message, expected, found, clause: identityClause });
    return;
  }
  const compared = { expected, found, clause: identityClause };
  list.fail("identity", message, hint === undefined ? compared : { ...compared, hint });
}

/** The signer that a message and its payload name, once both were accepted. */
export function signerOf(message: AcceptedMessage, payload: UntrustedPayload, digest: Digest): VerifiedSigner {
  const { certificate, signingFingerprint, signedAt, validUntil } = message;
  const { creator, timestamp } = payload;
  return {
    fingerprint: certificate.fingerprint,
    signingFingerprint,
    userIds: certificate.userIds,
    signedAt: isoTime(signedAt),
    dockerReference: payload.dockerReference,
    manifestDigest: digest,
    ...(creator === undefined ? {} : { creator }),
    ...(timestamp === undefined ? {} : { timestamp }),
    ...(validUntil === undefined ? {} : { validUntil: isoTime(validUntil) }),
  };
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** What a message claims that did not verify, as far as it can be read. */
export function readClaims(message: Uint8Array, engine: Engine): UntrustedClaims {
  let keyId: string | undefined;
  try {
    const untrusted = inspectSignedMessage(message, engine);
    ({ keyId } = untrusted);
    return claimsOf(parseSimpleSigningPayload(untrusted.content), keyId);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { format: "simple-signing", ...(keyId === undefined ? {} : { keyId }) };
  }
}

/** A payload's claims. */
export function claimsOf(payload: UntrustedPayload, keyId: string): UntrustedClaims {
  const { manifestDigest, dockerReference, creator, timestamp } = payload;
  return {
    format: "simple-signing",
    manifestDigest,
    dockerReference,
    keyId,
    ...(creator === undefined ? {} : { creator }),
    ...(timestamp === undefined ? {} : { timestamp }),
  };
}
