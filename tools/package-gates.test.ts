import assert from "node:assert/strict";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { makeTempDir } from "@signet/testkit";
import type { TempDir } from "@signet/testkit";
import { hasPassed } from "./gate.ts";
import { checkCommandLine, checkPackages } from "./package-gates.ts";

const root = join(import.meta.dirname, "..");

function manifestOf(name: string, exports: object): string {
  return JSON.stringify({
    name,
    version: "1.0.0",
    type: "module",
    license: "Apache-2.0",
    files: ["dist", "bin"],
    exports,
  });
}

const entry = { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" } };

/** A workspace with the packages that the gates build, in miniature. */
function plant(dir: TempDir, changes: Readonly<Record<string, string>> = {}): string {
  cpSync(join(root, "tsconfig.base.json"), dir.join("tsconfig.base.json"));
  symlinkSync(join(root, "node_modules"), dir.join("node_modules"));
  const buildConfig = JSON.stringify({
    extends: "../../tsconfig.base.json",
    compilerOptions: { rootDir: "src", outDir: "dist", customConditions: [] },
    include: ["src/**/*.ts"],
    exclude: ["src/**/*.test.ts"],
  });
  const files: Readonly<Record<string, string>> = {
    "packages/core/package.json": manifestOf("@signet/core", entry),
    "packages/core/tsconfig.build.json": buildConfig,
    "packages/core/src/index.ts": "export const one: number = 1;\n",
    "packages/core/src/index.test.ts": "export {};\n",
    "packages/images/package.json": manifestOf("@signet/images", entry),
    "packages/images/tsconfig.build.json": buildConfig,
    "packages/images/src/index.ts": "export const two: number = 2;\n",
    "packages/openshift/package.json": manifestOf("@signet/openshift", entry),
    "packages/openshift/tsconfig.build.json": buildConfig,
    "packages/openshift/src/index.ts": "export const three: number = 3;\n",
    "packages/cli/package.json": manifestOf("@signet/cli", {}),
    "packages/cli/bin/signet.js": 'await (await import("../dist/signet.js")).main();\n',
    "packages/cli/src/main.ts":
      'export async function main(): Promise<void> { console.log((await import("./verify.ts")).name); }\n',
    "packages/cli/src/verify.ts": 'export const name: string = "verify";\n',
    ...changes,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(dir.join(path)), { recursive: true });
    writeFileSync(dir.join(path), text);
  }
  return dir.path;
}

test("packages that hold what their exports promise pass", async () => {
  using dir = makeTempDir();
  const report = await checkPackages(plant(dir));
  assert.deepEqual(report.problems, []);
  assert.ok(hasPassed(report));
});

test("an entry without its file, a published test and a package that does not load are found", async () => {
  using dir = makeTempDir();
  const exports = { ...entry, "./more": { types: "./dist/more.d.ts", default: "./dist/more.js" } };
  const path = plant(dir, {
    "packages/core/package.json": manifestOf("@signet/core", exports),
    "packages/images/src/index.ts": 'export const two: number = 2;\nthrow new Error("does not load");\n',
    "packages/images/bin/a.test.js": "",
  });
  const text = (await checkPackages(path)).problems.join("\n");
  assert.match(text, /packages\/core: publint: .*more/);
  assert.match(text, /packages\/core: attw: /);
  assert.match(text, /@signet\/core\/more: .*ERR_MODULE_NOT_FOUND/s);
  assert.match(text, /packages\/images: bin\/a\.test\.js would be published/);
  assert.match(text, /@signet\/images: .*does not load/s);
});

test("a package that does not compile fails its gate", async () => {
  using dir = makeTempDir();
  const path = plant(dir, { "packages/core/src/index.ts": 'export const one: number = "one";\n' });
  await assert.rejects(checkPackages(path), /packages\/core does not compile/);
});

test("the bundled command line is started as it is published; a bundle that does not start is found", async () => {
  using dir = makeTempDir();
  const report = await checkCommandLine(plant(dir));
  assert.deepEqual(report.problems, []);
  assert.equal(report.count, 2, "the entry and the chunk that it loads lazily");
  writeFileSync(
    dir.join("packages/cli/src/main.ts"),
    'export const main = (): void => { throw new Error("no start"); };\n',
  );
  assert.match((await checkCommandLine(dir.path)).problems.join(), /no start/);
});
