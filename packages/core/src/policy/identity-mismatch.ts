/** Why two references do not match, and what would make them: for people who must decide whether policy or signature is wrong. */
import { formatReference, isNameOnly, type Reference, referenceName } from "../reference/reference.ts";
import type { SignedIdentity } from "./policy.ts";
import { quote } from "./policy-members.ts";

/** A sentence part after "not accepted:", and the one-line fix where one suggests itself. */
export interface MismatchExplanation {
  readonly why: string;
  readonly hint?: string;
}

/** @param wanted what the policy asks for, remapped or configured @param found what the signature is for */
export function explainMismatch(identity: SignedIdentity, wanted: Reference, found: Reference): MismatchExplanation {
  const sameName = referenceName(wanted) === referenceName(found);
  const why = sameName
    ? `${identity.type} asks for ${quote(formatReference(wanted))}`
    : `${identity.type} asks for repository ${quote(referenceName(wanted))}`;
  const hint = sameName ? hintForTag(identity, wanted, found) : hintForRepository(identity, wanted, found);
  return hint === undefined ? { why } : { why, hint };
}

/** The rule of the same kind that looks at the repository alone; there is none for remapIdentity. */
const repositoryRules: Partial<Record<SignedIdentity["type"], string>> = {
  matchExact: "matchRepository",
  matchRepoDigestOrExact: "matchRepository",
  exactReference: "exactRepository",
};

function hintForTag(identity: SignedIdentity, wanted: Reference, found: Reference): string | undefined {
  const repositoryRule = repositoryRules[identity.type];
  if (isNameOnly(found)) {
    const rule = repositoryRule ?? "matchRepository or exactRepository";
    return `the signature names neither tag nor digest: only ${rule} accepts that`;
  }
  if (isNameOnly(wanted)) return "name the image with its tag or digest";
  if (identity.type === "matchExact" && wanted.tag === undefined) {
    return "for an image named by digest, matchRepoDigestOrExact accepts any tag of the repository";
  }
  if (repositoryRule === undefined) return undefined;
  const made = found.tag === undefined ? "without a tag" : `for tag ${quote(found.tag)}`;
  return `the signature was made ${made}; use ${repositoryRule} if any tag of the repository will do`;
}

function hintForRepository(identity: SignedIdentity, wanted: Reference, found: Reference): string | undefined {
  // A configured reference says what it wants; nothing about mirrors follows from it.
  if (identity.type === "exactReference") return undefined;
  if (identity.type === "remapIdentity") {
    return `check the policy's prefix ${quote(identity.prefix)} and signedPrefix ${quote(identity.signedPrefix)}`;
  }
  const prefixes = mirrorPrefixes(wanted, found);
  if (prefixes === undefined) return undefined;
  const { prefix, signedPrefix } = prefixes;
  return `if this is a mirror, use remapIdentity with prefix ${quote(prefix)} and signedPrefix ${quote(signedPrefix)}`;
}

/**
 * The prefixes by which a remapIdentity rule would take one name for the other: what is left of both after the components that they end in alike. Undefined
 * when the last ones differ. At least the host is left.
 *
 * @param wantedReference the image's @param foundReference what was signed
 */
export function mirrorPrefixes(
  wantedReference: Reference,
  foundReference: Reference,
): { readonly prefix: string; readonly signedPrefix: string } | undefined {
  const wanted = referenceName(wantedReference).split("/");
  const found = referenceName(foundReference).split("/");
  let common = 0;
  while (common < wanted.length - 1 && common < found.length - 1 && wanted.at(-1 - common) === found.at(-1 - common)) {
    common++;
  }
  if (common === 0) return undefined;
  const prefix = wanted.slice(0, wanted.length - common).join("/");
  return { prefix, signedPrefix: found.slice(0, found.length - common).join("/") };
}
