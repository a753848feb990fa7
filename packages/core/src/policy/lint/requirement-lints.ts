/** Lints about the requirements of one scope: what can never be met, what cancels out, what is there twice. */
import type { SignedByRequirement } from "../policy.ts";
import { quote } from "../policy-members.ts";
import type { LintedRequirement, LintedScope } from "./lint-context.ts";
import type { Found, Lint } from "./lint.ts";
import { describe, isOpen } from "./scope-lints.ts";

/** One finding about one requirement as a whole. */
export function atRequirement(scope: LintedScope, item: LintedRequirement, what: string, fix?: string): Found {
  const place = { path: item.path, part: "value" } as const;
  return { place, scope: scope.label, what, ...(fix === undefined ? {} : { fix }) };
}

export const acceptAnythingRedundant: Lint = {
  name: "accept-anything-redundant",
  severity: "warning",
  reason:
    "Requirements are ANDed: insecureAcceptAnything beside another one adds nothing, and does not mean that either would do.",
  fix: "Remove it; what remains is what already counts.",
  isFixable: true,
  *check({ scopes }) {
    for (const scope of scopes) {
      if (scope.requirements.length < 2) continue;
      const accepting = scope.items.filter(({ requirement }) => requirement.type === "insecureAcceptAnything");
      // Of a list that has nothing else, one stays.
      const surplus = isOpen(scope.requirements) ? accepting.slice(1) : accepting;
      for (const item of surplus) {
        const what = isOpen(scope.requirements)
          ? "insecureAcceptAnything stands here twice"
          : "insecureAcceptAnything stands beside other requirements, which all must be met anyway";
        yield { ...atRequirement(scope, item, what), edits: [{ kind: "remove", path: item.path }] };
      }
    }
  },
};

export const requirementBesideReject: Lint = {
  name: "requirement-beside-reject",
  severity: "warning",
  reason: "reject refuses every image of the scope, so that no other requirement beside it can change anything.",
  fix: "Remove reject, or everything else.",
  *check({ scopes }) {
    for (const scope of scopes) {
      const rejecting = scope.items.find(({ requirement }) => requirement.type === "reject");
      if (rejecting === undefined || scope.requirements.length < 2) continue;
      const others = scope.requirements.filter(({ type }) => type !== "reject").map(({ type }) => type);
      const beside = others.length === 0 ? "another reject" : [...new Set(others)].join(", ");
      yield atRequirement(
        scope,
        rejecting,
        `reject stands beside ${beside}: every image is rejected whatever the rest says`,
      );
    }
  },
};

export const requirementDuplicate: Lint = {
  name: "requirement-duplicate",
  severity: "info",
  reason:
    "A requirement that stands in a list twice is met by the same signature twice: two signers are not demanded by it.",
  fix: "Remove one of the two.",
  isFixable: true,
  *check({ scopes }) {
    for (const scope of scopes) {
      const seen = new Set<string>();
      for (const item of scope.items) {
        const text = describe(item.requirement);
        const { type } = item.requirement;
        if (seen.has(text) && type !== "insecureAcceptAnything" && type !== "reject") {
          const what = `the same ${type} requirement stands here twice`;
          yield { ...atRequirement(scope, item, what), edits: [{ kind: "remove", path: item.path }] };
        }
        seen.add(text);
      }
    }
  },
};

export const baseLayerNeverMet: Lint = {
  name: "base-layer-never-met",
  severity: "error",
  reason: "signedBaseLayer parses and rejects every image: no tool has ever implemented it.",
  fix: "Remove the requirement.",
  *check({ scopes }) {
    for (const scope of scopes) {
      for (const item of scope.items) {
        if (item.requirement.type !== "signedBaseLayer") continue;
        yield atRequirement(scope, item, "signedBaseLayer can never be met; every image of the scope is rejected");
      }
    }
  },
};

export const keyTypeUnsupported: Lint = {
  name: "key-type-unsupported",
  severity: "error",
  reason: "Of the key types that parse, tools implement GPGKeys alone; the others reject every image.",
  fix: 'Write "keyType": "GPGKeys" and name OpenPGP keys.',
  *check({ scopes }) {
    for (const scope of scopes) {
      for (const { requirement, path } of scope.items) {
        if (requirement.type !== "signedBy" || requirement.keyType === "GPGKeys") continue;
        const what = `keyType ${quote(requirement.keyType)} can never be met; every image of the scope is rejected`;
        yield { place: { path: [...path, "keyType"], part: "value" }, scope: scope.label, what };
      }
    }
  },
};

export const oneKeyEachRequirement: Lint = {
  name: "one-key-each-requirement",
  severity: "warning",
  reason:
    "Requirements are ANDed: with one key in each, an image needs a signature by every key, while key rotation and several vendors usually ask for any of them.",
  fix: 'To accept a signature by any of the keys, list them in one requirement: "keyPaths": ["…", "…"]. Keep it when all of them must sign.',
  *check({ scopes }) {
    for (const scope of scopes) {
      const single = scope.items.filter(({ requirement }) => {
        return requirement.type === "signedBy" && countKeys(requirement) === 1;
      });
      const distinct = new Set(single.map(({ requirement }) => describe(requirement)));
      if (distinct.size < 2) continue;
      yield {
        place: { path: scope.path, part: "key" },
        scope: scope.label,
        what: `${distinct.size} signedBy requirements of one key each: an image needs a signature by every one of these keys`,
      };
    }
  },
};

function countKeys({ keys }: SignedByRequirement): number {
  return keys.kind === "files" ? keys.paths.length : keys.blobs.length;
}
