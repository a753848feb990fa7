/** Signatures travel with the image, and lists are signed and judged alike. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type TestImage, type TestIndex, buildTestImage, buildTestIndex, writeDirImage } from "@signet/testkit";
import {
  type Bench,
  type BenchKey,
  allAccept,
  allReject,
  assertDone,
  assertRejected,
  hasTools,
  makeBenchIfPossible,
  plainHttp,
  plainHttpCopy,
  rejectExcept,
  signedBy,
} from "./bench.test.ts";

/** As the machine calls itself: the instance that all three tools choose when none is asked for. */
const ownArchitecture = process.arch === "x64" ? "amd64" : process.arch;
const otherArchitecture = ownArchitecture === "s390x" ? "ppc64le" : "s390x";

void describe("signed images on their way", { concurrency: false }, () => {
  let bench: Bench;
  let key: BenchKey;
  let image: TestImage;
  let foreign: TestImage;
  let list: TestIndex;

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    key = await bench.makeKeyFiles("release", "ed25519");
    image = await buildTestImage({ architecture: ownArchitecture, layers: 2 });
    foreign = await buildTestImage({ architecture: otherArchitecture, seed: 2 });
    list = buildTestIndex([foreign, image]);
  });
  after(async () => bench?.[Symbol.asyncDispose]());

  /** Writes a policy to a file. */
  const policyFile = (policy: object): string => {
    const path = bench.path();
    writeFileSync(path, JSON.stringify(policy));
    return path;
  };

  void it("keep their signatures through signet copy: registry, dir:, the same name in a registry with another store", async (t) => {
    if (!hasTools(t)) return;
    const { docker, extension } = bench;
    const folder = bench.path("travelling");
    const identity = "registry.example.com/travel/app:1";
    const origin = `docker://${docker.host}/travel/app:1`;
    const target = `docker://${extension.host}/travel/app:1`;
    const signedIdentity = { type: "exactReference", dockerReference: identity };
    const policy = rejectExcept({
      docker: { [docker.host]: [signedBy(key, signedIdentity)], [extension.host]: [signedBy(key, signedIdentity)] },
      dir: { [folder]: [signedBy(key, signedIdentity)] },
    });
    await bench.push(origin.slice("docker://".length), image);
    assertDone(await bench.signet(["sign", "--key", key.secret, "--identity", identity, ...plainHttp, origin]));
    const copy = ["copy", "--policy", policyFile(policy), ...plainHttpCopy];
    assertDone(await bench.signet([...copy, origin, `dir:${folder}`]));
    assert.deepEqual(
      readFileSync(join(folder, "signature-1")),
      readFileSync(bench.lookasideFile("travel/app", image.digest)),
    );
    assertDone(await bench.signet([...copy, `dir:${folder}`, target]));
    assert.equal(extension.manifest("travel/app", "1")?.digest, image.digest);
    assert.deepEqual(await bench.judge(target, policy), allAccept);
  });

  void it("are refused by signet copy and skopeo copy under a policy that does not accept them, and nothing is written", async (t) => {
    if (!hasTools(t)) return;
    const { docker, extension } = bench;
    const origin = `docker://${docker.host}/travel/unsigned:1`;
    await bench.push(origin.slice("docker://".length), image);
    const policy = policyFile(rejectExcept({ docker: { [docker.host]: [signedBy(key)] } }));
    const target = (tag: string): string => `docker://${extension.host}/travel/refused:${tag}`;
    const ours = await bench.signet(["copy", "--policy", policy, ...plainHttpCopy, origin, target("signet")]);
    assertRejected(ours);
    const theirs = await bench.skopeo(["--policy", policy, "copy", origin, target("skopeo")]);
    assert.match(theirs.stderr, /Source image rejected: A signature was required, but no signature exists/);
    assert.equal(extension.manifest("travel/refused", "signet"), undefined);
    assert.equal(extension.manifest("travel/refused", "skopeo"), undefined);
    for (const { digest } of [image.config, ...image.layers])
      assert.equal(extension.blob("travel/refused", digest), undefined);
  });

  void it("are signed by signet copy --sign-by, beside the signature they had, and accepted by all for both keys", async (t) => {
    if (!hasTools(t)) return;
    const { docker } = bench;
    const folder = bench.path("to-be-signed");
    writeDirImage(folder, image);
    const signedByBoth = `docker://${docker.host}/travel/signed:1`;
    const identity = ["--sign-identity", signedByBoth.slice("docker://".length)];
    const between = bench.path("signed-by-skopeo");
    const { ed25519 } = bench.gpgKeys;
    const skopeo = ["copy", "--insecure-policy", "--sign-by", ed25519.fingerprint, ...identity];
    assertDone(await bench.skopeo([...skopeo, `dir:${folder}`, `dir:${between}`]));
    const signet = ["copy", "--insecure-policy", ...plainHttpCopy, "--sign-by", key.secret];
    assertDone(await bench.signet([...signet, `dir:${between}`, signedByBoth]));
    const policy = rejectExcept({ docker: { [docker.host]: [signedBy(ed25519), signedBy(key)] } });
    assert.deepEqual(await bench.judge(signedByBoth, policy), allAccept);

    const stripped = `docker://${docker.host}/travel/stripped:1`;
    assertDone(
      await bench.signet([
        "copy",
        "--insecure-policy",
        ...plainHttpCopy,
        "--remove-signatures",
        `dir:${between}`,
        stripped,
      ]),
    );
    assert.ok(!existsSync(bench.lookasideFile("travel/stripped", image.digest)));
    assert.deepEqual(await bench.judge(stripped, policy), allReject);
  });

  void it("as a list signed by signet sign --all are accepted by skopeo and podman on the instance", async (t) => {
    if (!hasTools(t)) return;
    const { docker } = bench;
    const name = `docker://${docker.host}/lists/signet:1`;
    const policy = rejectExcept({ docker: { [docker.host]: [signedBy(key)] } });
    await bench.push(name.slice("docker://".length), list);
    assert.deepEqual(await bench.judge(name, policy), allReject);
    assertDone(await bench.signet(["sign", "--key", key.secret, "--all", ...plainHttp, name]));
    for (const { digest } of [list, image, foreign])
      assert.ok(existsSync(bench.lookasideFile("lists/signet", digest)), digest);
    assert.deepEqual(await bench.judge(name, policy), allAccept);
    const everything = await bench.skopeo([
      "--policy",
      policyFile(policy),
      "copy",
      "--all",
      name,
      `dir:${bench.path()}`,
    ]);
    assertDone(everything);
  });

  void it("as a list of which only the list itself is signed are refused by all, as the instance is judged", async (t) => {
    if (!hasTools(t)) return;
    const { docker } = bench;
    const name = `docker://${docker.host}/lists/top-only:1`;
    const policy = rejectExcept({ docker: { [docker.host]: [signedBy(key)] } });
    await bench.push(name.slice("docker://".length), list);
    assertDone(await bench.signet(["sign", "--key", key.secret, ...plainHttp, name]));
    assert.ok(existsSync(bench.lookasideFile("lists/top-only", list.digest)));
    assert.deepEqual(await bench.judge(name, policy), allReject);
  });

  (["rsa2048", "ed25519"] as const).forEach((algorithm) => {
    void it(`as a list from skopeo copy --all --sign-by with ${algorithm} are accepted by signet verify and verify --all`, async (t) => {
      if (!hasTools(t)) return;
      const { docker } = bench;
      const signer = bench.gpgKeys[algorithm];
      const name = `docker://${docker.host}/lists/skopeo-${algorithm}:1`;
      const folder = bench.path(`list-${algorithm}`);
      writeDirImage(folder, list);
      const copy = ["copy", "--all", "--insecure-policy", "--sign-by", signer.fingerprint, `dir:${folder}`, name];
      assertDone(await bench.skopeo(copy));
      const policy = rejectExcept({ docker: { [docker.host]: [signedBy(signer)] } });
      assert.deepEqual(await bench.judge(name, policy), allAccept);
      const all = ["verify", "--all", "--policy", policyFile(policy), ...plainHttp, name];
      assert.equal((await bench.signet(all)).status, 0);

      // One instance gets the signature of another: only --all, which looks at every instance, may notice.
      const misplaced = bench.lookasideFile(`lists/skopeo-${algorithm}`, foreign.digest);
      writeFileSync(misplaced, readFileSync(bench.lookasideFile(`lists/skopeo-${algorithm}`, image.digest)));
      assert.deepEqual(await bench.judge(name, policy), allAccept);
      assertRejected(await bench.signet(all));
      const skopeoAll = ["--policy", policyFile(policy), "copy", "--all", name, `dir:${bench.path()}`];
      assert.match((await bench.skopeo(skopeoAll)).stderr, /Source image rejected: /);
    });
  });

  void it("as a list are carried whole by signet copy --all, and accepted by skopeo copy --all at the end", async (t) => {
    if (!hasTools(t)) return;
    const { docker, extension } = bench;
    const origin = `docker://${docker.host}/lists/carried:1`;
    const target = `docker://${extension.host}/lists/carried:1`;
    const folder = bench.path("carried");
    await bench.push(origin.slice("docker://".length), list);
    const identity = "registry.example.com/lists/carried:1";
    const sign = ["sign", "--key", key.secret, "--all", "--identity", identity, ...plainHttp, origin];
    assertDone(await bench.signet(sign));
    const signedIdentity = { type: "exactReference", dockerReference: identity };
    const policy = rejectExcept({
      docker: { "": [signedBy(key, signedIdentity)] },
      dir: { "": [signedBy(key, signedIdentity)] },
    });
    const copy = ["copy", "--all", "--policy", policyFile(policy), ...plainHttpCopy];
    assertDone(await bench.signet([...copy, origin, `dir:${folder}`]));
    assertDone(await bench.signet([...copy, `dir:${folder}`, target]));
    assert.equal(extension.manifest("lists/carried", "1")?.digest, list.digest);
    assert.deepEqual(await bench.judge(target, policy), allAccept);
    const theirs = ["--policy", policyFile(policy), "copy", "--all", target, `dir:${bench.path()}`];
    assertDone(await bench.skopeo(theirs));
  });
});
