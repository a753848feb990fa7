/** The argument SCOPE. */
import { type ScopeAdvice, UsageError, adviseScope, knownTransports } from "@signet/core";
import type { ArgumentSpec, Invocation } from "../command-line/command.ts";
import { findNearest } from "../command-line/nearest.ts";
import { usage } from "../command-line/parse.ts";
import { readTransport, transportOption } from "./trust-options.ts";

export const scopeArgument: ArgumentSpec = {
  name: "SCOPE",
  summary:
    "host[:port][/path][:tag|@digest], *.domain, an absolute path for dir and oci, or default; '' with --transport",
  mayBeEmpty: true,
  completion: "nothing",
};

/** A place in a policy: a transport's scope, or the default. */
export type TrustTarget =
  | { readonly kind: "scope"; readonly transport: string; readonly scope: string }
  | { readonly kind: "default" };

/**
 * The place that SCOPE names.
 * @param mustMatch true: a scope that no image can match is refused, with the one that can
 * @param force takes transports that are not known
 * @throws UsageError `command-line-malformed`, `scope-unmatchable`
 */
export function readTarget(
  invocation: Invocation,
  command: string,
  { mustMatch, force }: { readonly mustMatch: boolean; readonly force: boolean },
): TrustTarget {
  const [scope] = invocation.arguments as [string];
  const named = readTransport(invocation, command);
  if (scope === "default" && named === undefined) return { kind: "default" };
  if (scope === "" && named === undefined) {
    throw usage("SCOPE must not be empty", command, "with --transport NAME, '' is everything of that transport");
  }
  if (scope === "default") {
    throw usage(
      "default is that of the whole policy",
      command,
      `everything of one transport is --transport ${named} ''`,
    );
  }
  const transport = named ?? "docker";
  if (mustMatch && !force) requireKnownTransport(transport, command);
  if (mustMatch) requireMatchable(transport, scope);
  return { kind: "scope", transport, scope };
}

function requireKnownTransport(transport: string, command: string): void {
  if (knownTransports.includes(transport)) return;
  const nearest = findNearest(transport, knownTransports);
  throw usage(
    `unknown transport ${JSON.stringify(transport)}: no reader of the policy would ask for it`,
    command,
    nearest === undefined
      ? `known are ${knownTransports.join(", ")}; --force takes others`
      : `did you mean ${nearest}?`,
  );
}

function requireMatchable(transport: string, scope: string): void {
  const advice = adviseScope(transport, scope);
  if (advice === undefined) return;
  const { problem, instead } = advice;
  throw new UsageError("scope-unmatchable", `scope ${JSON.stringify(scope)} ${problem}`, {
    ...(instead === undefined ? {} : { hint: hintFor(transport, { ...advice, instead }), details: { instead } }),
  });
}

function hintFor(asked: string, advice: ScopeAdvice & { readonly instead: string }): string {
  const { instead, transport = asked, isWider } = advice;
  const shown = instead === "" ? "''" : instead;
  const isNamed = transport !== asked || instead === "";
  const more = isWider === true ? ", which governs more images" : "";
  return `write ${isNamed ? `--${transportOption.name} ${transport} ` : ""}${shown}${more}`;
}
