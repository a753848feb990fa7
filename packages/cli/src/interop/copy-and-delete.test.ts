/** What `signet copy` converted, merged and took over is pulled by skopeo and podman, theirs by Signet, and what `signet delete` deleted by nobody. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type TestImage, buildTestImage, buildTestIndex, writeDirImage } from "@signet/testkit";
import {
  type Bench,
  type BenchKey,
  allAccept,
  allReject,
  assertDone,
  hasTools,
  makeBenchIfPossible,
  plainHttp,
  plainHttpCopy,
  rejectExcept,
  signedBy,
} from "./bench.test.ts";

const ownArchitecture = process.arch === "x64" ? "amd64" : process.arch;
const otherArchitecture = ownArchitecture === "s390x" ? "ppc64le" : "s390x";

void describe("images copied and deleted by Signet", { concurrency: false }, () => {
  let bench: Bench;
  let key: BenchKey;
  let image: TestImage;
  let foreign: TestImage;

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    key = await bench.makeKeyFiles("release", "ed25519");
    image = await buildTestImage({ architecture: ownArchitecture, layers: 2 });
    foreign = await buildTestImage({ architecture: otherArchitecture, seed: 2 });
  });
  after(async () => bench?.[Symbol.asyncDispose]());

  const unjudged = ["--insecure-policy", ...plainHttpCopy];

  (["oci", "v2s2"] as const).forEach((format) => {
    void it(`converted to ${format} and signed anew are accepted by skopeo and podman, image and list`, async (t) => {
      if (!hasTools(t)) return;
      const { docker } = bench;
      const from = format === "oci" ? "docker" : "oci";
      const images = await Promise.all(
        [ownArchitecture, otherArchitecture].map((architecture, seed) =>
          buildTestImage({ format: from, architecture, seed }),
        ),
      );
      const folder = bench.path(`list-to-${format}`);
      writeDirImage(folder, buildTestIndex(images, from), [new Uint8Array([0xa3, 1])]);
      const policy = rejectExcept({ docker: { [docker.host]: [signedBy(key)] } });
      const convert = [...unjudged, "--format", format, "--remove-signatures", "--sign-by", key.secret];
      for (const [selection, name] of [
        [["--all"], `docker://${docker.host}/converted/${format}:list`],
        [[], `docker://${docker.host}/converted/${format}:image`],
      ] as const) {
        assertDone(await bench.signet(["copy", ...selection, ...convert, `dir:${folder}`, name]));
        assert.deepEqual(await bench.judge(name, policy), allAccept);
        const raw = assertDone(await bench.skopeo(["inspect", "--raw", name]));
        assert.match(raw.stdout, format === "oci" ? /vnd\.oci\.image/ : /vnd\.docker\.distribution/);
        assert.doesNotMatch(raw.stdout, format === "oci" ? /vnd\.docker/ : /vnd\.oci/);
        assertDone(await bench.skopeo(["inspect", "--config", name]));
      }
    });
  });

  void it("and signed are not converted: skopeo leaves an image as it is without a word and refuses a list, Signet refuses both", async (t) => {
    if (!hasTools(t)) return;
    const { docker } = bench;
    const list = buildTestIndex([image, foreign]);
    for (const [tag, one] of [
      ["image", image],
      ["list", list],
    ] as const) {
      const name = `docker://${docker.host}/refused/${tag}:1`;
      await bench.push(name.slice("docker://".length), one);
      assertDone(await bench.signet(["sign", "--all", "--key", key.secret, ...plainHttp, name]));
      const convert = ["--all", "--insecure-policy", "--format", "oci"];
      const theirs = bench.path();
      const skopeo = await bench.skopeo(["copy", ...convert, name, `dir:${theirs}`]);
      if (tag === "image") assert.deepEqual(readFileSync(join(theirs, "manifest.json")), Buffer.from(image.manifest));
      else assert.match(skopeo.stderr, /Would invalidate signatures/);
      const ours = await bench.signet(["copy", ...convert, ...plainHttpCopy, name, `dir:${bench.path()}`]);
      assert.equal(ours.status, 2);
      assert.match(ours.stderr, tag === "image" ? /would invalidate 1 signature\n/ : /would invalidate 3 signatures/);
    }
  });

  void it("keep the destination's signatures, which skopeo overwrites", async (t) => {
    if (!hasTools(t)) return;
    const { docker } = bench;
    const { ed25519 } = bench.gpgKeys;
    const [plain, signed] = [bench.path("plain"), bench.path("signed")];
    writeDirImage(plain, image);
    const name = (repository: string): string => `docker://${docker.host}/merged/${repository}:1`;
    const identity = ["--sign-identity", name("ours").slice("docker://".length)];
    assertDone(
      await bench.signet([
        "copy",
        "--insecure-policy",
        "--sign-by",
        key.secret,
        ...identity,
        `dir:${plain}`,
        `dir:${signed}`,
      ]),
    );
    for (const repository of ["ours", "theirs"]) {
      const sign = ["copy", "--insecure-policy", "--sign-by", ed25519.fingerprint, `dir:${plain}`, name(repository)];
      assertDone(await bench.skopeo(sign));
    }
    assertDone(await bench.signet(["copy", ...unjudged, `dir:${signed}`, name("ours")]));
    const both = rejectExcept({ docker: { [docker.host]: [signedBy(ed25519), signedBy(key)] } });
    assert.deepEqual(await bench.judge(name("ours"), both), allAccept);
    assertDone(await bench.skopeo(["copy", "--insecure-policy", `dir:${signed}`, name("theirs")]));
    const theirs = rejectExcept({ docker: { [docker.host]: [signedBy(ed25519)] } });
    assert.deepEqual(await bench.judge(name("theirs"), theirs), allReject);
  });

  void it("signed and converted by skopeo are copied by Signet under a rejecting policy", async (t) => {
    if (!hasTools(t)) return;
    const { docker, extension } = bench;
    const { rsa2048 } = bench.gpgKeys;
    const folder = bench.path("by-skopeo");
    writeDirImage(folder, buildTestIndex([image, foreign]));
    const origin = `docker://${docker.host}/reverse/app:1`;
    const convert = ["--format", "oci", "--sign-by", rsa2048.fingerprint];
    assertDone(await bench.skopeo(["copy", "--all", "--insecure-policy", ...convert, `dir:${folder}`, origin]));
    const policy = bench.path();
    const signedIdentity = { type: "exactReference", dockerReference: origin.slice("docker://".length) };
    writeFileSync(policy, JSON.stringify(rejectExcept({ docker: { "": [signedBy(rsa2048, signedIdentity)] } })));
    const target = `docker://${extension.host}/reverse/app:1`;
    const copied = assertDone(
      await bench.signet(["copy", "--all", "--policy", policy, ...plainHttpCopy, origin, target]),
    );
    assert.match(copied.stdout, /3 signatures carried along/);
    const back = await bench.skopeo(["--policy", policy, "copy", "--all", target, `dir:${bench.path()}`]);
    assertDone(back);
  });

  void it("move no byte within docker-registry, and are pulled by podman from the new repository", async (t) => {
    if (!hasTools(t)) return;
    const { docker } = bench;
    const large = await buildTestImage({ architecture: ownArchitecture, seed: 5, layers: 3, layerBytes: 300_000 });
    const origin = `docker://${docker.host}/mount/from:1`;
    const target = `docker://${docker.host}/mount/to:1`;
    await bench.push(origin.slice("docker://".length), large);
    const run = await bench.signet(["copy", ...unjudged, "-o", "json", "--sign-by", key.secret, origin, target]);
    const { blobs } = JSON.parse(assertDone(run).stdout) as { blobs: unknown };
    assert.deepEqual(blobs, { moved: 0, present: 4, bytes: 0 });
    const policy = rejectExcept({ docker: { [docker.host]: [signedBy(key)] } });
    assert.deepEqual(await bench.judge(target, policy), allAccept);
  });

  void it("are gone for skopeo and podman when signet delete has deleted them, with all their signatures", async (t) => {
    if (!hasTools(t)) return;
    const { docker } = bench;
    const name = `docker://${docker.host}/gone/app:1`;
    const folder = bench.path("to-be-deleted");
    writeDirImage(folder, buildTestIndex([image, foreign]));
    assertDone(await bench.signet(["copy", ...unjudged, "--all", "--sign-by", key.secret, `dir:${folder}`, name]));
    assertDone(await bench.skopeo(["copy", "--insecure-policy", "--all", name, `docker://${docker.host}/gone/app:2`]));
    const run = assertDone(await bench.signet(["delete", "--all", ...plainHttp, name]));
    assert.match(run.stdout, /gone as well: tags 2/);
    for (const tag of ["1", "2"]) {
      const inspected = await bench.skopeo(["inspect", `docker://${docker.host}/gone/app:${tag}`]);
      assert.match(inspected.stderr, /manifest unknown/);
    }
    const pulled = await bench.podman(["pull", "--quiet", name]);
    assert.notEqual(pulled.status, 0);
    assert.ok(!existsSync(`${bench.lookaside}/gone`) || readdirSync(`${bench.lookaside}/gone`).length === 0);
  });
});
