import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

test("the tour of npm start shows what it promises, and ends well", () => {
  const tour = fileURLToPath(new URL("./tour.ts", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--conditions=@signet/source", tour], {
    encoding: "utf8",
    timeout: 120_000,
  });
  assert.equal(status, 0, stdout + stderr);
  assert.doesNotMatch(stdout, /\(!\)/);
  assert.equal(stdout.match(/^accepted {2}/gm)?.length, 3);
  assert.equal(stdout.match(/^rejected {2}/gm)?.length, 4);
  assert.match(stdout, /is for digest sha256:[0-9a-f]{64}, which does not match/);
  assert.match(stdout, /not accepted: matchRepoDigestOrExact/);
  assert.match(stdout, /not among the trusted keys/);
  assert.match(stdout, /ML-DSA-87\+Ed448/);
});
