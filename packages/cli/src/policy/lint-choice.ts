import { type LintSeverity, lints } from "@signet/core";
import { findNearest } from "../command-line/nearest.ts";
import { usage } from "../command-line/parse.ts";

const levels: readonly (LintSeverity | "off")[] = ["error", "warning", "info", "off"];

/**
 * The severities that the command line chooses.
 * @param disabled names of lints
 * @param chosen `NAME=LEVEL`
 * @throws UsageError `command-line-malformed` for a lint or level that there is not, and for a lint with two different levels
 */
export function readSeverities(
  disabled: readonly string[],
  chosen: readonly string[],
  command: string,
): ReadonlyMap<string, LintSeverity | "off"> {
  const severities = new Map<string, LintSeverity | "off">();
  const set = (name: string, level: LintSeverity | "off"): void => {
    checkName(name, command);
    const earlier = severities.get(name);
    if (earlier !== undefined && earlier !== level)
      throw usage(`${name} is to be ${earlier} and ${level} at the same time`, command);
    severities.set(name, level);
  };
  for (const name of disabled) set(name, "off");
  for (const text of chosen) {
    const equals = text.indexOf("=");
    const level = levels.find((candidate) => candidate === text.slice(equals + 1));
    if (equals < 0 || level === undefined)
      throw usage(
        `--severity takes NAME=LEVEL, not ${JSON.stringify(text)}`,
        command,
        `levels are ${levels.join(", ")}`,
      );
    set(text.slice(0, equals), level);
  }
  return severities;
}

function checkName(name: string, command: string): void {
  const names = lints.map((lint) => lint.name);
  if (names.includes(name)) return;
  const nearest = findNearest(name, names);
  throw usage(
    `there is no lint ${JSON.stringify(name)}`,
    command,
    nearest === undefined ? "see `signet policy check --list`" : `did you mean ${nearest}?`,
  );
}
