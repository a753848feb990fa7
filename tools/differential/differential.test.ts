import assert from "node:assert/strict";
import { test } from "node:test";
import { requireTool } from "@signet/testkit";
import { runDifferential } from "./run.ts";

/** Cases in the test run: about a tenth of a second each. `npm run differential` does 2,000. */
const CASES = 80;

test("Signet and skopeo agree on seeded random images, signatures and policies, but for the differences that docs/interop.md names", async (t) => {
  for (const tool of ["skopeo", "gpg", "docker-registry"] as const) if (requireTool(t, tool) === undefined) return;
  const report = await runDifferential({ cases: CASES, seed: 20261121 });
  assert.deepEqual(report.unexplained, []);
  assert.ok(
    report.accepted >= CASES / 10,
    `only ${report.accepted} of ${CASES} cases were accepted: the comparison says little`,
  );
  assert.ok(report.refused >= CASES / 10, `only ${report.refused} of ${CASES} cases were refused`);
});
