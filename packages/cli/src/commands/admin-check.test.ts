import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { join } from "node:path";
import { buildTestImage, httpPushTarget, makeTempDir, pushTestImage } from "@signet/testkit";
import { runSignet, signetEnvironment, signetScript } from "../signet-process.ts";

const account = { user: "admin", password: "only-for-this-test" };

/** Runs a server on this data while `work` goes on. */
async function serve(data: string, work: (url: string) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, [signetScript, "serve", "--data", data, "--listen", "127.0.0.1:0"], {
    env: signetEnvironment({ SIGNET_ADMIN_PASSWORD: account.password }),
    stdio: ["ignore", "pipe", "ignore"],
  });
  try {
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    await work(/http:\/\/\S+/.exec(line)![0]);
  } finally {
    child.kill("SIGTERM");
    if (child.exitCode === null) await once(child, "exit");
  }
}

test("a check of a server's data finds what is broken, repairs what can be, and a push brings the rest", async (t) => {
  const dir = makeTempDir("signet-admin-check-");
  t.after(() => dir.dispose());
  const data = dir.join("data");
  const image = await buildTestImage({ layers: 2 });
  const admin = (command: string, ...more: string[]) => runSignet(["admin", command, "--data", data, ...more]);
  await serve(data, async (url) => {
    await pushTestImage(httpPushTarget(url, account), "team/app:1", image);
    // Beside the running server.
    const whole = await admin("check", "--content");
    assert.deepEqual([whole.status, whole.stdout], [0, "nothing is wrong\n"], whole.stderr);
  });
  const folder = readdirSync(join(data, "blobs/blobs")).find(
    (one) => readdirSync(join(data, "blobs/blobs", one)).length > 0,
  )!;
  const [place = ""] = readdirSync(join(data, "blobs/blobs", folder));
  writeFileSync(join(data, "blobs/blobs", folder, place), "x");
  const broken = await admin("check");
  assert.equal(broken.status, 1);
  assert.match(
    broken.stdout,
    new RegExp(`^blob-bytes-wrong sha256:[0-9a-f]{64}: 1 bytes at ${place} instead of \\d+\n1 thing is wrong\n$`),
  );
  const repaired = await admin("check", "--repair");
  assert.match(repaired.stdout, /the next push brings it again/);
  const { findings } = JSON.parse((await admin("check", "--output", "json")).stdout) as {
    findings: { fault: string }[];
  };
  assert.deepEqual(
    findings.map((finding) => finding.fault),
    ["unit-missing"],
  );
  await serve(data, async (url) => {
    await pushTestImage(httpPushTarget(url, account), "team/app:1", image);
  });
  assert.equal((await admin("check", "--content")).status, 0);
  const collected = await admin("collect");
  assert.deepEqual(
    [collected.status, collected.stdout],
    [0, "0 manifests, 0 signatures, 0 blobs of 0 bytes removed\n"],
    collected.stderr,
  );
  const audit = await runSignet(["admin", "audit", "verify", "--data", data]);
  assert.equal(audit.status, 0, audit.stdout);
});

test("a check of nothing says so, and makes nothing", async (t) => {
  const dir = makeTempDir("signet-admin-check-");
  t.after(() => dir.dispose());
  const { status, stderr } = await runSignet(["admin", "check", "--data", dir.join("nowhere")]);
  assert.equal(status, 2);
  assert.match(stderr, /there is no database/);
  assert.deepEqual(readdirSync(dir.path), []);
});
