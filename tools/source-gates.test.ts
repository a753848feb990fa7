import assert from "node:assert/strict";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { makeTempDir } from "@signet/testkit";
import type { TempDir } from "@signet/testkit";
import { hasPassed } from "./gate.ts";
import { bundleForBrowser } from "./package-gates.ts";
import { checkFormat, checkLint, checkPureTypes, checkTypes, checkUnused } from "./source-gates.ts";

const root = join(import.meta.dirname, "..");

/** A repository with our configuration and tools, and these files. */
function plant(dir: TempDir, files: Readonly<Record<string, string>>): string {
  for (const name of ["tsconfig.base.json", "tsconfig.json", ".oxlintrc.json", ".oxfmtrc.json", "packages/core/pure"])
    cpSync(join(root, name), dir.join(name), { recursive: true });
  cpSync(join(root, "packages/core/tsconfig.pure.json"), dir.join("packages/core/tsconfig.pure.json"));
  symlinkSync(join(root, "node_modules"), dir.join("node_modules"));
  for (const [path, text] of Object.entries({ "package.json": '{\n  "type": "module"\n}\n', ...files })) {
    mkdirSync(dirname(dir.join(path)), { recursive: true });
    writeFileSync(dir.join(path), text);
  }
  return dir.path;
}

const good = "export const answer: number = 42;\n";

test("the format gate passes formatted files and names the others", async () => {
  using dir = makeTempDir();
  assert.deepEqual((await checkFormat(plant(dir, { "packages/core/src/good.ts": good }))).problems, []);
  writeFileSync(dir.join("bad.ts"), "export   const a = 1\n");
  const report = await checkFormat(dir.path);
  assert.deepEqual(report.problems, ["bad.ts: not formatted"]);
  assert.ok(report.count > 1);
});

test("the lint gate knows types: a promise that nobody awaits is found, with its place", async () => {
  using dir = makeTempDir();
  const bad = "async function f(): Promise<void> {}\nexport function g(): void {\n  f();\n}\n";
  const path = plant(dir, { "packages/core/src/bad.ts": bad, "packages/core/src/good.ts": good });
  const report = await checkLint(path);
  assert.equal(report.problems.length, 1);
  assert.match(report.problems[0]!, /bad\.ts:3:3: .*no-floating-promises/);
  writeFileSync(dir.join("packages/core/src/bad.ts"), "export const fine: boolean = true;\n");
  assert.deepEqual((await checkLint(path)).problems, []);
});

test("the lint gate refuses default exports, cycles and, in core, what only Node has", async () => {
  using dir = makeTempDir();
  const path = plant(dir, {
    "packages/core/src/default.ts": "export default 1;\n",
    "packages/core/src/one.ts": 'import { two } from "./two.ts";\nexport const one: number = two;\n',
    "packages/core/src/two.ts": 'import { one } from "./one.ts";\nexport const two: number = one;\n',
    "packages/core/src/node.ts":
      'import { cwd } from "node:process";\nexport const now: number = Date.now() + cwd().length;\n',
  });
  const text = (await checkLint(path)).problems.join("\n");
  for (const rule of ["no-default-export", "no-cycle", "no-restricted-imports", "no-restricted-properties"])
    assert.match(text, new RegExp(rule));
});

test("the type gates find a wrong type, and in core what needs a platform's types", async () => {
  using dir = makeTempDir();
  const path = plant(dir, { "packages/core/src/good.ts": good, "packages/core/src/index.ts": "export {};\n" });
  assert.deepEqual((await checkTypes(path)).problems, []);
  assert.ok(hasPassed(await checkPureTypes(path)));
  writeFileSync(dir.join("packages/core/src/index.ts"), 'export const size: number = Buffer.from("").length;\n');
  assert.ok(hasPassed(await checkTypes(path)));
  assert.match((await checkPureTypes(path)).problems.join(), /index\.ts.*Cannot find name 'Buffer'/);
  writeFileSync(dir.join("packages/core/src/index.ts"), 'export const size: number = "";\n');
  assert.match((await checkTypes(path)).problems.join(), /index\.ts.*not assignable to type 'number'/);
});

test("the gate for unused code finds a file, an export and a dependency that nothing uses", async () => {
  using dir = makeTempDir();
  const path = plant(dir, {
    "package.json": JSON.stringify({ name: "planted", type: "module", dependencies: { openpgp: "6.3.2" } }),
    "knip.json": JSON.stringify({ entry: ["index.ts"], project: ["*.ts"] }),
    "index.ts": 'import { used } from "./module.ts";\nconsole.log(used);\n',
    "module.ts": "export const used: number = 1;\nexport const unused: number = 2;\n",
    "orphan.ts": good,
  });
  const { count, problems } = await checkUnused(path);
  assert.ok(count > 0);
  const expected = [/module\.ts: exports: unused/, /orphan\.ts: files/, /package\.json: dependencies: openpgp/];
  for (const one of expected) assert.match(problems.join("\n"), one);
});

test("the browser gate names the module that reaches for Node", async () => {
  using dir = makeTempDir();
  writeFileSync(dir.join("index.ts"), 'export { read } from "./read.ts";\n');
  writeFileSync(dir.join("read.ts"), 'import { readFileSync } from "node:fs";\nexport const read = readFileSync;\n');
  const report = await bundleForBrowser(dir.join("index.ts"));
  assert.deepEqual(report.problems, [`${dir.join("read.ts")}: imports node:fs`]);
  writeFileSync(dir.join("read.ts"), "export const read = 1;\n");
  assert.ok(hasPassed(await bundleForBrowser(dir.join("index.ts"))));
});
