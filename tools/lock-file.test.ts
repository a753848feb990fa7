import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { makeTempDir } from "@signet/testkit";
import { checkLockFile } from "./lock-file.ts";

const integrity = "sha512-x";

/** What the gate says of a repository whose manifest and lock file are these. */
function problemsOf(manifest: object, packages: object): readonly string[] {
  using dir = makeTempDir();
  writeFileSync(dir.join("package.json"), JSON.stringify(manifest));
  writeFileSync(dir.join("package-lock.json"), JSON.stringify({ lockfileVersion: 3, packages }));
  return checkLockFile(dir.path).problems;
}

const manifest = { devDependencies: { tool: "1.2.3" } };
const nested = "node_modules/tool/node_modules/@tool/linux";
const good = {
  "": manifest,
  "node_modules/tool": {
    integrity,
    dependencies: { part: "^2.0.0" },
    optionalDependencies: { "@tool/linux": "1.2.3" },
  },
  "node_modules/part": { integrity },
  [nested]: { integrity },
};

test("a lock file that is complete and equal to the manifest passes", () => {
  assert.deepEqual(problemsOf(manifest, good), []);
});

test("a build for another platform that is missing is found, since npm ci would refuse the file", () => {
  const { [nested]: _, ...without } = good;
  assert.deepEqual(problemsOf(manifest, without), [
    "package-lock.json: node_modules/tool needs @tool/linux, which is not in the file",
  ]);
});

test("a program that runs at installation, a package without integrity and an inexact version are found", () => {
  const scripted = { ...good, "node_modules/part": { integrity, hasInstallScript: true } };
  assert.match(problemsOf(manifest, scripted).join(), /part runs a program/);
  assert.match(problemsOf(manifest, { ...good, "node_modules/part": {} }).join(), /part has no integrity/);
  const inexact = { devDependencies: { tool: "^1.2.3" } };
  assert.match(problemsOf(inexact, { ...good, "": inexact }).join(), /tool \^1\.2\.3 is not an exact version/);
});

test("a manifest that the lock file does not know is found", () => {
  const newer = { devDependencies: { tool: "1.2.4" } };
  assert.deepEqual(problemsOf(newer, good), ["package.json: tool differs from package-lock.json"]);
});
