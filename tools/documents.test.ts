import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { errorTable, lints } from "@signet/core";
import type { ErrorRow } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { checkDocumentLinks } from "./document-links.ts";
import { checkErrorsDocument, checkErrorsPage, writeErrorsPage } from "./errors-doc.ts";
import { hasPassed } from "./gate.ts";
import { checkLintsDocument, checkLintsPage, writeLintsPage } from "./lints-doc.ts";
import type { LintExamples, LintRow } from "./lints-doc.ts";

const root = join(import.meta.dirname, "..");
const table: Readonly<Record<string, ErrorRow>> = {
  "a-broken": { kind: "format", meaning: "A is broken | bent.", remedy: "Mend it." },
  "b-lost": { kind: "store", meaning: "B is lost.", remedy: "Find it." },
};

test("docs/errors.md says what the table of error codes says, no more and no less", () => {
  assert.deepEqual(checkErrorsDocument(root).problems, []);
  assert.equal(checkErrorsDocument(root).count, Object.keys(errorTable).length);
});

test("a page written from a table passes, however its cells are padded", () => {
  const page = writeErrorsPage(table);
  assert.deepEqual(checkErrorsPage(page, table).problems, []);
  assert.deepEqual(checkErrorsPage(page.replaceAll(" | ", "   |  "), table).problems, []);
});

test("a code missing from the page, a stale row, a changed text and a wrong order are found", () => {
  const page = writeErrorsPage(table);
  const lines = page.split("\n");
  const without = lines.filter((line) => !line.includes("b-lost")).join("\n");
  assert.deepEqual(checkErrorsPage(without, table).problems, ["docs/errors.md: b-lost is missing"]);
  const { "a-broken": first, "b-lost": second } = table as Readonly<Record<"a-broken" | "b-lost", ErrorRow>>;
  assert.deepEqual(checkErrorsPage(page, { "a-broken": first }).problems, [
    "docs/errors.md: `b-lost` is not in the table of errors",
  ]);
  assert.deepEqual(checkErrorsPage(page.replace("Mend it.", "Drop it."), table).problems, [
    "docs/errors.md: a-broken reads differently",
  ]);
  assert.match(checkErrorsPage(page, { "b-lost": second, "a-broken": first }).problems[0]!, /not sorted/);
});

const lintRows: readonly LintRow[] = [
  { name: "a-bent", severity: "error", reason: "A is bent.", fix: "Mend it." },
  { name: "b-lost", severity: "info", reason: "B is lost.", fix: "Find it.", isFixable: true },
];
const examples: LintExamples = {
  fires: { policy: "{}", registriesD: "docker:" },
  quiet: { policy: "[]", registriesD: undefined },
};

test("docs/lints.md says what the table of lints and its vectors say, no more and no less", () => {
  assert.deepEqual(checkLintsDocument(root).problems, []);
  assert.equal(checkLintsDocument(root).count, lints.length);
});

test("a lint missing from its page, a stale one, and a changed reason, severity or example are found", () => {
  const page = writeLintsPage(lintRows, () => examples);
  const problemsOf = (text: string, rows = lintRows): readonly string[] => {
    return checkLintsPage(text, rows, () => examples).problems;
  };
  assert.deepEqual(problemsOf(page), []);
  assert.deepEqual(problemsOf(page.slice(0, page.indexOf("## b-lost"))), ["docs/lints.md: b-lost is missing"]);
  assert.deepEqual(problemsOf(page, lintRows.slice(0, 1)), [
    "docs/lints.md: the head reads differently",
    "docs/lints.md: b-lost is no lint",
  ]);
  assert.deepEqual(problemsOf(page.replace("A is bent.", "A is round.")), ["docs/lints.md: a-bent reads differently"]);
  assert.deepEqual(problemsOf(page.replace("**info**", "**error**")), ["docs/lints.md: b-lost reads differently"]);
  assert.deepEqual(problemsOf(page.replace("docker:", "dock:")), ["docs/lints.md: a-bent reads differently"]);
});

test("links to files and headings that exist pass; broken ones are named; code and other hosts are left alone", () => {
  using dir = makeTempDir();
  mkdirSync(dir.join("docs"));
  writeFileSync(dir.join("docs", "page.md"), "# The Page: its `parts`\n\n## Part\n\n## Part\n");
  const write = (text: string): readonly string[] => {
    writeFileSync(dir.join("README.md"), text);
    return checkDocumentLinks(dir.path).problems;
  };
  const good = "[a](docs/page.md) [b](docs/page.md#the-page-its-parts) [c](./docs/page.md#part-1) [d](#top)\n# Top\n";
  assert.deepEqual(write(good), []);
  assert.deepEqual(write("[x](https://example.com/none) `[y](none.md)`\n```\n[z](none.md)\n```\n[a](docs)\n"), []);
  assert.deepEqual(write("[a](docs/none.md)"), ["README.md: docs/none.md does not exist"]);
  assert.deepEqual(write("[a](docs/page.md#other)"), ["README.md: docs/page.md has no heading #other"]);
  assert.deepEqual(write("[a](#other)"), ["README.md: README.md has no heading #other"]);
});

test("pages without any link do not pass as checked", () => {
  using dir = makeTempDir();
  assert.equal(hasPassed(checkDocumentLinks(dir.path)), false);
});
