import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeTempDir, run, toolPackages } from "@signet/testkit";
import { holdServicesBack } from "./install-tools.ts";

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

test("services are held back while packages are installed, and a policy that was there is left alone", () => {
  using dir = makeTempDir();
  const policy = dir.join("policy-rc.d");
  assert.equal(holdServicesBack(policy, () => spawnSync(policy, ["postgresql", "start"])).status, 101);
  const fail = (): never => {
    throw new Error("no such package");
  };
  assert.throws(() => holdServicesBack(policy, fail), /no such package/);
  assert.equal(existsSync(policy), false);
  writeFileSync(policy, "theirs");
  holdServicesBack(policy, () => undefined);
  assert.equal(readFileSync(policy, "utf8"), "theirs");
});
