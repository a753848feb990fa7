/** What the audit of a catalog looks for: stable names, as reports and code hosts show them. */

export type FindingSeverity = "error" | "warning" | "info";

/** One thing that can be found. */
export interface AuditRule {
  readonly name: string;
  readonly severity: FindingSeverity;
  /** Why it matters. */
  readonly reason: string;
  readonly fix: string;
}

const table = {
  "image-by-tag": {
    severity: "error",
    reason: "What a tag names changes without notice, and mirrors and signatures of digests do not hold for it.",
    fix: "Name the image by its digest.",
  },
  "image-malformed": {
    severity: "error",
    reason: "It is no image reference, and nothing can be said of it.",
    fix: "Correct the reference.",
  },
  "image-unqualified": {
    severity: "error",
    reason: "Without a registry in the name every node decides for itself where the image comes from.",
    fix: "Name the registry.",
  },
  "image-tag-and-digest": {
    severity: "info",
    reason: "The tag beside the digest is not looked at; some tools refuse such references.",
    fix: "Leave the tag out.",
  },
  "image-unlisted": {
    severity: "error",
    reason: "Mirrors copy relatedImages alone: a disconnected cluster would not find this image.",
    fix: "Add the image to spec.relatedImages.",
  },
  "annotation-unlisted": {
    severity: "warning",
    reason: "The annotation containerImage names an image that is not among relatedImages, and is not mirrored.",
    fix: "Add the image to spec.relatedImages, or correct the annotation.",
  },
  "bundle-unlisted": {
    severity: "warning",
    reason: "The bundle's own image is not among its relatedImages; tools that copy those alone leave it behind.",
    fix: "Add the bundle image to relatedImages; opm render does.",
  },
  "bundle-image-missing": {
    severity: "error",
    reason: "A bundle without an image can be neither mirrored nor verified.",
    fix: "Publish the bundle as an image.",
  },
  "catalog-by-tag": {
    severity: "warning",
    reason: "The catalog that was audited need not be the one that its tag names tomorrow.",
    fix: "Name the catalog by its digest, or verify it again when it changes.",
  },
  "policy-rejects": {
    severity: "error",
    reason: "The policy rejects every image of the scope that governs it, so it cannot be pulled.",
    fix: "Give the repository a scope that names the keys of its signers.",
  },
  "policy-accepts-anything": {
    severity: "warning",
    reason: "The scope that governs it demands no signature: whatever the registry hands out is used.",
    fix: "Give the repository a scope that demands signatures.",
  },
  "image-unsigned": {
    severity: "error",
    reason: "The policy demands a signature, and there is none.",
    fix: "Sign the image, copy its signatures along, or configure the store that has them.",
  },
  "image-rejected": {
    severity: "error",
    reason: "The policy rejects the image.",
    fix: "Follow the reason; `signet policy explain IMAGE` has the whole story.",
  },
  "image-undetermined": {
    severity: "warning",
    reason: "It could not be told whether the policy accepts the image.",
    fix: "Follow the reason, and audit again.",
  },
  "mirror-missing": {
    severity: "error",
    reason: "The mirror does not have the image: a cluster that is cut off from its origin cannot pull it.",
    fix: "Mirror the image.",
  },
  "mirror-undetermined": {
    severity: "warning",
    reason: "The mirror could not be asked for the image.",
    fix: "Follow the reason, and audit again.",
  },
  "package-missing": {
    severity: "warning",
    reason: "Channels or bundles belong to a package that the catalog does not have; opm refuses such a catalog.",
    fix: "Add the olm.package.",
  },
  "package-duplicate": {
    severity: "warning",
    reason: "Two documents describe the same package, channel or bundle; opm refuses such a catalog.",
    fix: "Keep one of them.",
  },
  "channel-entry-missing": {
    severity: "warning",
    reason: "The channel offers a version that the catalog has no bundle for.",
    fix: "Add the bundle, or take the entry out.",
  },
  "channel-loop": {
    severity: "warning",
    reason: "Versions of the channel replace each other in a circle; no update ends.",
    fix: "Correct replaces of the entries.",
  },
  "channel-head": {
    severity: "warning",
    reason: "A channel has exactly one newest version; opm refuses one with none or several.",
    fix: "Let one entry replace or skip all others, directly or through others.",
  },
  "default-channel": {
    severity: "warning",
    reason: "A package has channels, and its default channel is one of them; opm refuses others.",
    fix: "Add the channel, or name one that is there.",
  },
  deprecated: {
    severity: "info",
    reason: "Its maker gives it up; consoles warn about it.",
    fix: "Follow the message.",
  },
  "several-registries": {
    severity: "info",
    reason:
      "Images of the same repository path are named in several registries: a policy and a mirror need all of them.",
    fix: "Name the repository in one registry.",
  },
} as const;

export type AuditRuleName = keyof typeof table;

/** All of them, in the order of reports. */
export const auditRules: readonly AuditRule[] = Object.entries(table).map(([name, rule]) => ({ name, ...rule }));

/** @returns how grave a finding by that rule is */
export function severityOf(rule: AuditRuleName): FindingSeverity {
  return table[rule].severity;
}
