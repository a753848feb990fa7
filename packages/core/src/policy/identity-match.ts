/** Is a signature for this image? The six rules of `signedIdentity` (policy-json, section 5). */
import { FormatError } from "../errors.ts";
import {
  formatReference,
  isNameOnly,
  parseCanonicalReference,
  parseReference,
  type Reference,
  referenceName,
} from "../reference/reference.ts";
import { explainMismatch } from "./identity-mismatch.ts";
import type { RemapIdentity, SignedIdentity } from "./policy.ts";
import { quote } from "./policy-members.ts";

/** How a signature's reference compares with what the policy asks for. */
export interface IdentityMatch {
  readonly matches: boolean;
  /** One sentence for people. */
  readonly message: string;
  /** The reference or repository that was asked for. */
  readonly expected: string;
  /** The signature's `docker-reference` as it stands there. */
  readonly found: string;
  /** What to change, where that can be told; only when it does not match. */
  readonly hint?: string;
}

/** The rule by which two references are compared, once configured and remapped references have taken the image's place. */
type ComparisonRule = "matchExact" | "matchRepoDigestOrExact" | "matchRepository";

/**
 * Compares what a signature is for with what the policy wants it to be for. Both are brought into normal form first; hosts compare with their case and
 * port as written. A signature's reference that is no reference matches nothing.
 *
 * @param imageReference the logical docker reference of the image; undefined for dir, oci and oci-archive, where only `exactReference` and
 * `exactRepository` can match
 * @param claimed `docker-reference` of the payload
 */
export function matchSignedIdentity(
  identity: SignedIdentity,
  imageReference: Reference | undefined,
  claimed: string,
): IdentityMatch {
  if (identity.type === "exactRepository") return matchRepositoryName(identity.repository, claimed);
  if (identity.type === "exactReference") return compare(identity, "matchExact", identity.reference, claimed);
  if (imageReference === undefined) {
    return mismatch("a docker reference of the image", claimed, "the image has none that it could be compared with", {
      hint: "images of dir:, oci: and oci-archive: need a signedIdentity of type exactReference or exactRepository",
    });
  }
  if (identity.type !== "remapIdentity") return compare(identity, identity.type, imageReference, claimed);
  if (!isUnderPrefix(imageReference, identity.prefix)) {
    return compare(identity, "matchRepoDigestOrExact", imageReference, claimed);
  }
  const remapped = remapReference(imageReference, identity);
  if (remapped !== undefined) return compare(identity, "matchRepoDigestOrExact", remapped, claimed);
  const rewritten = rewritePrefix(imageReference, identity);
  return mismatch(rewritten, claimed, `the remapped reference ${quote(rewritten)} is not a full reference`, {
    hint: `correct signedPrefix ${quote(identity.signedPrefix)} in the policy`,
  });
}

function compare(identity: SignedIdentity, rule: ComparisonRule, wanted: Reference, claimed: string): IdentityMatch {
  const expected = formatReference(wanted);
  // What formatReference gives parses to the same reference again.
  const found = claimed === expected ? wanted : parseClaimed(claimed);
  if (found === undefined) return notAReference(expected, claimed);
  if (isMatch(rule, wanted, found)) {
    return { matches: true, message: `the signature is for "${claimed}"`, expected, found: claimed };
  }
  const { why, hint } = explainMismatch(identity, wanted, found);
  return mismatch(expected, claimed, why, hint === undefined ? {} : { hint });
}

function isMatch(rule: ComparisonRule, wanted: Reference, found: Reference): boolean {
  switch (rule) {
    case "matchRepository":
      return isSameName(wanted, found);
    case "matchExact":
      return !isNameOnly(wanted) && isSameReference(wanted, found);
    case "matchRepoDigestOrExact":
      if (isNameOnly(found)) return false;
      if (wanted.tag !== undefined) return isSameReference(wanted, found);
      // By digest: which manifest it is, is compared on its own, so any tag or digest of the repository will do.
      return wanted.digest !== undefined && isSameName(wanted, found);
  }
}

function matchRepositoryName(repository: string, claimed: string): IdentityMatch {
  const found = parseClaimed(claimed);
  if (found === undefined) return notAReference(repository, claimed);
  if (referenceName(found) === repository) {
    return { matches: true, message: `the signature is for "${claimed}"`, expected: repository, found: claimed };
  }
  return mismatch(repository, claimed, `the policy asks for repository ${quote(repository)}`, {});
}

/** The reference that a signature claims; undefined when it is none. */
export function parseClaimed(claimed: string): Reference | undefined {
  try {
    return parseReference(claimed);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function notAReference(expected: string, claimed: string): IdentityMatch {
  return mismatch(expected, claimed, "it is not a valid image reference", {});
}

function mismatch(expected: string, found: string, why: string, options: { readonly hint?: string }): IdentityMatch {
  const message = `the signature is for identity ${quote(found)}, which is not accepted: ${why}`;
  return { matches: false, message, expected, found, ...options };
}

function isSameName(a: Reference, b: Reference): boolean {
  return a.path === b.path && a.domain === b.domain;
}

function isSameReference(a: Reference, b: Reference): boolean {
  return isSameName(a, b) && a.tag === b.tag && a.digest === b.digest;
}

/** True when the reference's name is the prefix, or lies below it: the prefix ends where a path component does. */
export function isUnderPrefix(reference: Reference, prefix: string): boolean {
  const name = referenceName(reference);
  return name.startsWith(prefix) && (name.length === prefix.length || name[prefix.length] === "/");
}

/** The reference with its prefix replaced; undefined when the outcome is not a reference in normal form. */
export function remapReference(reference: Reference, identity: RemapIdentity): Reference | undefined {
  try {
    return parseCanonicalReference(rewritePrefix(reference, identity));
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function rewritePrefix(reference: Reference, { prefix, signedPrefix }: RemapIdentity): string {
  return signedPrefix + formatReference(reference).slice(prefix.length);
}
