import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { type TempDir, buildTestImage, httpPushTarget, makeTempDir, pushTestImage } from "@signet/testkit";
import { serveData, testAdmin } from "../server/serve-data.testing.ts";
import { type SignetRun, runSignet } from "../signet-process.ts";

const basic = `Basic ${Buffer.from(`${testAdmin.user}:${testAdmin.password}`).toString("base64")}`;

interface Bench {
  readonly dir: TempDir;
  readonly data: string;
  readonly admin: (...words: readonly string[]) => Promise<SignetRun>;
  /** Runs a command of `admin` that must succeed. */
  readonly succeed: (...words: readonly string[]) => Promise<string>;
}

function setUp(): Bench {
  const dir = makeTempDir("signet-admin-trust-");
  const data = dir.join("data");
  const admin = (...words: readonly string[]): Promise<SignetRun> => runSignet(["admin", ...words, "--data", data]);
  return {
    dir,
    data,
    admin,
    succeed: async (...words) => {
      const { status, stdout, stderr } = await admin(...words);
      assert.equal(status, 0, stderr);
      return stdout;
    },
  };
}

test("a policy refuses what is not signed by the server's keys, and a key that is withdrawn counts no more", async (t) => {
  const bench = setUp();
  t.after(() => bench.dir.dispose());
  const { dir, data, succeed } = bench;
  const image = await buildTestImage();
  const made = await runSignet(
    [
      "keys",
      "generate",
      "R <r@example.com>",
      "--algorithm",
      "ed25519",
      "--output-prefix",
      dir.join("r"),
      "--no-passphrase",
    ],
    { cwd: dir.path },
  );
  assert.equal(made.status, 0, made.stderr);
  await serveData(data, async (url) => {
    const dockerRepository = `${new URL(url).host}/prod/app`;
    const signedIdentity = { type: "exactRepository", dockerRepository };
    const requirement = { type: "signedBy", keyType: "GPGKeys", keyPath: "server:keyring", signedIdentity };
    writeFileSync(dir.join("signed.json"), JSON.stringify([requirement]));
    await pushTestImage(httpPushTarget(url, testAdmin), "prod/app:1", image);
    // Whoever may sign reads what is hidden; so the reader is somebody else.
    await succeed("repository", "set", "prod/app", "--visibility", "public");
    const pull = async (): Promise<number> => (await fetch(`${url}/v2/prod/app/manifests/1`)).status;
    assert.equal(await pull(), 200);
    await succeed("pull-policy", "set", "enforce", "--requirements", dir.join("signed.json"), "--namespace", "prod");
    assert.match(await succeed("pull-policy", "show"), /^namespace prod {2}enforce {2}\[\{"type":"signedBy"/);
    assert.equal(await pull(), 403);
    const added = await succeed("key", "add", dir.join("r.pub"), "--reason", "the release team");
    const fingerprint = /^([0-9A-F]{40}) is trusted\n$/.exec(added)![1]!;
    writeFileSync(dir.join("auth.json"), JSON.stringify({ auths: { [new URL(url).host]: { auth: basic.slice(6) } } }));
    const name = `docker://${new URL(url).host}/prod/app:1`;
    const signed = await runSignet([
      "sign",
      "--tls-verify=false",
      "--authfile",
      dir.join("auth.json"),
      "--key",
      dir.join("r.private"),
      name,
    ]);
    assert.equal(signed.status, 0, signed.stderr);
    assert.equal(await pull(), 200);
    const withdrawn = await succeed("key", "withdraw", fingerprint, "--reason", "lost");
    assert.equal(withdrawn, `${fingerprint} is withdrawn; 1 of its signatures are gone\n`);
    assert.equal(await pull(), 403);
    assert.match(
      await succeed("key", "list"),
      new RegExp(`^${fingerprint} {2}withdrawn {2}R <r@example.com> {2}lost\n$`),
    );
    const again = await bench.admin("key", "add", dir.join("r.pub"));
    assert.equal(again.status, 2);
    assert.match(again.stderr, /withdrawn/);
    await succeed("pull-policy", "set", "off", "--namespace", "prod");
    assert.equal(await pull(), 200);
  });
  assert.match(await succeed("audit", "verify"), /none altered/);
});

test("quotas and immutable tags hold for pushes, and say why", async (t) => {
  const bench = setUp();
  t.after(() => bench.dir.dispose());
  const { data, succeed, admin } = bench;
  const [first, second] = await Promise.all([
    buildTestImage({ seed: 1 }),
    buildTestImage({ seed: 2, layerBytes: 5_000 }),
  ]);
  await serveData(data, async (url) => {
    const target = httpPushTarget(url, testAdmin);
    await pushTestImage(target, "team/app:v1", first);
    await succeed("repository", "set", "team/app", "--immutable-tag", "v*", "--quota-tags", "2");
    await assert.rejects(pushTestImage(target, "team/app:v1", second), /409 .*v\*/);
    await pushTestImage(target, "team/app:latest", second);
    await assert.rejects(pushTestImage(target, "team/app:other", second), /403 .*2 tags/);
    const gone = await fetch(`${url}/v2/team/app/manifests/v1`, {
      method: "DELETE",
      headers: { authorization: basic },
    });
    assert.equal(gone.status, 409);
    await succeed("repository", "set", "team/app", "--mutable-tags", "--quota-tags", "0", "--quota-bytes", "7000");
    assert.match(await succeed("repository", "list"), /^team\/app {2}private {2}at most 7000 bytes\n$/);
    await pushTestImage(target, "team/app:v1", second);
    const third = await buildTestImage({ seed: 3, layerBytes: 5_000 });
    await assert.rejects(pushTestImage(target, "team/app:v2", third), /403 .*7000 bytes/);
    const kept = await fetch(`${url}/v2/team/app/manifests/v1`, { headers: { authorization: basic } });
    assert.equal(kept.headers.get("docker-content-digest"), second.digest);
  });
  for (const [words, status] of [
    [["repository", "set", "team/none", "--visibility", "public"], 64],
    [["repository", "set", "team/app"], 64],
    [["repository", "set", "team/app", "--immutable-tag", "v/1"], 64],
    [["key", "withdraw", "ABCD"], 64],
    [["signature", "withdraw", "sha256:x"], 64],
  ] as const) {
    const run = await admin(...words);
    assert.equal(run.status, status, `${words.join(" ")}: ${run.stderr}`);
  }
});
