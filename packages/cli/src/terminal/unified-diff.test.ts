import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { makeSeededRandom, makeTempDir, requireTool } from "@signet/testkit";
import { unifiedDiff } from "./unified-diff.ts";

test("equal texts have no diff, and one changed line is shown with its neighbours", () => {
  assert.deepEqual(unifiedDiff("a\nb\n", "a\nb\n", "x", "y"), []);
  assert.deepEqual(unifiedDiff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n", "old", "new"), [
    "--- old",
    "+++ new",
    "@@ -2,7 +2,7 @@",
    " 2",
    " 3",
    " 4",
    "-5",
    "+five",
    " 6",
    " 7",
    " 8",
  ]);
});

test("a missing line end at the end of a file is said", () => {
  assert.deepEqual(unifiedDiff("a", "a\n", "x", "y"), [
    "--- x",
    "+++ y",
    "@@ -1,1 +1,1 @@",
    "-a",
    "\\ No newline at end of file",
    "+a",
  ]);
});

test("patch makes the second of 60 random pairs of texts out of the first", (t) => {
  const patch = requireTool(t, "patch");
  if (patch === undefined) return;
  using dir = makeTempDir();
  const random = makeSeededRandom(20_261_126);
  for (let round = 0; round < 60; round++) {
    const lines = Array.from({ length: random.integer(30) }, () => `line ${random.integer(8)}\n`);
    const changed = lines.flatMap((line) => {
      const kind = random.integer(9);
      return kind === 0 ? [] : kind === 1 ? [line, "added\n"] : kind === 2 ? ["changed\n"] : [line];
    });
    const [before, after] = [lines.join(""), changed.join("")];
    const diff = unifiedDiff(before, after, "file", "file");
    if (diff.length === 0) {
      assert.equal(before, after);
      continue;
    }
    writeFileSync(dir.join("file"), before);
    const run: SpawnSyncReturns<Buffer> = spawnSync(patch, ["--quiet", "--force", dir.join("file")], {
      input: `${diff.join("\n")}\n`,
    });
    assert.equal(run.status, 0, `${String(run.stdout)}${String(run.stderr)}\n${diff.join("\n")}`);
    assert.equal(after === "" ? "" : readFileSync(dir.join("file"), "utf8"), after);
  }
});
