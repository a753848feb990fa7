/** Lints about what the configured stores hold. They say something only when the stores were looked through. */
import { quote } from "../policy-members.ts";
import type { StoreSurvey } from "./lint-facts.ts";
import type { LintContext, LintedRequirement, LintedScope } from "./lint-context.ts";
import type { Lint } from "./lint.ts";

interface Surveyed {
  readonly scope: LintedScope;
  readonly item: LintedRequirement;
  readonly survey: StoreSurvey;
}

function* surveyed({ scopes, facts }: LintContext): Iterable<Surveyed> {
  for (const scope of scopes) {
    const survey = facts.surveys?.get(scope.label);
    if (survey === undefined) continue;
    for (const item of scope.items) if (item.requirement.type === "signedBy") yield { scope, item, survey };
  }
}

export const storeNeverSigned: Lint = {
  name: "store-never-signed",
  severity: "warning",
  reason:
    "None of the signatures in the stores of this scope names the key: a wrong key file, a key that was replaced, or a store that was never filled. Only key ids are compared; nothing is verified. Asked for with --store.",
  fix: "Check which key signs these images (`signet inspect IMAGE`), and remove keys that are no longer used.",
  *check(context) {
    for (const { scope, item, survey } of surveyed(context)) {
      const { requirement } = item;
      if (requirement.type !== "signedBy" || survey.folders.length === 0) continue;
      for (const { certificate, from, path } of context.keys.certificates(requirement, item)) {
        const ids = [certificate.primary, ...certificate.subkeys].map(({ keyId }) => keyId);
        if (ids.some((id) => survey.issuers.has(id))) continue;
        const where = from === "keyData" ? "keyData" : quote(from);
        yield {
          place: { path, part: "value" },
          scope: scope.label,
          what: `${where}: key ${certificate.fingerprint} made none of ${describeSurvey(survey)}`,
          // What was not looked at may be by this key.
          ...(survey.isCut || survey.unlistable.length > 0 ? { severity: "info" } : {}),
        };
      }
    }
  },
};

/** Key ids shown in one finding. */
const MAX_SHOWN_ISSUERS = 3;

function describeSurvey({ signatures, issuers, folders, isCut, unreadable }: StoreSurvey): string {
  const byOthers = [...issuers].toSorted(([, a], [, b]) => b - a).slice(0, MAX_SHOWN_ISSUERS);
  const others = byOthers.map(([id, count]) => `${count} by ${id}`).join(", ");
  const broken = unreadable === 0 ? "" : `, ${unreadable} more cannot be read`;
  const first = isCut ? "the first " : "the ";
  return `${first}${signatures} signatures in ${folders.map(quote).join(", ")}${others === "" ? "" : ` (${others})`}${broken}`;
}

export const storeNotListable: Lint = {
  name: "store-not-listable",
  severity: "info",
  reason:
    "A web server cannot be asked which signatures it has, so that nothing is said about keys that never signed there.",
  fix: "Run the check where the published folder lies, or verify images of the scope one by one.",
  *check(context) {
    const said = new Set<string>();
    for (const { scope, item, survey } of surveyed(context)) {
      if (survey.unlistable.length === 0 || said.has(scope.label)) continue;
      said.add(scope.label);
      yield {
        place: { path: item.path, part: "value" },
        scope: scope.label,
        what: `the signatures of ${survey.unlistable.join(", ")} cannot be listed`,
      };
    }
  },
};
