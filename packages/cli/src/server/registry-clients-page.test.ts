/** docs/registry-clients.md, in every run: oras and regctl. cosign and notation are in registry-clients-page.conformance.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { testPageOf, typedLines } from "./registry-clients-page.testing.ts";

test("every line about oras in docs/registry-clients.md does what the page says", (t) => testPageOf(t, "oras"));

test("every line about regctl in docs/registry-clients.md does what the page says", (t) => testPageOf(t, "regctl"));

test("no line of docs/registry-clients.md stands under another heading, where nothing would run it", () => {
  const headings = [...typedLines].filter(([, lines]) => lines.length > 0).map(([heading]) => heading);
  assert.deepEqual(headings, ["oras", "regctl", "cosign", "notation"]);
});
