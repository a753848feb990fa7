import assert from "node:assert/strict";
import { test } from "node:test";
import { keepLayout } from "./kept-layout.ts";

test("white space stays where the change is not", () => {
  const source = "a:   # one\n    b:  1   # two\n\n\n    c: 2\n";
  const rewritten = "a:\n  # one\n  b: 1 # two\n\n  c: 2\n";
  for (const [edited, expected] of [
    [rewritten, source],
    [rewritten.replace("b: 1", "b: 7"), source.replace("1 ", "7 ")],
    [rewritten.replace("\n  c: 2\n", ""), "a:   # one\n    b:  1   # two\n"],
    [`${rewritten}d: 3\n`, `${source}d: 3\n`],
    [rewritten.replace("  b: 1 # two\n\n", ""), "a:   # one\n    c: 2\n"],
    [rewritten.replace("  b: 1 # two\n", ""), "a:   # one\n\n\n    c: 2\n"],
    ["", ""],
  ] as const) {
    assert.equal(keepLayout(source, rewritten, edited)[0], expected, edited);
  }
});

test("a comment that a first member pushes to the next line stays on its own", () => {
  assert.deepEqual(keepLayout("a:  # x", "a: # x\n", "a:\n  # x\n  b: 1\n"), ["a:  # x\n  b: 1", "a:  # x\n  b: 1\n"]);
});

test("nothing is put back when the library wrote other characters", () => {
  assert.deepEqual(keepLayout("a: 'x'\n", 'a: "x"\n', 'a: "y"\n'), []);
});
