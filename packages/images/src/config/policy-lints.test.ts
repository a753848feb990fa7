/** Every lint of the table on its two vectors: one policy in which it finds something, and the nearest one in which it does not. */
import assert from "node:assert/strict";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { type LintFinding, lintPolicy, lints, parsePolicy } from "@signet/core";
import { type TempDir, makeTempDir } from "@signet/testkit";
import { gatherPolicyFacts } from "./policy-facts.ts";
import { loadRegistriesD } from "./registries-d.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/policy-lints");

interface Tree {
  readonly now: string;
  readonly writable: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

const tree = JSON.parse(readFileSync(join(vectors, "tree.json"), "utf8")) as Tree;

/** The root folder that the policies of the vectors see. */
function makeTree(): TempDir {
  const root = makeTempDir("signet-lints-");
  for (const [path, source] of Object.entries(tree.files)) {
    mkdirSync(dirname(root.join(path)), { recursive: true });
    cpSync(join(vectors, source), root.join(path));
    chmodSync(root.join(path), tree.writable.includes(path) ? 0o666 : 0o644);
  }
  return root;
}

async function lint(root: TempDir, name: string, which: "fires" | "quiet"): Promise<readonly LintFinding[]> {
  const file = join(vectors, name, `${which}.json`);
  const directory = root.join("registries.d", name, which);
  mkdirSync(directory, { recursive: true });
  const yaml = join(vectors, name, `${which}.yaml`);
  if (existsSync(yaml)) cpSync(yaml, join(directory, "case.yaml"));
  const host = { env: {}, uid: 0, home: "/root", root: root.path };
  const registriesD = await loadRegistriesD({ host, directory });
  const policy = parsePolicy(readFileSync(file), file);
  const now = Date.parse(tree.now);
  const facts = await gatherPolicyFacts(policy, { now, registriesD, root: root.path, surveysStores: true });
  return lintPolicy(policy, facts);
}

test("every lint fires on its vector that it should fire on, at a place in a file, and not on the other", async (t) => {
  using root = makeTree();
  for (const { name, severity, reason } of lints) {
    await t.test(name, async () => {
      const fired = (await lint(root, name, "fires")).filter((finding) => finding.lint === name);
      assert.ok(fired.length > 0, "it did not fire");
      for (const finding of fired) {
        assert.equal(finding.severity, severity);
        assert.equal(finding.why, reason);
        for (const text of [finding.file, finding.scope, finding.what, finding.fix]) assert.notEqual(text, "");
        assert.ok(statSync(finding.file).isFile());
        const line = readFileSync(finding.file, "utf8").split("\n")[finding.line - 1];
        assert.ok(line !== undefined && line.trim() !== "", `${finding.file}:${finding.line} is no line of it`);
        assert.ok(finding.column >= 1 && finding.column <= line.length);
      }
      const quiet = (await lint(root, name, "quiet")).filter((finding) => finding.lint === name);
      assert.deepEqual(quiet, []);
    });
  }
});

test("there are vectors for every lint and for nothing else", () => {
  const folders = readdirSync(vectors, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const names = folders.map(({ name }) => name).filter((name) => name !== "keys");
  assert.deepEqual(names.toSorted(), lints.map(({ name }) => name).toSorted());
});

test("the table of lints is sorted, and its texts are sentences", () => {
  const names = lints.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)].toSorted());
  for (const { name, reason, fix } of lints) {
    assert.match(name, /^[a-z0-9]+(?:-[a-z0-9]+)+$/);
    for (const text of [reason, fix]) assert.match(text, /^[^\n]+[.`}\]]$/, `${name}: ${text}`);
  }
});

test("a lint that corrects something is one of those that say so", async () => {
  using root = makeTree();
  for (const { name, isFixable } of lints) {
    const fired = (await lint(root, name, "fires")).filter((finding) => finding.lint === name);
    // In a root folder nobody knows where a relative path starts, so it is not made absolute there.
    if (name === "key-path-relative") continue;
    assert.equal(
      fired.some(({ edits }) => edits.length > 0),
      isFixable === true,
      name,
    );
  }
});
