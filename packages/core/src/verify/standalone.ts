/** One manifest, one signature, no policy and no network: what `standalone-verify` does. */
import type { Digest } from "../bytes/digest.ts";
import { PolicyError } from "../errors.ts";
import { computeManifestDigest } from "../formats/manifest/manifest-digest.ts";
import type { Keyring } from "../keys/keyring.ts";
import { parseClaimed } from "../policy/identity-match.ts";
import { quote } from "../policy/policy-members.ts";
import { formatReference, parseReference, type Reference, referenceName } from "../reference/reference.ts";
import type { Check, Reason, UntrustedClaims, VerifiedSigner } from "./evidence.ts";
import { checkDigest, claimsOf, readClaims, readSignedPayload, type SignatureDeps, signerOf } from "./signed-by.ts";
import { type AcceptedMessage, verifySignedMessage } from "./signed-message.ts";
import { CheckList } from "./signed-message-checks.ts";

/** The verdict on one signature file. */
export type StandaloneVerdict =
  | {
      readonly verdict: "accepted";
      /** The entry of the list that matched; with `any`, the primary key's fingerprint. */
      readonly fingerprint: string;
      readonly digest: Digest;
      readonly signer: VerifiedSigner;
      readonly checks: readonly Check[];
    }
  | {
      readonly verdict: "rejected";
      readonly reasons: readonly Reason[];
      readonly digest: Digest;
      readonly claims: UntrustedClaims;
      readonly checks: readonly Check[];
    };

/**
 * Verifies that `message` is a simple signature over `manifest` for `expectedReference` by one of the accepted keys. Both references are brought into normal form
 * and must then be equal as a whole: a name without tag equals only a name without tag.
 *
 * Not checked: whether the manifest is one, beyond what its digest needs.
 *
 * @param manifest its octets as they are stored
 * @param accepted full fingerprints, compared as text: upper-case hex, no spaces. A subkey's own fingerprint is honoured when it stands there. `any`: every
 * primary key of `keyring`
 * @param message the bare OpenPGP message, as `standalone-sign` writes it
 * @returns the verdict; any octets as `message` are at worst a rejection
 * @throws FormatError `reference-malformed` for the expected reference, or when the digest of a schema 1 manifest cannot be computed; PolicyError
 * `no-trust-anchors` when no key or no fingerprint is given
 */
export function verifyStandalone(
  manifest: Uint8Array,
  expectedReference: string,
  accepted: readonly string[] | "any",
  message: Uint8Array,
  keyring: Keyring,
  deps: SignatureDeps,
): StandaloneVerdict {
  requireAnchors(accepted, keyring);
  const expected = parseReference(expectedReference);
  const digest = computeManifestDigest(manifest, deps.engine);
  const list = new CheckList();
  const outcome = verifySignedMessage(message, keyring, deps);
  const reject = (claims: UntrustedClaims): StandaloneVerdict => {
    return { verdict: "rejected", reasons: list.reasons, digest, claims, checks: list.checks };
  };
  list.checks.push(...outcome.checks);
  if (outcome.verdict === "rejected") {
    list.reasons.push(...outcome.reasons);
    return reject(readClaims(message, deps.engine));
  }
  const fingerprint = acceptedFingerprint(outcome, accepted);
  if (fingerprint === undefined) {
    failKey(outcome, list);
    return reject(readClaims(message, deps.engine));
  }
  const payload = readSignedPayload(outcome.content, list);
  if (payload === undefined) return reject({ format: "simple-signing", keyId: outcome.keyId });
  checkDigest(payload.manifestDigest, digest, list);
  checkReference(expected, payload.dockerReference, list);
  if (list.reasons.length > 0) return reject(claimsOf(payload, outcome.keyId));
  const signer = signerOf(outcome, payload, digest);
  return { verdict: "accepted", fingerprint, digest, signer, checks: list.checks };
}

function requireAnchors(accepted: readonly string[] | "any", keyring: Keyring): void {
  if (keyring.certificates.length === 0) {
    throw new PolicyError("no-trust-anchors", "there is no public key to verify with", {
      hint: "name a file with OpenPGP public keys",
    });
  }
  if (accepted.length === 0) {
    throw new PolicyError("no-trust-anchors", "no fingerprint is accepted, so no signature can be", {
      hint: "name at least one full fingerprint, or any",
    });
  }
}

function acceptedFingerprint(message: AcceptedMessage, accepted: readonly string[] | "any"): string | undefined {
  const primary = message.certificate.fingerprint;
  if (accepted === "any") return primary;
  return [message.signingFingerprint, primary].find((fingerprint) => accepted.includes(fingerprint));
}

function failKey(message: AcceptedMessage, list: CheckList): void {
  const primary = message.certificate.fingerprint;
  const { signingFingerprint } = message;
  const of = signingFingerprint === primary ? "" : ` of ${primary}`;
  list.fail("key-accepted", `signature by key ${signingFingerprint}${of} is not accepted`, {
    expected: "one of the accepted fingerprints",
    found: primary,
    hint: "fingerprints are compared whole, as upper-case hex without spaces",
  });
}

function checkReference(expected: Reference, claimed: string, list: CheckList): void {
  const wanted = formatReference(expected);
  const compared = { expected: wanted, found: claimed };
  const found = parseClaimed(claimed);
  if (found === undefined) {
    list.fail("identity", `the signature is for ${quote(claimed)}, which is not a valid docker reference`, compared);
  } else if (formatReference(found) !== wanted) {
    const message = `the signature is for docker reference ${quote(claimed)}, which does not match ${quote(wanted)}`;
    const hint = "tag and digest must be equal too; a name without them equals only such a name, not :latest";
    list.fail("identity", message, referenceName(found) === referenceName(expected) ? { ...compared, hint } : compared);
  } else {
    list.add({ name: "identity", outcome: "passed", message: `the signature is for ${wanted}`, ...compared });
  }
}
