import { formatReference, referenceName } from "../../reference/reference.ts";
import type { SignedIdentity } from "../policy.ts";

/** How much of the image's own reference a rule lets differ; each accepts all that the ones before accept (policy-json, section 5). */
const ownReferenceRules: readonly SignedIdentity["type"][] = [
  "matchExact",
  "matchRepoDigestOrExact",
  "matchRepository",
];

/**
 * Whether every signature that `a` takes to be for an image is so for `b` as well, whatever the image.
 *
 * matchExact ⊂ matchRepoDigestOrExact ⊂ matchRepository; exactReference ⊂ exactRepository of its repository; a remapIdentity only within itself. All other pairs
 * are unrelated, or related for some images only.
 */
export function isIdentityWithin(a: SignedIdentity, b: SignedIdentity): boolean {
  const [inner, outer] = [ownReferenceRules.indexOf(a.type), ownReferenceRules.indexOf(b.type)];
  if (inner >= 0 && outer >= 0) return inner <= outer;
  if (a.type === "exactReference") {
    if (b.type === "exactReference") return formatReference(a.reference) === formatReference(b.reference);
    return b.type === "exactRepository" && referenceName(a.reference) === b.repository;
  }
  if (a.type === "exactRepository") return b.type === "exactRepository" && a.repository === b.repository;
  if (a.type === "remapIdentity")
    return b.type === "remapIdentity" && a.prefix === b.prefix && a.signedPrefix === b.signedPrefix;
  return false;
}

/** `matchExact`, `exactRepository(host/path)`, … */
export function describeIdentity(identity: SignedIdentity): string {
  switch (identity.type) {
    case "exactReference":
      return `exactReference(${identity.dockerReference})`;
    case "exactRepository":
      return `exactRepository(${identity.dockerRepository})`;
    case "remapIdentity":
      return `remapIdentity(${identity.prefix} → ${identity.signedPrefix})`;
    default:
      return identity.type;
  }
}
