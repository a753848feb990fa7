import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { builtTools, makeTempDir } from "@signet/testkit";
import { readText } from "./gate.ts";
import { listConformanceTests, listTests } from "./test-files.ts";

const root = join(import.meta.dirname, "..");

test("every test is of one run: what takes a tool that is built apart, of the run that builds it", () => {
  using dir = makeTempDir();
  const files = [
    "examples/tour.test.ts",
    "packages/a/src/b.conformance.test.ts",
    "packages/a/src/b.test.ts",
    "packages/a/src/conformance.test.ts",
    "packages/a/src/b.ts",
    "packages/a/src/b.testing.ts",
  ];
  for (const file of files) {
    mkdirSync(dirname(dir.join(file)), { recursive: true });
    writeFileSync(dir.join(file), "");
  }
  assert.deepEqual(listTests(dir.path), [files[0], files[2], files[3]]);
  assert.deepEqual(listConformanceTests(dir.path), [files[1]]);
});

test("no test of `npm test` asks for a tool that it does not build, and each such tool has a test in the other run", () => {
  const apart = Object.entries(builtTools).filter(([, tool]) => tool.builtBy !== "npm test");
  const asks = (file: string, name: string): boolean =>
    new RegExp(`(?:requireTool|testPageOf)\\(\\w+, "${name}"\\)|makeClientBench\\([^)]*"${name}"`).test(
      readText(root, file),
    );
  assert.notEqual(apart.length, 0);
  const own = "packages/testkit/src/tools.test.ts"; // Its subject is that the tool is missing.
  for (const [name] of apart) {
    assert.deepEqual(
      listTests(root).filter((file) => file !== own && asks(file, name)),
      [],
    );
    assert.notDeepEqual(
      listConformanceTests(root).filter((file) => asks(file, name)),
      [],
    );
  }
});
