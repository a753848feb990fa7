import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { test } from "node:test";
import { makeGpgHome } from "./gpg-home.ts";
import { makeFakeClock } from "./fake-clock.ts";
import { makeSeededRandom } from "./seeded-random.ts";
import { makeTempDir } from "./temp-dir.ts";
import { findTool, requireTool, run, runChecked } from "./tools.ts";

test("run returns what a program printed and its exit status", async () => {
  const script = "process.stdin.pipe(process.stdout); console.error('to stderr'); process.exitCode = 3";
  const result = await run(process.execPath, ["-e", script], { input: "to stdout" });
  assert.deepEqual([result.status, result.stdout, result.stderr], [3, "to stdout", "to stderr\n"]);
  await assert.rejects(runChecked(process.execPath, ["-e", script]), /ended with 3\nto stderr/);
});

test("run passes on nothing of the caller's environment but a fixed few", async () => {
  process.env["SIGNET_TESTKIT_LEAK"] = "leaked";
  const script = "console.log(process.env.SIGNET_TESTKIT_LEAK, process.env.HOME, process.env.EXTRA)";
  const result = await run(process.execPath, ["-e", script], { env: { EXTRA: "extra" } });
  delete process.env["SIGNET_TESTKIT_LEAK"];
  assert.equal(result.stdout, "undefined /nonexistent extra\n");
});

test("run kills what outlives its time and says so", async () => {
  const endless = run(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { timeoutMs: 300 });
  await assert.rejects(endless, /did not end within 300 ms/);
});

test("a missing tool skips its test loudly, and fails it with CI=true", () => {
  const before = process.env["CI"];
  const path = process.env["PATH"];
  const cache = process.env["XDG_CACHE_HOME"];
  const skipped: string[] = [];
  const context = { skip: (message?: string) => skipped.push(message ?? "") } as unknown as Parameters<
    typeof requireTool
  >[0];
  try {
    using empty = makeTempDir();
    process.env["PATH"] = empty.path;
    delete process.env["CI"];
    assert.equal(requireTool(context, "skopeo"), undefined);
    assert.deepEqual(skipped, ["skopeo is missing; install it with: apt-get install skopeo"]);
    process.env["CI"] = "true";
    assert.throws(() => requireTool(context, "skopeo"), /skopeo is missing/);
    assert.equal(skipped.length, 1);
    process.env["XDG_CACHE_HOME"] = empty.path;
    assert.throws(() => requireTool(context, "oras"), /oras is missing; `npm test` builds it/);
    const advice = /cosign is missing; `npm run conformance -- --clients` builds it/;
    assert.throws(() => requireTool(context, "cosign"), advice);
  } finally {
    if (cache === undefined) delete process.env["XDG_CACHE_HOME"];
    else process.env["XDG_CACHE_HOME"] = cache;
    process.env["PATH"] = path;
    if (before === undefined) delete process.env["CI"];
    else process.env["CI"] = before;
  }
});

test("a directory on the PATH with the tool's name is not the tool", () => {
  using dir = makeTempDir();
  const path = process.env["PATH"];
  process.env["PATH"] = dir.join("..");
  try {
    assert.equal(findTool(dir.path.split("/").at(-1)!), undefined);
  } finally {
    process.env["PATH"] = path;
  }
});

test("a temporary directory is private and gone after use", () => {
  let path: string;
  {
    using dir = makeTempDir();
    path = dir.path;
    assert.equal(statSync(path).mode & 0o777, 0o700);
  }
  assert.equal(existsSync(path), false);
});

test("a fake clock moves only when told to", async () => {
  const clock = makeFakeClock("2026-01-01T00:00:00Z");
  const start = clock.now();
  clock.advance(500);
  await clock.sleep(1000);
  assert.equal(clock.now() - start, 1500);
  assert.deepEqual(clock.slept, [1000]);
});

test("seeded random numbers repeat, and differ by seed", () => {
  assert.deepEqual(makeSeededRandom(7).bytes(64), makeSeededRandom(7).bytes(64));
  assert.notDeepEqual(makeSeededRandom(7).bytes(64), makeSeededRandom(8).bytes(64));
  const random = makeSeededRandom(1);
  const picked = new Set(Array.from({ length: 200 }, () => random.pick(["a", "b", "c"])));
  assert.equal(picked.size, 3);
});

test("a gpg home makes keys with subkeys, signs, exports and revokes, and leaves nothing behind", async (t) => {
  if (requireTool(t, "gpg") === undefined) return;
  const home = await makeGpgHome();
  try {
    assert.equal(statSync(home.path).mode & 0o777, 0o700);
    const key = await home.generateKey({
      passphrase: "open sesame",
      certifyOnly: true,
      signingSubkeys: ["nistp256"],
    });
    assert.match(key.fingerprint, /^[0-9A-F]{40}$/);
    assert.equal(key.subkeyFingerprints.length, 1);
    const signature = await home.sign(key, "content");
    const verified = await home.gpg(["--status-fd", "1", "--decrypt"], { input: signature });
    assert.match(verified.stdout, new RegExp(`VALIDSIG ${key.subkeyFingerprints[0]!} `));
    const armored = Buffer.from(await home.exportSecret(key, { armor: true })).toString();
    assert.match(armored, /^-----BEGIN PGP PRIVATE KEY BLOCK-----/);
    assert.ok((await home.exportPublic(key)).length > 200);
    await home.revokeKey(key);
    const listing = await home.gpg(["--with-colons", "--list-keys", key.fingerprint]);
    assert.match(listing.stdout, /^pub:r:/m);
  } finally {
    await home.dispose();
  }
  assert.equal(existsSync(home.path), false);
});
