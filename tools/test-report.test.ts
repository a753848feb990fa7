import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { makeTempDir, run } from "@signet/testkit";
import type { RunResult } from "@signet/testkit";
import { join } from "node:path";

/** What `npm test FILE…` prints for files with these contents, with and without CI=true. */
async function runTests(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  using dir = makeTempDir();
  const paths = Object.entries(files).map(([name, text]) => {
    writeFileSync(dir.join(name), text);
    return dir.join(name);
  });
  const tests = paths.filter((path) => path.endsWith(".test.mjs"));
  const program = join(import.meta.dirname, "test.ts");
  return await run(process.execPath, ["--conditions=@signet/source", program, "--no-install", ...tests], { env });
}

const lastLine = (result: RunResult): string | undefined => result.stdout.trimEnd().split("\n").at(-1);
const begin = 'import { test } from "node:test";\n';

test("the last line has the totals, alone, and the exit status is 0 when all passed", async () => {
  const result = await runTests({
    "a.test.mjs": `${begin}test("one", () => {}); test("two", () => {});`,
    "b.test.mjs": `${begin}test("three", () => {});`,
  });
  assert.equal(lastLine(result), "3 passed, 0 failed, 0 skipped");
  assert.match(result.stdout, /ok {3}.*a\.test\.mjs: 2 passed/);
  assert.equal(result.status, 0);
});

test("a failure is shown with its reason and what the file printed", async () => {
  const result = await runTests({
    "a.test.mjs": `${begin}console.log("a clue"); test("good", () => {}); test("bad", () => { throw new Error("because"); });`,
  });
  assert.equal(lastLine(result), "1 passed, 1 failed, 0 skipped");
  assert.match(result.stdout, /failed: bad\n +Error: because/);
  assert.match(result.stdout, /a clue/);
  assert.equal(result.status, 1);
});

test("a skipped test is loud, and a failure of the run with CI=true", async () => {
  const files = { "a.test.mjs": `${begin}test("good", () => {}); test("tool", (t) => t.skip("no skopeo"));` };
  const result = await runTests(files);
  assert.equal(lastLine(result), "1 passed, 0 failed, 1 skipped");
  assert.match(result.stdout, /skipped: tool — no skopeo/);
  assert.equal(result.status, 0);
  assert.equal((await runTests(files, { CI: "true" })).status, 1);
});

test("the last line has the form that .ci/run counts, with and without skipped tests", async () => {
  const form = /grep -E '(.* passed, .* failed, .* skipped\$)'/.exec(
    readFileSync(join(import.meta.dirname, "../.ci/run"), "utf8"),
  )?.[1];
  assert.ok(form !== undefined);
  const good = `${begin}test("good", () => {});`;
  for (const more of ["", 'test("tool", (t) => t.skip("no skopeo"));'])
    assert.match(lastLine(await runTests({ "a.test.mjs": `${good} ${more}` })) ?? "", new RegExp(form));
});

test("a file without tests, one that does not parse and one that dies are failures", async () => {
  const result = await runTests({
    "empty.test.mjs": "",
    "broken.test.mjs": "this is no program",
    "dead.test.mjs": `${begin}test("good", () => {}); setTimeout(() => process.kill(process.pid, "SIGKILL"), 100);`,
  });
  assert.match(lastLine(result) ?? "", /^\d passed, 3 failed, 0 skipped$/);
  assert.match(result.stdout, /it holds no tests/);
  assert.match(result.stdout, /SyntaxError/);
  assert.equal(result.status, 1);
});

test("tests that a file takes from a suite elsewhere count for the file", async () => {
  const result = await runTests({
    "suite.mjs": `${begin}export const suite = () => { test("one", () => {}); test("two", () => {}); };`,
    "a.test.mjs": 'import { suite } from "./suite.mjs"; suite();',
  });
  assert.match(result.stdout, /ok {3}.*a\.test\.mjs: 2 passed/);
  assert.equal(lastLine(result), "2 passed, 0 failed, 0 skipped");
});
