/** `--identity`: what signatures must be for, in short words. */
import { type NewIdentity, formatReference, parseReference, FormatError } from "@signet/core";
import type { TextOption } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";

export const identityOption: TextOption = {
  kind: "text",
  name: "identity",
  value: "RULE",
  summary:
    "What signatures must be for: exact, repo, repo-digest-or-exact (default), remap=PREFIX=SIGNEDPREFIX, reference=REF or repository=REPO",
  completion: "nothing",
};

/** The short words, and those of policy.json. */
const plainRules: Readonly<Record<string, NewIdentity>> = {
  exact: { type: "matchExact" },
  matchExact: { type: "matchExact" },
  repo: { type: "matchRepository" },
  matchRepository: { type: "matchRepository" },
  "repo-digest-or-exact": { type: "matchRepoDigestOrExact" },
  matchRepoDigestOrExact: { type: "matchRepoDigestOrExact" },
};

/** @throws UsageError `command-line-malformed` */
export function readIdentity(text: string, command: string): NewIdentity {
  const plain = Object.hasOwn(plainRules, text) ? plainRules[text] : undefined;
  if (plain !== undefined) return plain;
  const [rule, first = "", second, ...more] = text.split("=");
  const wrong = (problem: string, hint?: string): Error =>
    usage(`--identity ${JSON.stringify(text)}: ${problem}`, command, hint);
  if (rule === "remap") {
    if (first === "" || second === undefined || second === "" || more.length > 0) {
      throw wrong("two prefixes are needed", "write remap=mirror.example.com/team=registry.example.com/team");
    }
    for (const prefix of [first, second]) requireFullPrefix(prefix, wrong);
    return { type: "remapIdentity", prefix: first, signedPrefix: second };
  }
  const value = text.slice(text.indexOf("=") + 1);
  if ((rule === "reference" || rule === "repository") && text.includes("=")) {
    requireFullName(value, rule, wrong);
    return rule === "reference"
      ? { type: "exactReference", dockerReference: value }
      : { type: "exactRepository", dockerRepository: value };
  }
  throw wrong("not a rule", identityOption.summary.replace(/^.*?: /, "one of "));
}

/** A short prefix parses, and then matches no image: names are compared in full. */
function requireFullPrefix(prefix: string, wrong: (problem: string, hint?: string) => Error): void {
  const host = prefix.split("/", 1)[0]!;
  if (/[.:]/.test(host) || host === "localhost") return;
  throw wrong(`the prefix ${JSON.stringify(prefix)} has no host`, `write it in full, such as docker.io/${prefix}`);
}

function requireFullName(name: string, rule: string, wrong: (problem: string, hint?: string) => Error): void {
  try {
    const reference = parseReference(name);
    if (rule === "repository" || reference.tag !== undefined || reference.digest !== undefined) return;
  } catch (error) {
    if (error instanceof FormatError) throw wrong(error.message, error.hint);
    throw error;
  }
  throw wrong(
    "the reference has neither tag nor digest",
    `add one, or write repository=${formatReference(parseReference(name))}`,
  );
}
