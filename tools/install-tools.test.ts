import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { makeTempDir, run, toolPackages } from "@signet/testkit";

test("where nothing may be installed, the run says what to install and goes on", async () => {
  using empty = makeTempDir();
  const program = join(import.meta.dirname, "test.ts");
  const args = [
    "--conditions=@signet/source",
    program,
    join(import.meta.dirname, "../packages/testkit/src/test-image.test.ts"),
  ];
  const result = await run(process.execPath, args, { env: { PATH: empty.path } });
  const line = result.stdout.split("\n")[0] ?? "";
  const advice = "tools: tests that need these are skipped; install them with: apt-get install ";
  assert.ok(line.startsWith(advice), line);
  const named = line.slice(advice.length).split(" ");
  // PostgreSQL is found off the PATH, too.
  const packages = [...new Set(Object.values(toolPackages))].filter(
    (name) => name !== "postgresql" || named.includes(name),
  );
  assert.deepEqual(named, packages.sort());
  assert.match(result.stdout, /\n3 passed, 0 failed, 0 skipped\n$/);
  assert.equal(result.status, 0);
});
