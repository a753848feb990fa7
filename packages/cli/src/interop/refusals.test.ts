/** What was tampered with is refused by skopeo, podman and Signet alike, and by Signet with a verdict (exit 1), not a failure. */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

void describe("a tampered image in a registry", { concurrency: false }, () => {
  const repository = "team/app";
  let bench: Bench;
  let image: TestImage;
  let other: TestImage;
  let key: BenchKey;
  let unknown: BenchKey;
  let policy: object;
  /** Where the good signature lies. */
  let good: string;

  const nameOf = (rest: string): string => `docker://${bench.docker.host}/${rest}`;

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    const { docker } = bench;
    image = await buildTestImage();
    other = await buildTestImage({ seed: 2 });
    key = await bench.makeKeyFiles("known", "ed25519");
    unknown = await bench.makeKeyFiles("unknown", "ed25519");
    policy = rejectExcept({ docker: { [docker.host]: [signedBy(key)] } });
    await bench.push(`${docker.host}/${repository}:1`, image);
    assertDone(await bench.signet(["sign", "--key", key.secret, ...plainHttp, nameOf(`${repository}:1`)]));
    good = bench.lookasideFile(repository, image.digest);
  });
  after(async () => bench?.[Symbol.asyncDispose]());

  void it("is accepted by all before anything was changed: the refusals below have one cause each", async (t) => {
    if (!hasTools(t)) return;
    assert.deepEqual(await bench.judge(nameOf(`${repository}:1`), policy), allAccept);
  });

  void it("is refused when another manifest took the tag and the signature was moved to it", async (t) => {
    if (!hasTools(t)) return;
    await bench.push(`${bench.docker.host}/${repository}:1`, other);
    copyFileSync(good, bench.lookasideFile(repository, other.digest));
    assert.deepEqual(await bench.judge(nameOf(`${repository}:1`), policy), allReject);
    await bench.push(`${bench.docker.host}/${repository}:1`, image);
    assert.deepEqual(await bench.judge(nameOf(`${repository}:1`), policy), allAccept);
  });

  void it("is refused under another tag than the signed one", async (t) => {
    if (!hasTools(t)) return;
    await bench.push(`${bench.docker.host}/${repository}:2`, image);
    assert.deepEqual(await bench.judge(nameOf(`${repository}:2`), policy), allReject);
  });

  void it("is refused in another repository, with the signature copied there", async (t) => {
    if (!hasTools(t)) return;
    await bench.push(`${bench.docker.host}/team/other:1`, image);
    copyFileSync(good, bench.lookasideFile("team/other", image.digest));
    assert.deepEqual(await bench.judge(nameOf("team/other:1"), policy), allReject);
    assert.deepEqual(await bench.judge(nameOf(`team/other@${image.digest}`), policy), allReject);
  });

  void it("is refused when an unknown key signed it, and accepted once a known one has signed as well", async (t) => {
    if (!hasTools(t)) return;
    const name = nameOf("team/unknown:1");
    await bench.push(name.slice("docker://".length), image);
    assertDone(await bench.signet(["sign", "--key", unknown.secret, ...plainHttp, name]));
    assert.deepEqual(await bench.judge(name, policy), allReject);
    assertDone(await bench.signet(["sign", "--key", key.secret, ...plainHttp, name]));
    assert.deepEqual(await bench.judge(name, policy), allAccept);
  });

  void it("is refused when its signature was cut short or one bit of it was turned, wherever that is", async (t) => {
    if (!hasTools(t)) return;
    const name = nameOf("team/damaged:1");
    await bench.push(name.slice("docker://".length), image);
    assertDone(await bench.signet(["sign", "--key", key.secret, ...plainHttp, name]));
    const file = bench.lookasideFile("team/damaged", image.digest);
    const whole = readFileSync(file);
    const turned = (offset: number): Buffer => {
      const bytes = Buffer.from(whole);
      bytes[offset]! ^= 1;
      return bytes;
    };
    const damaged: Readonly<Record<string, Buffer>> = {
      "without its last octet": whole.subarray(0, -1),
      "half of it": whole.subarray(0, whole.length / 2),
      "one bit of the payload": turned(whole.indexOf(image.digest) + 20),
      "one bit of the signature value": turned(whole.length - 5),
    };
    assert.ok(whole.includes(image.digest), "the message is not compressed, so the payload can be found in it");
    assert.deepEqual(await bench.judge(name, policy), allAccept);
    for (const [what, bytes] of Object.entries(damaged)) {
      writeFileSync(file, bytes);
      assert.deepEqual(await bench.judge(name, policy), allReject, what);
    }
  });

  void it("is refused when its signature is gone", async (t) => {
    if (!hasTools(t)) return;
    const name = nameOf("team/unsigned:1");
    await bench.push(name.slice("docker://".length), image);
    const file = bench.lookasideFile("team/unsigned", image.digest);
    assertDone(await bench.signet(["sign", "--key", key.secret, ...plainHttp, name]));
    rmSync(file);
    assert.deepEqual(await bench.judge(name, policy), allReject);
  });

  void it("is refused when the signatures API hands out a signature that was moved, cut short or made by an unknown key", async (t) => {
    if (!hasTools(t)) return;
    const { extension } = bench;
    const extensionPolicy = rejectExcept({ docker: { [extension.host]: [signedBy(key)] } });
    const sign = async (signed: string, by: BenchKey): Promise<void> => {
      await bench.push(`${extension.host}/${signed}:1`, image);
      const name = `docker://${extension.host}/${signed}:1`;
      assertDone(await bench.signet(["sign", "--key", by.secret, ...plainHttp, name]));
    };
    /** Stores a signature as any client with write access can. */
    const put = async (target: string, to: TestImage, content: Uint8Array): Promise<void> => {
      await bench.push(`${extension.host}/${target}:1`, to);
      const body = JSON.stringify({
        schemaVersion: 2,
        name: `${to.digest}@moved`,
        type: "atomic",
        content: Buffer.from(content).toString("base64"),
      });
      const url = `${extension.url}/extensions/v2/${target}/signatures/${to.digest}`;
      assert.equal((await fetch(url, { method: "PUT", body })).status, 201);
    };
    await sign("api/signed", key);
    await sign("api/unknown", unknown);
    const signature = Buffer.from(extension.signatures("api/signed", image.digest)[0]!.content, "base64");
    await put("api/manifest", other, signature);
    await put("api/repository", image, signature);
    await put("api/cut", image, signature.subarray(0, -1));
    assert.deepEqual(await bench.judge(`docker://${extension.host}/api/signed:1`, extensionPolicy), allAccept);
    for (const refused of ["unknown", "manifest", "repository", "cut"]) {
      const name = `docker://${extension.host}/api/${refused}:1`;
      assert.deepEqual(await bench.judge(name, extensionPolicy), allReject, refused);
    }
  });

  void it("is refused in a dir: image whose manifest was changed, or whose signature came from another image", async (t) => {
    if (!hasTools(t)) return;
    const folder = bench.path("tampered-dir");
    writeDirImage(folder, image);
    const dockerReference = "registry.example.com/team/app:1";
    assertDone(await bench.signet(["sign", "--key", key.secret, "--identity", dockerReference, `dir:${folder}`]));
    const dirPolicy = rejectExcept({
      dir: { "": [signedBy(key, { type: "exactReference", dockerReference })] },
    });
    assert.deepEqual(await bench.judge(`dir:${folder}`, dirPolicy), bothAccept);

    const moved = bench.path("moved-dir");
    writeDirImage(moved, other, [readFileSync(join(folder, "signature-1"))]);
    assert.deepEqual(await bench.judge(`dir:${moved}`, dirPolicy), bothReject);

    const manifest = join(folder, "manifest.json");
    writeFileSync(manifest, `${readFileSync(manifest, "utf8")}\n`);
    assert.deepEqual(await bench.judge(`dir:${folder}`, dirPolicy), bothReject);
  });

  void it("is refused by standalone-verify of both for another manifest, reference or key, and a signature cut short", async (t) => {
    if (!hasTools(t)) return;
    const [folder, otherFolder] = [bench.path("standalone"), bench.path("standalone-other")];
    writeDirImage(folder, image);
    writeDirImage(otherFolder, other);
    const [manifest, signature] = [join(folder, "manifest.json"), bench.path("standalone-signature")];
    const reference = "registry.example.com/team/app:1";
    const { fingerprint } = bench.gpgKeys.rsa2048;
    assertDone(await bench.skopeo(["standalone-sign", manifest, reference, fingerprint, "-o", signature]));
    const cut = bench.path("standalone-cut");
    writeFileSync(cut, readFileSync(signature).subarray(0, -1));
    const arguments_ = [manifest, reference, fingerprint, signature] as const;
    const cases = {
      "nothing changed": arguments_,
      "another manifest": arguments_.with(0, join(otherFolder, "manifest.json")),
      "another tag": arguments_.with(1, "registry.example.com/team/app:2"),
      "another repository": arguments_.with(1, "registry.example.com/team/other:1"),
      "another key": arguments_.with(2, bench.gpgKeys.ed25519.fingerprint),
      "cut short": arguments_.with(3, cut),
    };
    for (const [what, given] of Object.entries(cases)) {
      const [theirs, ours] = await Promise.all([
        bench.skopeo(["standalone-verify", ...given]),
        bench.signet(["standalone-verify", ...given]),
      ]);
      if (what === "nothing changed") {
        assertDone(theirs);
        assertDone(ours);
      } else {
        assert.match(theirs.stderr, /Error verifying signature: /, what);
        assertRejected(ours);
      }
    }
  });
});
