/** Requirements in words, for people who must see at a glance what a scope demands. */
import type { KeySource, Requirement, Requirements, SignedIdentity, SigstoreTrust } from "../policy/policy.ts";

/** One line: `signedBy /etc/pki/release.gpg, identity matchRepository`; several are joined by `and`. May hold untrusted text. */
export function summarizeRequirements(requirements: Requirements): string {
  return requirements.map(summarizeRequirement).join(" and ");
}

/** One line for one requirement. */
export function summarizeRequirement(requirement: Requirement): string {
  switch (requirement.type) {
    case "insecureAcceptAnything":
      return "insecureAcceptAnything: every image, signed or not";
    case "reject":
      return "reject: no image";
    case "signedBaseLayer":
      return "signedBaseLayer, which nothing can satisfy";
    case "signedBy":
      return `signedBy ${summarizeKeys(requirement.keys)}, identity ${summarizeIdentity(requirement.signedIdentity)}`;
    case "sigstoreSigned":
      return `sigstoreSigned ${summarizeTrust(requirement.trust)}, identity ${summarizeIdentity(requirement.signedIdentity)}`;
  }
}

/** The rule with what it is told: `remapIdentity from registry.example.com to mirror.local`. */
export function summarizeIdentity(identity: SignedIdentity): string {
  switch (identity.type) {
    case "exactReference":
      return `exactReference ${identity.dockerReference}`;
    case "exactRepository":
      return `exactRepository ${identity.dockerRepository}`;
    case "remapIdentity":
      return `remapIdentity from ${identity.prefix} to ${identity.signedPrefix}`;
    case "matchExact":
    case "matchRepoDigestOrExact":
    case "matchRepository":
      return identity.type;
  }
}

function summarizeTrust(trust: SigstoreTrust): string {
  switch (trust.kind) {
    case "keys":
      return summarizeKeys(trust.keys);
    case "fulcio":
      return `fulcio certificate of ${trust.subjectEmail} from ${trust.oidcIssuer}`;
    case "pki":
      return `certificate of ${[trust.subjectEmail, trust.subjectHostname].filter((one) => one !== undefined).join(", ")}`;
  }
}

function summarizeKeys(keys: KeySource): string {
  if (keys.kind === "files") return keys.paths.length === 0 ? "no key file" : keys.paths.join(" or ");
  return keys.blobs.length === 1 ? "a key inside the policy" : `${keys.blobs.length} keys inside the policy`;
}
