import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { join } from "node:path";
import { buildTestImage, httpPushTarget, makeTempDir, pushTestImage } from "@signet/testkit";
import { serveData, testAdmin } from "../server/serve-data.testing.ts";
import { runSignet } from "../signet-process.ts";

test("a check of a server's data finds what is broken, repairs what can be, and a push brings the rest", async (t) => {
  const dir = makeTempDir("signet-admin-check-");
  t.after(() => dir.dispose());
  const data = dir.join("data");
  const image = await buildTestImage({ layers: 2 });
  const admin = (command: string, ...more: string[]) => runSignet(["admin", command, "--data", data, ...more]);
  await serveData(data, async (url) => {
    await pushTestImage(httpPushTarget(url, testAdmin), "team/app:1", image);
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
  await serveData(data, async (url) => {
    await pushTestImage(httpPushTarget(url, testAdmin), "team/app:1", image);
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

test("a check finds rows of a manifest that are not what its bytes say, and writes them anew", async (t) => {
  const dir = makeTempDir("signet-admin-check-");
  t.after(() => dir.dispose());
  const data = dir.join("data");
  const image = await buildTestImage({ layers: 2 });
  const admin = (command: string, ...more: string[]) => runSignet(["admin", command, "--data", data, ...more]);
  await serveData(data, async (url) => {
    await pushTestImage(httpPushTarget(url, testAdmin), "team/app:1", image);
  });
  const other = `sha256:${"0".repeat(64)}`;
  for (const [change, message] of [
    [
      "delete from manifest_blob where blob_digest = (select max(blob_digest) from manifest_blob)",
      /it names the blob sha256:[0-9a-f]{64}, and no row says so/,
    ],
    [
      `insert into manifest_blob select digest, '${other}' from manifest`,
      new RegExp(`a row says that it names the blob ${other}`),
    ],
    [
      `insert into manifest_child select digest, '${other}', 0 from manifest`,
      new RegExp(`a row says that it names the manifest ${other}`),
    ],
    [`update manifest set subject_digest = '${other}'`, /the column subject_digest is not what its bytes say/],
  ] as const) {
    using database = new DatabaseSync(join(data, "registry.db"));
    database.exec(change);
    const broken = await admin("check");
    assert.equal(broken.status, 1, change);
    assert.match(broken.stdout, /^manifest-links-wrong sha256:/);
    assert.match(broken.stdout, message);
    const repaired = await admin("check", "--repair");
    assert.match(repaired.stdout, /its rows were written anew from its bytes/);
    const whole = await admin("check");
    assert.deepEqual([whole.status, whole.stdout], [0, "nothing is wrong\n"], change);
  }
  const collected = await admin("collect");
  assert.match(collected.stdout, /^0 manifests, 0 signatures, 0 blobs of 0 bytes removed/);
});

test("a check of nothing says so, and makes nothing", async (t) => {
  const dir = makeTempDir("signet-admin-check-");
  t.after(() => dir.dispose());
  const { status, stderr } = await runSignet(["admin", "check", "--data", dir.join("nowhere")]);
  assert.equal(status, 2);
  assert.match(stderr, /there is no database/);
  assert.deepEqual(readdirSync(dir.path), []);
});
