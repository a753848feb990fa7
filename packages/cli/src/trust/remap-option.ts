/** `--remap-from`: rules for the names under which mirrors hold what was signed for another. */
import type { NewRule } from "@signet/core";
import { type RemapRule, currentHost, deriveRemapRules, loadRegistriesConf } from "@signet/images";
import type { Invocation, TextOption } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";
import { identityOption } from "./identity-option.ts";
import type { TrustTarget } from "./scope-argument.ts";

export const remapFromOption: TextOption = {
  kind: "text",
  name: "remap-from",
  value: "FILE",
  summary:
    "Accept signatures for the names that this registries.conf gives its mirrors; a scope that is mirrored is set on every mirror as well",
  completion: "file",
};

/** The rules that `--remap-from` asks for, the target's own first; undefined without the option. */
export interface ChosenRemaps {
  readonly rules: readonly RemapRule[];
  readonly warnings: readonly string[];
}

/**
 * Derives the rules.
 * @throws UsageError `command-line-malformed`; PolicyError `registries-conf-malformed`, `remap-underivable`; StoreError for a file that cannot be read
 */
export async function readRemaps(
  invocation: Invocation,
  target: TrustTarget,
  rule: NewRule,
  command: string,
): Promise<ChosenRemaps | undefined> {
  const file = invocation.get(remapFromOption);
  if (file === undefined) return undefined;
  const { name } = remapFromOption;
  if (target.kind === "default" || target.transport !== "docker")
    throw usage(`--${name} is for scopes of docker images`, command);
  if (invocation.get(identityOption) !== undefined)
    throw usage(`use --${name} or --${identityOption.name}, not both`, command);
  if (rule.type === "reject" || rule.type === "insecureAcceptAnything")
    throw usage(`--${name} goes with type signedBy and sigstoreSigned`, command);
  if (!/^[^*@/]+(?:\/[^:@]+)?$/.test(target.scope))
    throw usage(`--${name} is for a scope without tag, digest and wildcard`, command, "name a host or repository");
  const conf = await loadRegistriesConf(currentHost(), { file });
  return { rules: deriveRemapRules(conf, target.scope), warnings: conf.warnings };
}

/** The rule with the identity that a scope needs. */
export function remapRule(rule: NewRule, { remap }: RemapRule): NewRule {
  if (!("keys" in rule) || remap === undefined) return rule;
  return { ...rule, identity: { type: "remapIdentity", ...remap } };
}
