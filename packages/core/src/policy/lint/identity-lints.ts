/** Lints about `signedIdentity`: identities that cannot be met where they stand. */
import type { RemapIdentity, Requirement, SignedIdentity } from "../policy.ts";
import { quote } from "../policy-members.ts";
import type { JsonPath } from "./document-places.ts";
import type { LintContext, LintedScope } from "./lint-context.ts";
import type { Lint } from "./lint.ts";
import { hostOf, isBelow, repositoryOf } from "./scope-order.ts";

/** Images of these have no docker reference that an identity could be compared with. */
const withoutReference: ReadonlySet<string> = new Set(["dir", "oci", "oci-archive", "sif", "tarball"]);

/** Images of these never have signatures: the format has no place for them, and no store is asked. */
const withoutSignatures: ReadonlySet<string> = new Set([
  "docker-archive",
  "docker-daemon",
  "oci",
  "oci-archive",
  "sif",
  "tarball",
]);

/** An identity and where it stands. */
interface PlacedIdentity {
  readonly scope: LintedScope;
  readonly requirement: Requirement & { readonly signedIdentity: SignedIdentity };
  readonly identity: SignedIdentity;
  /** Of the identity, or of the requirement when it names none. */
  readonly path: JsonPath;
  readonly isDefault: boolean;
}

function* identitiesOf({ scopes, places }: LintContext): Iterable<PlacedIdentity> {
  for (const scope of scopes) {
    for (const { requirement, path } of scope.items) {
      if (requirement.type !== "signedBy" && requirement.type !== "sigstoreSigned") continue;
      const isDefault = !places.has(path, "signedIdentity");
      const identity = requirement.signedIdentity;
      yield { scope, requirement, identity, isDefault, path: isDefault ? path : [...path, "signedIdentity"] };
    }
  }
}

export const transportCannotHaveReference: Lint = {
  name: "transport-cannot-have-reference",
  severity: "error",
  reason:
    "Images in folders and archives have no name of their own that a signature could be compared with, so identities that start from it are never met.",
  fix: 'Say which image it is: "signedIdentity": {"type":"exactRepository","dockerRepository":"host/repo"}, or exactReference.',
  *check(context) {
    for (const { scope, identity, path, isDefault } of identitiesOf(context)) {
      if (scope.transport === undefined || !withoutReference.has(scope.transport)) continue;
      if (identity.type === "exactReference" || identity.type === "exactRepository") continue;
      const which = isDefault ? `the default identity ${identity.type}` : identity.type;
      yield {
        place: { path, part: "value" },
        scope: scope.label,
        what: `${which} can never be met by images of transport ${scope.transport}`,
      };
    }
  },
};

export const transportWithoutSignatures: Lint = {
  name: "transport-without-signatures",
  severity: "error",
  reason: "Images of this transport cannot carry signatures, so that a demand for one rejects them all.",
  fix: "Use dir: or a registry for images that must be signed, and reject or accept here.",
  *check({ scopes }) {
    for (const scope of scopes) {
      if (scope.transport === undefined || !withoutSignatures.has(scope.transport)) continue;
      for (const { requirement, path } of scope.items) {
        if (requirement.type !== "signedBy" && requirement.type !== "sigstoreSigned") continue;
        yield {
          place: { path, part: "value" },
          scope: scope.label,
          what: `${requirement.type} can never be met: images of transport ${scope.transport} have no signatures`,
        };
      }
    }
  },
};

export const remapPrefixUseless: Lint = {
  name: "remap-prefix-useless",
  severity: "warning",
  reason:
    "remapIdentity rewrites only names below its prefix; no image of this scope has one, so that it compares as matchRepoDigestOrExact.",
  fix: "Write the prefix as the images of this scope are named: host[:port], or host[:port]/path.",
  *check(context) {
    for (const { scope, identity, path } of identitiesOf(context)) {
      if (identity.type !== "remapIdentity" || !isUseless(scope, identity)) continue;
      yield {
        place: { path: [...path, "prefix"], part: "value" },
        scope: scope.label,
        what: `no image of ${scope.label} is named ${quote(identity.prefix)} or below it`,
      };
    }
  },
};

function isUseless({ transport, scope }: LintedScope, { prefix }: RemapIdentity): boolean {
  const host = prefix.split("/")[0]!;
  // The name of an image always begins with a host.
  if (!host.includes(".") && !host.includes(":") && host !== "localhost") return true;
  if (transport !== "docker" || scope === undefined || scope === "") return false;
  return !isBelow(prefix, scope) && !isBelow(repositoryOf(scope), prefix) && !isWildcardAbove(scope, prefix);
}

/** A wildcard scope has images of many hosts, so only a prefix of another domain is certain to be of no use. */
function isWildcardAbove(scope: string, prefix: string): boolean {
  return scope.startsWith("*.") && hostOf(prefix).endsWith(scope.slice(1));
}

export const identityOtherRepository: Lint = {
  name: "identity-other-repository",
  severity: "info",
  reason:
    "Images of this scope are accepted by signatures that were made for another repository: right for a mirror, wrong for a slip of the pen.",
  fix: "Check the name. For a whole mirror remapIdentity says the same for each repository.",
  *check(context) {
    for (const { scope, identity, path } of identitiesOf(context)) {
      if (scope.transport !== "docker" || scope.scope === undefined || scope.scope === "") continue;
      if (identity.type !== "exactReference" && identity.type !== "exactRepository") continue;
      const isReference = identity.type === "exactReference";
      const name = isReference ? `${identity.reference.domain}/${identity.reference.path}` : identity.repository;
      if (isBelow(name, repositoryOf(scope.scope))) continue;
      yield {
        place: { path: [...path, isReference ? "dockerReference" : "dockerRepository"], part: "value" },
        scope: scope.label,
        what: `signatures must be for ${quote(name)}, which is not in this scope`,
      };
    }
  },
};

export const identityNeedsTag: Lint = {
  name: "identity-needs-tag",
  severity: "info",
  reason:
    "matchExact compares tags: an image that is pulled by digest, as clusters do, is only accepted when that digest was signed as its name.",
  fix: "matchRepoDigestOrExact, the default, accepts a digest whatever tag its signature names.",
  *check(context) {
    for (const { scope, identity, requirement, path } of identitiesOf(context)) {
      if (identity.type !== "matchExact" || requirement.type !== "signedBy") continue;
      if (scope.transport !== undefined && withoutReference.has(scope.transport)) continue;
      yield { place: { path, part: "value" }, scope: scope.label, what: "matchExact rejects pulls by digest" };
    }
  },
};

export const sigstoreIdentityTagless: Lint = {
  name: "sigstore-identity-tagless",
  severity: "warning",
  reason: "Signatures by cosign name the repository without a tag; identities that compare tags never accept them.",
  fix: 'Add "signedIdentity": {"type":"matchRepository"}, unless all images were signed by podman or skopeo.',
  *check(context) {
    for (const { scope, identity, requirement, path, isDefault } of identitiesOf(context)) {
      if (requirement.type !== "sigstoreSigned") continue;
      const { type } = identity;
      if (type === "matchRepository" || type === "exactRepository") continue;
      yield {
        place: { path, part: "value" },
        scope: scope.label,
        what: `${isDefault ? `the default identity ${type}` : type} does not accept plain cosign signatures`,
      };
    }
  },
};
