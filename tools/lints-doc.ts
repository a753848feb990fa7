/**
 * docs/lints.md is written from the table of lints and their vectors: `node --conditions=@signet/source tools/lints-doc.ts`. The gate compares both ways.
 */

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lints } from "@signet/core";
import type { Lint } from "@signet/core";
import { readText } from "./gate.ts";
import type { GateReport } from "./gate.ts";

const page = "docs/lints.md";
const vectors = "vectors/policy-lints";

/** What a row of the table says, without the code that looks. */
export type LintRow = Pick<Lint, "name" | "severity" | "reason" | "fix" | "isFixable">;

/** The two examples of a lint. */
export interface LintExamples {
  readonly fires: LintExample;
  readonly quiet: LintExample;
}

export interface LintExample {
  readonly policy: string;
  /** The one file of registries.d. */
  readonly registriesD: string | undefined;
}

/** The whole page. */
export function writeLintsPage(table: readonly LintRow[], examplesOf: (name: string) => LintExamples): string {
  return [
    "# Lints of policies",
    "",
    "What `signet policy check` looks for in a policy that parses. A finding of severity `error` makes it exit with 1. `--severity NAME=error|warning|info|off` and `--disable NAME`",
    "choose otherwise. Lints with *--fix* correct what they find where that cannot accept images that are not accepted now.",
    "",
    "Written by `tools/lints-doc.ts` from the table in `packages/core/src/policy/lint` and the cases in `vectors/policy-lints`, which say where the keys of the examples come from;",
    "`npm run check` fails when they differ.",
    "",
    "| lint | severity | |",
    "| --- | --- | --- |",
    ...table.map(({ name, severity, isFixable }) => {
      return `| [\`${name}\`](#${name}) | ${severity} | ${isFixable === true ? "--fix" : ""} |`;
    }),
    "",
    ...table.flatMap((row) => writeSection(row, examplesOf(row.name))),
  ].join("\n");
}

function writeSection({ name, severity, reason, fix, isFixable }: LintRow, examples: LintExamples): readonly string[] {
  return [
    `## ${name}`,
    "",
    `**${severity}**${isFixable === true ? ", *--fix*" : ""} · ${reason}`,
    "",
    `Fix: ${fix}`,
    "",
    "Fires:",
    "",
    ...writeExample(examples.fires),
    "Does not:",
    "",
    ...writeExample(examples.quiet),
  ];
}

function writeExample({ policy, registriesD }: LintExample): readonly string[] {
  const yaml = registriesD === undefined ? [] : ["```yaml", registriesD.trimEnd(), "```", ""];
  return ["```json", policy.trimEnd(), "```", "", ...yaml];
}

/** Compares the page with what would be written: a lint that either lacks, or that reads differently, is a problem. */
export function checkLintsPage(
  text: string,
  table: readonly LintRow[],
  examplesOf: (name: string) => LintExamples,
): GateReport {
  const wanted = sectionsOf(writeLintsPage(table, examplesOf));
  const found = sectionsOf(text);
  const problems: string[] = [];
  for (const [name, section] of wanted) {
    const own = found.get(name);
    if (own === undefined) problems.push(`${page}: ${name} is missing`);
    else if (own !== section) problems.push(`${page}: ${name} reads differently`);
  }
  for (const name of found.keys()) if (!wanted.has(name)) problems.push(`${page}: ${name} is no lint`);
  return { count: table.length, what: "lints", problems };
}

/** By heading; what stands before the first one by the page's title. */
function sectionsOf(text: string): ReadonlyMap<string, string> {
  const sections = text.split(/^## /m);
  return new Map(
    sections.map((section, index) => [index === 0 ? "the head" : section.split("\n")[0]!, section.trimEnd()]),
  );
}

export function checkLintsDocument(root: string): GateReport {
  return checkLintsPage(readText(root, page), lints, (name) => readExamples(root, name));
}

function readExamples(root: string, name: string): LintExamples {
  return { fires: readExample(root, name, "fires"), quiet: readExample(root, name, "quiet") };
}

function readExample(root: string, name: string, which: "fires" | "quiet"): LintExample {
  const yaml = `${vectors}/${name}/${which}.yaml`;
  return {
    policy: readText(root, `${vectors}/${name}/${which}.json`),
    registriesD: existsSync(join(root, yaml)) ? readText(root, yaml) : undefined,
  };
}

if (import.meta.main) {
  const root = join(import.meta.dirname, "..");
  writeFileSync(
    join(root, page),
    writeLintsPage(lints, (name) => readExamples(root, name)),
  );
  console.log(`${page}: ${lints.length} lints`);
}
