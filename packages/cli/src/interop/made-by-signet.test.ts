/** skopeo and podman, rejecting by default, accept what Signet signed. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type TestImage, buildTestImage, writeDirImage } from "@signet/testkit";
import {
  type Bench,
  type BenchKey,
  allAccept,
  allReject,
  assertDone,
  assertRejected,
  bothAccept,
  bothReject,
  hasTools,
  makeBenchIfPossible,
  plainHttp,
  rejectExcept,
  signedBy,
} from "./bench.test.ts";

/** By how the key came to be and where its secret half is. */
const keyNames = ["an RSA-2048 key file", "an Ed25519 key file", "a key of gpg's keyring"] as const;
type KeyName = (typeof keyNames)[number];

void describe("what Signet signed", { concurrency: false }, () => {
  let bench: Bench;
  let image: TestImage;
  let keys: Readonly<Record<KeyName, BenchKey>>;

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    image = await buildTestImage({ layers: 2, format: "oci" });
    keys = {
      "an RSA-2048 key file": await bench.makeKeyFiles("rsa", "rsa2048"),
      "an Ed25519 key file": await bench.makeKeyFiles("ed", "ed25519"),
      "a key of gpg's keyring": bench.gpgKeys.rsa2048,
    };
  });
  after(async () => bench?.[Symbol.asyncDispose]());

  keyNames.forEach((keyName, number) => {
    void it(`with ${keyName} into a lookaside store is accepted by skopeo and podman`, async (t) => {
      if (!hasTools(t)) return;
      const { docker } = bench;
      const key = keys[keyName];
      const repository = `signet/lookaside-${number}`;
      const name = `docker://${docker.host}/${repository}:1`;
      const policy = rejectExcept({ docker: { [`${docker.host}/signet`]: [signedBy(key)] } });
      await bench.push(`${docker.host}/${repository}:1`, image);
      assert.deepEqual(await bench.judge(name, policy), allReject);
      assertDone(await bench.signet(["sign", "--key", key.secret, ...plainHttp, name]));
      assert.ok(existsSync(bench.lookasideFile(repository, image.digest)));
      assert.deepEqual(await bench.judge(name, policy), allAccept);
      // The same image by digest: its identity is matched by repository.
      assert.deepEqual(await bench.judge(`docker://${docker.host}/${repository}@${image.digest}`, policy), allAccept);
    });

    void it(`with ${keyName} through the registry's signatures API is accepted by skopeo and podman`, async (t) => {
      if (!hasTools(t)) return;
      const { extension } = bench;
      const key = keys[keyName];
      const repository = `signet/extension-${number}`;
      const name = `docker://${extension.host}/${repository}:1`;
      await bench.push(`${extension.host}/${repository}:1`, image);
      assertDone(await bench.signet(["sign", "--key", key.secret, ...plainHttp, name]));
      assert.equal(extension.signatures(repository, image.digest).length, 1);
      const policy = rejectExcept({ docker: { [extension.host]: [signedBy(key)] } });
      assert.deepEqual(await bench.judge(name, policy), allAccept);
    });

    void it(`with ${keyName} beside a dir: image is accepted by skopeo for the identity it names, and no other`, async (t) => {
      if (!hasTools(t)) return;
      const key = keys[keyName];
      const folder = bench.path(`signed-dir-${number}`);
      writeDirImage(folder, image);
      const identity = "registry.example.com/team/app:1";
      assertDone(await bench.signet(["sign", "--key", key.secret, "--identity", identity, `dir:${folder}`]));
      const policy = (signedIdentity: object): object => rejectExcept({ dir: { "": [signedBy(key, signedIdentity)] } });
      const exact = (dockerReference: string): object => policy({ type: "exactReference", dockerReference });
      const repository = (dockerRepository: string): object => policy({ type: "exactRepository", dockerRepository });
      assert.deepEqual(await bench.judge(`dir:${folder}`, exact(identity)), bothAccept);
      assert.deepEqual(await bench.judge(`dir:${folder}`, repository("registry.example.com/team/app")), bothAccept);
      assert.deepEqual(await bench.judge(`dir:${folder}`, exact("registry.example.com/team/app:2")), bothReject);
      assert.deepEqual(await bench.judge(`dir:${folder}`, repository("registry.example.com/team/ap")), bothReject);
    });

    void it(`with ${keyName} by standalone-sign is verified by skopeo standalone-verify`, async (t) => {
      if (!hasTools(t)) return;
      const key = keys[keyName];
      const folder = bench.path(`standalone-${number}`);
      writeDirImage(folder, image);
      const manifest = join(folder, "manifest.json");
      const signature = bench.path(`standalone-signature-${number}`);
      const reference = "registry.example.com/team/app:1";
      await bench.gpg.importKeys(readFileSync(key.publicFile));
      assertDone(await bench.signet(["standalone-sign", manifest, reference, key.secret, "-o", signature]));
      const good = ["standalone-verify", manifest, reference, key.fingerprint, signature];
      assert.match(assertDone(await bench.skopeo(good)).stdout, new RegExp(`digest ${image.digest}\n$`));
      assertDone(await bench.signet(good));

      const otherReference = good.with(2, "registry.example.com/team/app:2");
      assert.match((await bench.skopeo(otherReference)).stderr, /Error verifying signature: /);
      assertRejected(await bench.signet(otherReference));
      const otherKey = good.with(3, bench.gpgKeys.ed25519.fingerprint);
      assert.match((await bench.skopeo(otherKey)).stderr, /Error verifying signature: /);
      assertRejected(await bench.signet(otherKey));
    });
  });

  void it("under --identity is accepted where a policy remaps to it, and nowhere else", async (t) => {
    if (!hasTools(t)) return;
    const { docker } = bench;
    const key = keys["an Ed25519 key file"];
    const name = `docker://${docker.host}/mirror/team/app:1`;
    await bench.push(`${docker.host}/mirror/team/app:1`, image);
    const identity = "registry.example.com/team/app:1";
    assertDone(await bench.signet(["sign", "--key", key.secret, "--identity", identity, ...plainHttp, name]));
    const remap = { type: "remapIdentity", prefix: `${docker.host}/mirror`, signedPrefix: "registry.example.com" };
    const policy = (signedIdentity?: object): object =>
      rejectExcept({ docker: { [docker.host]: [signedBy(key, signedIdentity)] } });
    assert.deepEqual(await bench.judge(name, policy(remap)), allAccept);
    assert.deepEqual(await bench.judge(name, policy()), allReject);
    const misled = { ...remap, signedPrefix: "registry.example.com/other" };
    assert.deepEqual(await bench.judge(name, policy(misled)), allReject);
  });
});
