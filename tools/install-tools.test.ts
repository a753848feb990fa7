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
  const packages = [...new Set(Object.values(toolPackages))].sort().join(" ");
  assert.equal(
    result.stdout.split("\n")[0],
    `tools: tests that need these are skipped; install them with: apt-get install ${packages}`,
  );
  assert.match(result.stdout, /\n3 passed, 0 failed, 0 skipped\n$/);
  assert.equal(result.status, 0);
});
