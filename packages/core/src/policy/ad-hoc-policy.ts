/** Policies that no document holds. */
import { isNameOnly, parseReference, referenceName } from "../reference/reference.ts";
import { frozenMap } from "./frozen-map.ts";
import { defaultSignedIdentity } from "./identity-reader.ts";
import { keyBlobs } from "./key-source.ts";
import type { Policy, Requirement, SignedIdentity } from "./policy.ts";

/**
 * The policy of `verify --key`: every image needs a simple signature by one of `keys`.
 *
 * @param keys the content of each key file, binary or armored
 * @param identity what signatures must be for: with tag or digest exactly that reference, else any reference of that repository. Without it, the image's
 * own reference by the rule `matchRepoDigestOrExact`
 * @throws FormatError `reference-malformed` for an identity that is not a reference. Keys are not looked at here
 */
export function signedByPolicy(keys: readonly Uint8Array[], identity?: string): Policy {
  const signedIdentity = identity === undefined ? defaultSignedIdentity : fixedIdentity(identity);
  return policyOf({ type: "signedBy", keyType: "GPGKeys", keys: keyBlobs(keys), signedIdentity });
}

/** A policy that accepts every image without looking at signatures: what `--insecure-policy` asks for. */
export function insecureAcceptAnythingPolicy(): Policy {
  return policyOf({ type: "insecureAcceptAnything" });
}

function fixedIdentity(text: string): SignedIdentity {
  const reference = Object.freeze(parseReference(text));
  return Object.freeze<SignedIdentity>(
    isNameOnly(reference)
      ? { type: "exactRepository", dockerRepository: text, repository: referenceName(reference) }
      : { type: "exactReference", dockerReference: text, reference },
  );
}

function policyOf(requirement: Requirement): Policy {
  const requirements = Object.freeze([Object.freeze(requirement)]);
  return Object.freeze({
    source: undefined,
    raw: undefined,
    default: requirements,
    transports: frozenMap<string, never>([]),
  });
}
