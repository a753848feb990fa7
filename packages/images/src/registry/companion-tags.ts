/** Tags under which other tools keep what belongs to a manifest: cosign's, and the referrers tag of the distribution specification. */
import { type Digest, digestAlgorithm, digestHex } from "@signet/core";

/** What cosign keeps beside an image, by the end of its tag. */
export type CompanionSuffix = "sig" | "att" | "sbom";

/** Signatures first: nothing else may be there without them. */
export const companionSuffixes: readonly CompanionSuffix[] = ["sig", "att", "sbom"];

/** Characters a tag may have (distribution specification, "Pulling manifests"). */
const MAX_TAG_LENGTH = 128;

/** Characters of the digest in a referrers tag; longer digests are cut (distribution specification 1.1, "Referrers Tag Schema"). */
const REFERRERS_TAG_HEX = 64;

/** cosign's tag for a manifest; undefined where no such tag can exist, as for sha512, whose digest alone fills a tag. */
export function companionTag(digest: Digest, suffix: CompanionSuffix): string | undefined {
  const tag = `${digestAlgorithm(digest)}-${digestHex(digest)}.${suffix}`;
  return tag.length <= MAX_TAG_LENGTH ? tag : undefined;
}

/** The tag of the index that lists a manifest's referrers in a registry without the referrers API. */
export function referrersTag(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest).slice(0, REFERRERS_TAG_HEX)}`;
}

/** Whether a tag is one of these, of whatever manifest. */
export function isCompanionTag(tag: string): boolean {
  return /^(?:sha256-[0-9a-f]{64}|sha384-[0-9a-f]{96})\.(?:sig|att|sbom)$|^sha(?:256|384|512)-[0-9a-f]{64}$/.test(tag);
}
