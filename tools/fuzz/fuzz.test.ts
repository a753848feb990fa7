import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FuzzFinding, fuzz } from "./fuzzer.ts";
import { findTarget, targetNames } from "./targets.ts";
import { watchFuzz } from "./watcher.ts";

/** Executions a target in the test run, fewer of costly ones: some seconds each. `npm run fuzz` does a million. */
const EXECUTIONS = 20_000;

describe("no parser crashes, hangs or loses its limits on mutated input", () => {
  for (const name of targetNames) {
    test(name, async () => {
      const executions = EXECUTIONS / (findTarget(name).cost ?? 1);
      const report = await watchFuzz(name, executions, 20261121);
      assert.ok(report.executions >= executions);
      assert.ok(report.blocks > 30, "the coverage probe saw the parser at work");
    });
  }
});

test("the fuzzer finds a planted crash behind a condition that only coverage leads to", async () => {
  const planted = {
    name: "planted",
    seeds: [new TextEncoder().encode("hello")],
    words: [],
    run: (bytes: Uint8Array) => {
      if (bytes[0] === 0x80 && bytes.length > 5) throw new TypeError("planted");
    },
  };
  await assert.rejects(fuzz(planted, { executions: 200_000, seed: 1 }), FuzzFinding);
});
