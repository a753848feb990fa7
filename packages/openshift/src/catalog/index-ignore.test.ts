import assert from "node:assert/strict";
import { test } from "node:test";
import { IndexIgnore } from "./index-ignore.ts";

function ignores(files: Readonly<Record<string, string>>, path: string): boolean {
  const ignore = new IndexIgnore();
  for (const [name, text] of Object.entries(files)) ignore.add(name, text);
  return ignore.isIgnored(path);
}

test("patterns mean what gitignore(5) says", () => {
  for (const [pattern, path, expected] of [
    ["broken.json", "broken.json", true],
    ["broken.json", "a/b/broken.json", true],
    ["broken.json", "a/notbroken.json", false],
    ["/broken.json", "a/broken.json", false],
    ["a/*.json", "a/x.json", true],
    ["a/*.json", "a/b/x.json", false],
    ["a/*.json", "b/a/x.json", false],
    ["**/x.json", "a/b/x.json", true],
    ["**/x.json", "x.json", true],
    ["a/**/x", "a/x", true],
    ["a/**/x", "a/b/c/x", true],
    ["a/**", "a/b/c", true],
    ["a/**", "a", false],
    ["docs/", "docs/x/y.json", true],
    ["docs/", "docs", false],
    ["x?.json", "x1.json", true],
    ["x?.json", "x/.json", false],
    ["*", "a/b", true],
    ["# x", "# x", false],
    ["\\# x", "# x", true],
    ["a.json ", "a.json", true],
    ["a.json", "aXjson", false],
    ["*.json\n!keep.json", "a/keep.json", false],
    ["*.json\n!keep.json\nkeep.json", "keep.json", true],
  ] as const)
    assert.equal(ignores({ ".indexignore": pattern }, path), expected, `${pattern} ${path}`);
});

test("a file of an inner folder speaks of that folder, and after the outer ones", () => {
  const files = { ".indexignore": "x.json", "a/.indexignore": "!x.json\n/y.json" };
  assert.equal(ignores(files, "x.json"), true);
  assert.equal(ignores(files, "a/x.json"), false);
  assert.equal(ignores(files, "a/y.json"), true);
  assert.equal(ignores(files, "y.json"), false);
});

test("hostile patterns take no time, and what is not understood is refused", () => {
  assert.equal(ignores({ ".indexignore": `${"*a".repeat(100)}b` }, "a".repeat(4000)), false);
  assert.equal(ignores({ ".indexignore": `${"**/".repeat(300)}b` }, "a/".repeat(100)), false);
  const many = `${"*a".repeat(500)}b\n`.repeat(60);
  assert.throws(() => ignores({ ".indexignore": many }, "a".repeat(4000)), /take too long/);
  assert.throws(() => ignores({ ".indexignore": "a".repeat(1025) }, "a"), /more than 1024 characters/);
  assert.throws(() => ignores({ ".indexignore": "x\n*\n![c]atalog.json" }, "catalog.json"), /:3: .*brackets/);
});
