import type { Platform, UntrustedInstance } from "./descriptor.ts";
import type { UntrustedManifestList } from "./manifest.ts";
import { OCI_INDEX_TYPE } from "./media-types.ts";

/** Variants of an architecture that are known, from the most capable to the one that runs everywhere. */
const knownVariants: ReadonlyMap<string, readonly string[]> = new Map([
  ["arm", ["v8", "v7", "v6", "v5"]],
  ["arm64", ["v8"]],
]);

/**
 * The instance of a list that a host of `platform` runs, chosen as containers/image does: of all instances for its system and architecture, the one whose variant comes first
 * in the order of preference; among equals, the first in the list.
 *
 * Order of preference: with a known variant, that one, then the less capable ones, then none; with an unknown variant, that one, then none; without a variant, none, then all
 * known ones from the most capable down. In an OCI index an instance that names no platform is taken when no other fits.
 *
 * Not considered: version and features of the operating system, and compression. containers/image from 5.28 on prefers, between two instances of one platform, the
 * one marked as zstd-compressed; here the first one is taken, as in earlier releases.
 *
 * @returns undefined when the list has nothing for that platform
 */
export function chooseInstance(list: UntrustedManifestList, platform: Platform): UntrustedInstance | undefined {
  const variants = preferredVariants(platform.architecture, platform.variant ?? "");
  let best: UntrustedInstance | undefined;
  let bestRank = Infinity;
  for (const instance of list.instances) {
    const rank = rankOf(instance, platform, variants, list.mediaType === OCI_INDEX_TYPE);
    if (rank === undefined || (best !== undefined && rank >= bestRank)) continue;
    best = instance;
    bestRank = rank;
  }
  return best;
}

/** Lower is better; undefined does not fit at all. */
function rankOf(
  instance: UntrustedInstance,
  wanted: Platform,
  variants: readonly string[],
  mayLackPlatform: boolean,
): number | undefined {
  const has = instance.platform;
  if (has === undefined) return mayLackPlatform ? variants.length : undefined;
  if (has.os !== wanted.os || has.architecture !== wanted.architecture) return undefined;
  const rank = variants.indexOf(has.variant ?? "");
  return rank < 0 ? undefined : rank;
}

function preferredVariants(architecture: string, variant: string): readonly string[] {
  const known = knownVariants.get(architecture) ?? [];
  if (variant === "") return ["", ...known];
  const from = known.indexOf(variant);
  return from < 0 ? [variant, ""] : [...known.slice(from), ""];
}

/** `linux/arm64/v8`, for messages. Untrusted text. */
export function formatPlatform(platform: Platform): string {
  const variant = platform.variant === undefined || platform.variant === "" ? "" : `/${platform.variant}`;
  return `${platform.os}/${platform.architecture}${variant}`;
}
