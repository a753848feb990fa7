/** docs/errors.md is written from the table of error codes: `node --conditions=@signet/source tools/errors-doc.ts`. The gate compares both ways. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorTable } from "@signet/core";
import type { ErrorRow } from "@signet/core";
import { readText } from "./gate.ts";
import type { GateReport } from "./gate.ts";

const page = "docs/errors.md";

const className: Readonly<Record<ErrorRow["kind"], string>> = {
  format: "FormatError",
  policy: "PolicyError",
  store: "StoreError",
  usage: "UsageError",
  internal: "InternalError",
  undetermined: "UndeterminedError",
  rejected: "RejectedError",
};

/** The whole page. */
export function writeErrorsPage(table: Readonly<Record<string, ErrorRow>>): string {
  const rows = Object.entries(table).map(([code, row]) => `| ${cellsOf(code, row).join(" | ")} |`);
  return [
    "# Errors",
    "",
    "Whatever prevents an answer is thrown as an error with one of these codes; the command line prints its message, then a hint, and exits with 2 (with",
    "64 for a `UsageError` about its arguments). A signature or an image that is *refused* is no error: it is a verdict with reasons, and exits with 1.",
    "",
    "Written by `tools/errors-doc.ts` from the table in `packages/core/src/errors.ts`; `npm run check` fails when the two differ.",
    "",
    "| code | class | what happened | what to do |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

/** Compares the page's rows with the table: a row that either lacks, or that reads differently, is a problem. */
export function checkErrorsPage(text: string, table: Readonly<Record<string, ErrorRow>>): GateReport {
  const documented = new Map(
    [...text.matchAll(/^\|\s*(`[^`]+`)\s*\|.*\|$/gm)].map(([row, code = ""]) => [code, normalise(row)]),
  );
  const problems: string[] = [];
  for (const [code, row] of Object.entries(table)) {
    const [cell = "", ...rest] = cellsOf(code, row);
    const found = documented.get(cell);
    if (found === undefined) problems.push(`${page}: ${code} is missing`);
    else if (found !== normalise(`| ${[cell, ...rest].join(" | ")} |`))
      problems.push(`${page}: ${code} reads differently`);
    documented.delete(cell);
  }
  for (const cell of documented.keys()) problems.push(`${page}: ${cell} is not in the table of errors`);
  const codes = Object.keys(table);
  if (codes.join() !== [...codes].sort().join())
    problems.push("packages/core/src/errors.ts: the table is not sorted by code");
  return { count: codes.length, what: "error codes", problems };
}

export function checkErrorsDocument(root: string): GateReport {
  return checkErrorsPage(readText(root, page), errorTable);
}

function cellsOf(code: string, row: ErrorRow): readonly string[] {
  return [`\`${code}\``, className[row.kind], row.meaning, row.remedy].map((cell) => cell.replaceAll("|", "\\|"));
}

function normalise(row: string): string {
  return row.replace(/\s+/g, " ").trim();
}

if (import.meta.main) {
  const root = join(import.meta.dirname, "..");
  writeFileSync(join(root, page), writeErrorsPage(errorTable));
  console.log(`${page}: ${Object.keys(errorTable).length} error codes`);
}
