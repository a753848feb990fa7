import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { makeTempDir } from "@signet/testkit";
import type { TempDir } from "@signet/testkit";
import { hasPassed } from "./gate.ts";
import { checkImportLaw } from "./import-law.ts";

/** A small repository that keeps the law, with `changes` written over it. */
function plant(dir: TempDir, changes: Readonly<Record<string, string>>): readonly string[] {
  const files: Readonly<Record<string, string>> = {
    "package.json": '{"devDependencies": {"fast-check": "1"}}',
    "packages/core/package.json": '{"name": "@signet/core"}',
    "packages/core/src/index.ts": 'export { parse } from "./formats/manifest/parse.ts";\n',
    "packages/core/src/formats/manifest/parse.ts":
      'import { hex } from "../../bytes/hex.ts";\nexport const parse = hex;\n',
    "packages/core/src/bytes/hex.ts": "export const hex = 1; // not Buffer.from\n",
    "packages/core/src/bytes/hex.test.ts": 'import { readFileSync } from "node:fs";\nimport fc from "fast-check";\n',
    "packages/core/src/policy/policy.ts": "export const policy = 1;\n",
    "packages/core/src/verify/judge.ts": 'import { policy } from "../policy/policy.ts";\n',
    "packages/core/src/node-engine.ts": 'import { createHash } from "node:crypto";\nimport "./bytes/hex.ts";\n',
    "packages/images/package.json": '{"dependencies": {"@signet/core": "1", "undici": "1"}}',
    "packages/images/src/index.ts": 'import { parse } from "@signet/core";\nimport { fetch } from "undici";\n',
    "packages/images/src/read.test.ts":
      'import { makeTempDir } from "@signet/testkit";\nimport "./stores.testing.ts";\n',
    "packages/images/src/stores.testing.ts": 'import { makeTempDir } from "@signet/testkit";\n',
    "packages/cli/package.json": '{"dependencies": {"@signet/images": "1"}}',
    "packages/cli/src/main.ts": 'const { open } = await import("@signet/images");\n',
    ...changes,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(dir.join(path)), { recursive: true });
    writeFileSync(dir.join(path), text);
  }
  const devDependencies = JSON.stringify({ devDependencies: { "fast-check": "1", "@signet/testkit": "1" } });
  writeFileSync(dir.join("package.json"), devDependencies);
  return checkImportLaw(dir.path).problems;
}

test("a repository that keeps the law has no problems, and every file was read", () => {
  using dir = makeTempDir();
  assert.deepEqual(plant(dir, {}), []);
  assert.equal(checkImportLaw(dir.path).count, 11);
});

test("a repository without files does not pass", () => {
  using dir = makeTempDir();
  writeFileSync(dir.join("package.json"), "{}");
  assert.equal(hasPassed(checkImportLaw(dir.path)), false);
});

const violations: readonly (readonly [why: string, path: string, text: string, expected: RegExp])[] = [
  ["core imports images", "core/src/policy/policy.ts", 'import "@signet/images";', /core may import no other package/],
  ["images imports the command line", "images/src/index.ts", 'import "@signet/cli";', /images may import core$/],
  [
    "a published file imports testkit",
    "cli/src/main.ts",
    'import "@signet/testkit";',
    /cli may import server, openshift, images, core$/,
  ],
  [
    "a published file imports what only tests share",
    "images/src/index.ts",
    'import "./stores.testing.ts";',
    /imports \.\/stores\.testing\.ts, which is for tests/,
  ],
  [
    "a lazy import of a forbidden package",
    "core/src/bytes/hex.ts",
    'await import("@signet/cli");',
    /imports @signet\/cli/,
  ],
  [
    "bytes import formats",
    "core/src/bytes/hex.ts",
    'import "../formats/manifest/parse.ts";',
    /bytes may not know formats/,
  ],
  ["policy imports verify", "core/src/policy/policy.ts", 'import "../verify/judge.ts";', /policy may not know verify/],
  ["verify imports sign", "core/src/verify/judge.ts", 'import "../sign/sign.ts";', /verify may not know sign/],
  ["a folder without a layer", "core/src/extra/new.ts", 'import "../bytes/hex.ts";', /extra has no layer/],
  [
    "a type from above",
    "core/src/bytes/hex.ts",
    'import type { Policy } from "../policy/policy.ts";',
    /may not know policy/,
  ],
  ["a layer imports the entry", "core/src/bytes/hex.ts", 'import "../index.ts";', /bytes may not know index.ts/],
  [
    "core imports a module of Node",
    "core/src/bytes/hex.ts",
    'import { inflate } from "node:zlib";',
    /imports node:zlib/,
  ],
  ["core uses Buffer", "core/src/bytes/hex.ts", 'export const hex = Buffer.from("");', /uses Buffer\./],
  ["core reads the environment", "core/src/bytes/hex.ts", "export const hex = process.env;", /uses process\./],
  ["core asks for the time", "core/src/bytes/hex.ts", "export const hex = Date.now();", /uses Date\.now/],
  ["core asks for today", "core/src/bytes/hex.ts", "export const hex = new Date();", /uses new Date\(\)/],
  [
    "a relative import leaves its package",
    "images/src/index.ts",
    'import "../../core/src/index.ts";',
    /outside its package/,
  ],
  ["an undeclared dependency", "images/src/index.ts", 'import { parse } from "yaml";', /imports yaml, which/],
  ["an undeclared workspace package", "cli/src/main.ts", 'import { parse } from "@signet/core";', /does not declare/],
  [
    "a development dependency outside tests",
    "core/src/bytes/hex.ts",
    'import fc from "fast-check";',
    /imports fast-check/,
  ],
  [
    "a barrel below the entry",
    "core/src/formats/index.ts",
    'export { parse } from "./manifest/parse.ts";',
    /re-exports/,
  ],
  ["a package that the law does not know", "new/src/index.ts", "export const a = 1;", /has no place in the law/],
];

for (const [why, path, text, expected] of violations) {
  test(`a planted violation is found: ${why}`, () => {
    using dir = makeTempDir();
    const problems = plant(dir, { [`packages/${path}`]: `${text}\n` });
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0]!, expected);
    assert.ok(problems[0]!.startsWith(`packages/${path}: `));
  });
}
