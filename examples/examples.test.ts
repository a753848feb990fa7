import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import { buildTestImage, makeTempDir } from "@signet/testkit";

const root = join(import.meta.dirname, "..");
const launcher = join(root, "packages/cli/bin/signet.js");

test("the story of a key rotation turns out as it says", () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=@signet/source", join(root, "examples/key-rotation.ts")],
    { encoding: "utf8", timeout: 120_000 },
  );
  assert.equal(status, 0, stdout + stderr);
  assert.doesNotMatch(stdout, /\(!\)/);
  assert.match(stdout, /2 images: 2 accepted/);
  assert.match(stdout, /would stop/);
});

test("the policy of the example repository is sound and passes its tests", () => {
  const cwd = join(root, "examples/policy-repository");
  const signet = (...args: readonly string[]): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, [launcher, ...args], { cwd, encoding: "utf8", timeout: 60_000 });
  const check = signet("policy", "check", "--root", "node");
  assert.equal(check.status, 0, String(check.stdout) + String(check.stderr));
  const tests = signet("policy", "test", "policy-tests.yaml");
  assert.equal(tests.status, 0, String(tests.stdout) + String(tests.stderr));
  assert.match(String(tests.stdout), /8 cases: 8 passed/);
});

/** Commands of docs/trust.md that need what a reader has and this test has not: a registry that can be reached, a cluster. */
const needsNetwork = [/^signet sign /, /^signet policy explain registry/, /^kubectl /];

test("every command of docs/trust.md does what the page says, from its top to its end", async () => {
  using dir = makeTempDir("signet-trust-page-");
  const bin = dir.join("bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "signet"), `#!/bin/sh\nexec "${process.execPath}" "${launcher}" "$@"\n`, { mode: 0o755 });
  const env = {
    PATH: [bin, dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter),
    HOME: dir.path,
    LANG: "C.UTF-8",
    CONTAINERS_POLICY_JSON: dir.join("policy.json"),
  };
  const run = (line: string): { readonly status: number | null; readonly output: string } => {
    const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", line], {
      cwd: dir.path,
      env,
      encoding: "utf8",
      timeout: 60_000,
    });
    return { status, output: stdout + stderr };
  };
  // What the page takes for granted: other people's keys, a manifest, a node's files, a repository of tests.
  writeFileSync(dir.join("passphrase"), "correct horse\n");
  for (const name of ["partner", "vendor", "team-next"])
    assert.equal(
      run(
        `signet keys generate '${name} <${name}@example.com>' --output-prefix ${name} --algorithm ed25519 --no-passphrase`,
      ).status,
      0,
    );
  writeFileSync(dir.join("manifest.json"), (await buildTestImage()).manifest);
  mkdirSync(dir.join("node/etc/pki/containers"), { recursive: true });
  cpSync(join(root, "examples/policy-repository"), dir.join("repository"), { recursive: true });
  cpSync(dir.join("repository/policy-tests.yaml"), dir.join("policy-tests.yaml"));
  cpSync(dir.join("repository/test-keys"), dir.join("test-keys"), { recursive: true });
  const blocks = [...readFileSync(join(root, "docs/trust.md"), "utf8").matchAll(/^```console\n(.*?)^```/gms)];
  const lines = blocks.flatMap(([, block]) =>
    block!
      .split("\n")
      .filter((line) => line.startsWith("$ "))
      .map((line) => line.slice(2)),
  );
  assert.ok(lines.length > 20);
  let ran = 0;
  for (const line of lines) {
    if (needsNetwork.some((pattern) => pattern.test(line))) continue;
    if (line.includes("--root node") && ran > 0)
      cpSync(dir.join("team.pub"), dir.join("node/etc/pki/containers/team.pub"));
    if (line.startsWith("signet policy test"))
      cpSync(dir.join("repository/node"), dir.join("node"), { recursive: true });
    const { status, output } = run(line);
    // The unsigned manifest is refused, which is what explaining is for; a sandbox that was only tried has no rule to remove.
    const expected = line.startsWith("signet policy explain --manifest") ? 1 : 0;
    if (line.startsWith("signet trust remove"))
      assert.equal(run("signet trust set registry.example.com/team/sandbox -t reject").status, 0);
    const again = line.startsWith("signet trust remove") ? run(line) : { status, output };
    assert.equal(again.status, expected, `${line}\n${again.output}`);
    ran++;
  }
  assert.ok(ran > 18, `${ran} commands ran`);
});
