import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { runSignet } from "../signet-process.ts";

const vectors = join(import.meta.dirname, "../../../../vectors");
const configMaps = join(vectors, "openshift/verification-config-maps");
const releaseKey = join(vectors, "redhat/keys/RPM-GPG-KEY-redhat-release.rhel9");

const trust = (...args: readonly string[]): ReturnType<typeof runSignet> => runSignet(["release", "trust", ...args]);

describe("release trust", () => {
  test("shows Red Hat's built-in keys and stores, the same as a genuine ConfigMap's", async () => {
    const [builtIn, file] = await Promise.all([
      trust("-o", "json"),
      trust("--trust-configmap", join(configMaps, "ocp.yaml"), "-o", "json"),
    ]);
    assert.deepEqual([builtIn.status, file.status], [0, 0]);
    const read = ({ stdout }: { stdout: string }): unknown => ({ ...(JSON.parse(stdout) as object), source: "" });
    assert.deepEqual(read(builtIn), read(file));
    assert.match(
      (await trust()).stdout,
      /567E347AD0044ADE55BA8A5F199E2F91FD431D51 {2}Red Hat, Inc\. \(release key 2\)/,
    );
  });

  test("takes keys and stores of one's own instead, each file a keyring", async () => {
    const { status, stdout } = await trust(
      "--key",
      releaseKey,
      "--key",
      releaseKey,
      "--store",
      "file:///srv/signatures",
    );
    assert.equal(status, 0);
    assert.equal(stdout.match(/keyring /g)?.length, 2);
    assert.match(stdout, /store file:\/\/\/srv\/signatures/);
    assert.doesNotMatch(stdout, /mirror\.openshift\.com/);
  });

  test("refuses what cannot be trust", async () => {
    const both = await trust("--trust", "redhat", "--key", releaseKey);
    assert.equal(both.status, 64);
    assert.equal((await trust("--store", "nonsense")).status, 64);
    const noStores = await trust("--trust-configmap", join(configMaps, "requires-verifiers.yaml"));
    assert.equal(noStores.status, 2);
    assert.match(noStores.stderr, /names no signature store to read from/);
    assert.equal((await trust("--key", join(configMaps, "ocp.yaml"))).status, 2);
    assert.equal((await trust("--key", "/nonexistent")).status, 2);
  });
});
