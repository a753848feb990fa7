import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { type TempDir, makeTempDir, run } from "@signet/testkit";
import { signetEnvironment, signetScript } from "./signet-process.ts";
import { version } from "./version.ts";

/** Makes a process believe that it is an old Node. */
const oldNode = [
  "--import",
  `data:text/javascript,${encodeURIComponent(
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.19.0' } });" +
      "Object.defineProperty(process, 'version', { value: 'v20.19.0' });",
  )}`,
];

/** A published package: no sources, a bundle that says that it ran. */
function publish(folder: TempDir): string {
  mkdirSync(folder.join("bin"));
  mkdirSync(folder.join("dist"));
  writeFileSync(folder.join("package.json"), '{"type":"module"}');
  copyFileSync(signetScript, folder.join("bin/signet.js"));
  writeFileSync(
    folder.join("dist/signet.js"),
    "export async function main() { console.log('bundle', ...process.argv.slice(2)); }\n",
  );
  return folder.join("bin/signet.js");
}

test("an old Node starts the one that the checkout brings, and ends with its exit status", async () => {
  const [good, bad] = await Promise.all([
    run(process.execPath, [...oldNode, signetScript, "--version"], { env: signetEnvironment() }),
    run(process.execPath, [...oldNode, signetScript, "verify"], { env: signetEnvironment() }),
  ]);
  assert.deepEqual([good.status, good.stdout, good.stderr], [0, `signet ${version}\n`, ""]);
  assert.equal(bad.status, 64);
});

test("a checkout whose own Node is too old says so instead of starting it for ever", async () => {
  const env = signetEnvironment({ SIGNET_STARTED_AGAIN: "1" });
  const old = await run(process.execPath, [...oldNode, signetScript, "--version"], { env });
  assert.equal(old.status, 2);
  assert.match(old.stderr, /hint: run `npm ci` in the checkout/);
});

test("a published package runs its bundle, and says which Node it needs", async () => {
  using folder = makeTempDir();
  const script = publish(folder);
  const [current, old] = await Promise.all([
    run(process.execPath, [script, "a", "b"], { env: signetEnvironment() }),
    run(process.execPath, [...oldNode, script, "a"], { env: signetEnvironment() }),
  ]);
  assert.deepEqual([current.status, current.stdout], [0, "bundle a b\n"]);
  assert.deepEqual([old.status, old.stdout], [2, ""]);
  assert.equal(old.stderr, "error: Signet needs Node.js 24 or newer; this is v20.19.0\nhint: install Node.js 24\n");
});
