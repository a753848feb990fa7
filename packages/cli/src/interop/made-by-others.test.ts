/** Signet accepts what skopeo, podman and gpg signed, under policies that reject by default. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type TestImage, buildTestImage, writeDirImage } from "@signet/testkit";
import {
  type Bench,
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

const algorithms = ["rsa2048", "ed25519"] as const;

void describe("what others signed", { concurrency: false }, () => {
  let bench: Bench;
  let image: TestImage;
  let imageDir: string;

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    image = await buildTestImage({ layers: 2 });
    imageDir = bench.path("image");
    writeDirImage(imageDir, image);
  });
  after(async () => bench?.[Symbol.asyncDispose]());

  algorithms.forEach((algorithm) => {
    void it(`skopeo copy --sign-by with ${algorithm} into a lookaside store is accepted, and under another key rejected`, async (t) => {
      if (!hasTools(t)) return;
      const { docker, gpgKeys } = bench;
      const name = `docker://${docker.host}/skopeo/${algorithm}:1`;
      const key = gpgKeys[algorithm];
      const other = gpgKeys[algorithm === "ed25519" ? "rsa2048" : "ed25519"];
      assertDone(
        await bench.skopeo(["copy", "--insecure-policy", "--sign-by", key.fingerprint, `dir:${imageDir}`, name]),
      );
      const policy = (trusted: typeof key): object => rejectExcept({ docker: { [docker.host]: [signedBy(trusted)] } });
      assert.deepEqual(await bench.judge(name, policy(key)), allAccept);
      assert.deepEqual(await bench.judge(name, policy(other)), allReject);

      const adHoc = await bench.signet(["verify", "--key", key.publicFile, ...plainHttp, name]);
      assert.equal(adHoc.status, 0, adHoc.stderr);
      const adHocOther = await bench.signet(["verify", "--key", other.publicFile, ...plainHttp, name]);
      assertRejected(adHocOther);
    });

    void it(`skopeo copy --sign-by with ${algorithm} through the registry's signatures API is accepted`, async (t) => {
      if (!hasTools(t)) return;
      const { extension, gpgKeys } = bench;
      const name = `docker://${extension.host}/skopeo/${algorithm}:1`;
      const key = gpgKeys[algorithm];
      assertDone(
        await bench.skopeo(["copy", "--insecure-policy", "--sign-by", key.fingerprint, `dir:${imageDir}`, name]),
      );
      assert.equal(extension.signatures(`skopeo/${algorithm}`, image.digest).length, 1);
      const policy = rejectExcept({ docker: { [extension.host]: [signedBy(key)] } });
      assert.deepEqual(await bench.judge(name, policy), allAccept);
    });

    void it(`skopeo copy --sign-by with ${algorithm} beside a dir: image is accepted for the identity it signed, and no other`, async (t) => {
      if (!hasTools(t)) return;
      const key = bench.gpgKeys[algorithm];
      const signed = bench.path(`skopeo-dir-${algorithm}`);
      const identity = `registry.example.com/team/${algorithm}:1`;
      const options = ["--insecure-policy", "--sign-by", key.fingerprint, "--sign-identity", identity];
      assertDone(await bench.skopeo(["copy", ...options, `dir:${imageDir}`, `dir:${signed}`]));
      const policy = (dockerReference: string): object =>
        rejectExcept({ dir: { [signed]: [signedBy(key, { type: "exactReference", dockerReference })] } });
      assert.deepEqual(await bench.judge(`dir:${signed}`, policy(identity)), bothAccept);
      assert.deepEqual(await bench.judge(`dir:${signed}`, policy(`${identity}.1`)), bothReject);
      // A dir: image has no reference that the default identity, matchRepoDigestOrExact, could be held against.
      const byDefault = rejectExcept({ dir: { [signed]: [signedBy(key)] } });
      assert.deepEqual(await bench.judge(`dir:${signed}`, byDefault), bothReject);
    });

    void it(`skopeo standalone-sign with ${algorithm} verifies offline, in the words of skopeo's contract`, async (t) => {
      if (!hasTools(t)) return;
      const key = bench.gpgKeys[algorithm];
      const manifest = join(imageDir, "manifest.json");
      const signature = bench.path(`skopeo-standalone-${algorithm}`);
      const reference = "registry.example.com/team/app:1";
      assertDone(await bench.skopeo(["standalone-sign", manifest, reference, key.fingerprint, "-o", signature]));
      const verify = ["standalone-verify", manifest, reference, key.fingerprint, signature];
      const theirs = assertDone(await bench.skopeo(verify));
      const ours = assertDone(await bench.signet(verify));
      const expected = `Signature verified using fingerprint ${key.fingerprint}, digest ${image.digest}\n`;
      assert.equal(ours.stdout, expected);
      // skopeo names the fingerprint since 1.12, and not before.
      const older = `Signature verified, digest ${image.digest}\n`;
      assert.ok([expected, older].includes(theirs.stdout), theirs.stdout);

      const byFile = ["any", signature, "--public-key-file", key.publicFile];
      assert.equal((await bench.signet(["standalone-verify", manifest, reference, ...byFile])).stdout, expected);
    });
  });

  void it("podman push --sign-by with either key into a lookaside store is accepted", async (t) => {
    if (!hasTools(t)) return;
    const { docker, gpgKeys } = bench;
    const source = `${docker.host}/podman/source:1`;
    await bench.push(source, image);
    assertDone(await bench.podman(["pull", "--quiet", source]));
    // podman stores the signatures of a pull with the image, and cannot compress the layers of a signed image to push it.
    const push = ["push", "--quiet", "--remove-signatures"];
    for (const algorithm of algorithms) {
      const key = gpgKeys[algorithm];
      const name = `docker://${docker.host}/podman/${algorithm}:1`;
      assertDone(await bench.podman([...push, "--sign-by", key.fingerprint, source, name]));
      const policy = rejectExcept({ docker: { [docker.host]: [signedBy(key)] } });
      assert.deepEqual(await bench.judge(name, policy), allAccept);
    }
  });

  void it("podman image sign, which writes only the signature, is accepted", async (t) => {
    if (!hasTools(t)) return;
    const { docker, gpgKeys } = bench;
    const name = `docker://${docker.host}/podman/signed-in-place:1`;
    await bench.push(name.slice("docker://".length), image);
    assertDone(await bench.podman(["image", "sign", "--sign-by", gpgKeys.ed25519.fingerprint, name]));
    const policy = rejectExcept({ docker: { [docker.host]: [signedBy(gpgKeys.ed25519)] } });
    assert.deepEqual(await bench.judge(name, policy), allAccept);
  });

  void it("a second signature, added by skopeo or by Signet, leaves the first one in force", async (t) => {
    if (!hasTools(t)) return;
    const { docker, gpgKeys } = bench;
    const [first, second] = [gpgKeys.rsa2048, gpgKeys.ed25519];
    const both = rejectExcept({ docker: { [docker.host]: [signedBy(first), signedBy(second)] } });
    const name = `docker://${docker.host}/twice/signed:1`;
    const signet = ["sign", ...plainHttp, "--key", second.secret, name];
    assertDone(
      await bench.skopeo(["copy", "--insecure-policy", "--sign-by", first.fingerprint, `dir:${imageDir}`, name]),
    );
    assert.deepEqual(await bench.judge(name, both), allReject);
    assertDone(await bench.signet(signet));
    assert.deepEqual(await bench.judge(name, both), allAccept);

    const reversed = `docker://${docker.host}/twice/reversed:1`;
    await bench.push(reversed.slice("docker://".length), image);
    assertDone(await bench.signet([...signet.slice(0, -1), reversed]));
    assertDone(await bench.podman(["image", "sign", "--sign-by", first.fingerprint, reversed]));
    assert.deepEqual(await bench.judge(reversed, both), allAccept);
  });

  void it("gpg's own message over the payload, uncompressed or in any compression, is accepted", async (t) => {
    if (!hasTools(t)) return;
    const { docker, gpg, gpgKeys } = bench;
    const reference = `${docker.host}/gpg/app:1`;
    await bench.push(reference, image);
    const policy = rejectExcept({ docker: { [docker.host]: [signedBy(gpgKeys.rsa2048)] } });
    const payload = JSON.stringify({
      critical: {
        identity: { "docker-reference": reference },
        image: { "docker-manifest-digest": image.digest },
        type: "atomic container signature",
      },
      optional: {},
    });
    const input = bench.path("payload");
    writeFileSync(input, payload);
    const file = bench.lookasideFile("gpg/app", image.digest);
    for (const compression of ["none", "zip", "zlib", "bzip2"]) {
      const options = ["--local-user", gpgKeys.rsa2048.fingerprint, "--compress-algo", compression];
      assertDone(await gpg.gpg([...options, "--output", file, "--sign", input]));
      assert.ok(readFileSync(file).length > 0);
      assert.deepEqual(await bench.judge(`docker://${reference}`, policy), allAccept, compression);
    }
  });
});
