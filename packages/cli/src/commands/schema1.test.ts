import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { buildTestSchema1, httpPushTarget, makeTempDir, pushTestSchema1 } from "@signet/testkit";
import { serveData, testAdmin } from "../server/serve-data.testing.ts";
import { runSignet } from "../signet-process.ts";

const on = { SIGNET_PUSH_DOCKER_SCHEMA1: "true" };
const account = `${testAdmin.user}:${testAdmin.password}`;

test("an image of schema 1 is signed, verified, mirrored with its signature, and checked", async (t) => {
  const dir = makeTempDir("signet-schema1-");
  t.after(() => dir.dispose());
  const [data, mirror] = [dir.join("data"), dir.join("mirror")];
  const signet = async (...args: readonly string[]) => {
    const env = { HOME: dir.path, XDG_RUNTIME_DIR: dir.path };
    const run = await runSignet([...args], { cwd: dir.path, env });
    return { ...run, said: `${run.stdout}${run.stderr}` };
  };
  const succeed = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, said } = await signet(...args);
    assert.equal(status, 0, said);
    return stdout;
  };
  const copy = (...args: readonly string[]) => signet("copy", "--insecure-policy", "--tls-verify=false", ...args);
  await succeed(
    "keys",
    "generate",
    "A <a@example.com>",
    "--algorithm",
    "ed25519",
    "--output-prefix",
    "key",
    "--no-passphrase",
  );
  const image = await buildTestSchema1({ layers: 2 });
  const manifest = image.sign();
  const read = async (url: string, path: string): Promise<readonly [string | null, string]> => {
    const authorization = `Basic ${Buffer.from(account).toString("base64")}`;
    const answer = await fetch(`${url}/v2/${path}/manifests/1`, { headers: { authorization } });
    return [answer.headers.get("docker-content-digest"), await answer.text()];
  };
  await serveData(
    data,
    async (url) => {
      const from = `docker://${new URL(url).host}/team/app:1`;
      await pushTestSchema1(httpPushTarget(url, testAdmin), "team/app:1", image, manifest);
      const reach = ["--tls-verify=false", "--creds", account];
      const identity = ["--identity", "registry.example.com/team/app:1"];
      const unsigned = await signet("verify", ...reach, "--key", "key.pub", ...identity, from);
      assert.equal(unsigned.status, 1, unsigned.said);
      await succeed("sign", ...reach, "--key", "key.private", ...identity, from);
      assert.match(await succeed("verify", ...reach, "--key", "key.pub", ...identity, from), /accepted/);
      await serveData(
        mirror,
        async (other) => {
          const to = `docker://${new URL(other).host}/old/app:1`;
          const copied = await copy("--src-creds", account, "--dest-creds", account, from, to);
          assert.equal(copied.status, 0, copied.said);
          assert.deepEqual(await read(other, "old/app"), [image.digest, manifest]);
          assert.match(await succeed("verify", ...reach, "--key", "key.pub", ...identity, to), /accepted/);
        },
        on,
      );
    },
    on,
  );
  for (const folder of [data, mirror])
    assert.equal(await succeed("admin", "check", "--content", "--data", folder), "nothing is wrong\n");

  // Without the key.
  await serveData(data, async (url) => {
    const host = new URL(url).host;
    const got = await copy("--src-creds", account, `docker://${host}/team/app:1`, "dir:pulled");
    assert.equal(got.status, 0, got.said);
    assert.equal(readFileSync(dir.join("pulled/manifest.json"), "utf8"), manifest);
    const refused = await copy("--dest-creds", account, "dir:pulled", `docker://${host}/team/app:2`);
    assert.equal(refused.status, 2, refused.said);
    assert.match(refused.said, /push\.dockerSchema1/);
  });

  using database = new DatabaseSync(`${data}/registry.db`);
  const change = database.prepare("update manifest set bytes = cast(? as blob)");
  for (const damaged of [
    manifest.replace('"tag":"1"', '"tag":"2"'),
    manifest.replace(/"signature":"(.)/, (_, first) => `"signature":"${first === "A" ? "B" : "A"}`),
  ]) {
    change.run(damaged);
    const broken = await signet("admin", "check", "--data", data);
    assert.deepEqual([broken.status, broken.stdout.split(" ", 1)[0]], [1, "manifest-wrong"], broken.said);
  }
  change.run(manifest);
  assert.equal(await succeed("admin", "check", "--data", data), "nothing is wrong\n");
});
