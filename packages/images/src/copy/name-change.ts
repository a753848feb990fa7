/** Copies change names, and signatures carry names: what a policy for the copy's new name has to know. */
import {
  type Reference,
  SignetError,
  formatReference,
  inspectSignedMessage,
  matchSignedIdentity,
  parseReference,
  parseSignatureBlob,
  parseSimpleSigningPayload,
  referenceName,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";

/** Names shown in one warning. */
const MAX_NAMES_SHOWN = 3;

/**
 * Compares the names in signatures with the name that the copy has, by the rule that policies use when they say nothing. Nothing is verified here: this is advice.
 * @param blobs carried along from the source
 * @returns one warning when none of them is for `destination`; undefined when one is, or there is nothing to say
 */
export function describeNameChange(
  blobs: readonly Uint8Array[],
  destination: Reference | undefined,
): string | undefined {
  if (destination === undefined) return undefined;
  const names = new Set<string>();
  let hint: string | undefined;
  for (const blob of blobs) {
    const claimed = claimedName(blob);
    if (claimed === undefined) continue;
    const match = matchSignedIdentity({ type: "matchRepoDigestOrExact" }, destination, claimed);
    if (match.matches) return undefined;
    names.add(claimed);
    hint ??= match.hint === undefined ? undefined : `${match.hint}${tagAdvice(claimed, destination)}`;
  }
  if (names.size === 0) return undefined;
  const shown = [...names].slice(0, MAX_NAMES_SHOWN).map((name) => JSON.stringify(name.slice(0, 300)));
  const more = names.size > MAX_NAMES_SHOWN ? ` and ${names.size - MAX_NAMES_SHOWN} other names` : "";
  const advice = hint ?? "a policy needs exactReference or exactRepository for it";
  return `the signatures carried along are for ${shown.join(", ")}${more}, not for ${formatReference(destination)}: ${advice}`;
}

/** A remapped name keeps its tag, which has to be the signed one unless the image is named by digest. */
function tagAdvice(claimed: string, destination: Reference): string {
  const found = parseReference(claimed);
  const isRenamed = referenceName(found) !== referenceName(destination);
  if (!isRenamed || destination.tag === undefined || found.tag === destination.tag) return "";
  return "; its tag is another one as well, so only a pull by digest will match";
}

/** What a signature says it is for; undefined where that cannot be read, or for another kind of signature. */
function claimedName(blob: Uint8Array): string | undefined {
  try {
    const parsed = parseSignatureBlob(blob);
    if (parsed.format !== "simple-signing") return undefined;
    return parseSimpleSigningPayload(inspectSignedMessage(parsed.message, nodeEngine).content).dockerReference;
  } catch (error) {
    if (error instanceof SignetError) return undefined;
    throw error;
  }
}
