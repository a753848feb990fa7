/** What Signet shows of images and signatures is what skopeo shows. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type TestImage, buildTestImage, buildTestIndex, writeDirImage } from "@signet/testkit";
import { type Bench, assertDone, assertRejected, hasTools, makeBenchIfPossible, plainHttp } from "./bench.test.ts";

const vectors = join(import.meta.dirname, "..", "..", "..", "..", "vectors");

/** The members that skopeo prints; it has the time in the zone of the machine. */
interface Claims {
  readonly UntrustedDockerManifestDigest: string;
  readonly UntrustedDockerReference: string;
  readonly UntrustedCreatorID: string | null;
  readonly UntrustedTimestamp: string | null;
  readonly UntrustedShortKeyIdentifier: string;
}

function readClaims(json: string): Claims {
  const all = JSON.parse(json) as Claims;
  const { UntrustedTimestamp: time } = all;
  return {
    UntrustedDockerManifestDigest: all.UntrustedDockerManifestDigest,
    UntrustedDockerReference: all.UntrustedDockerReference,
    UntrustedCreatorID: all.UntrustedCreatorID,
    UntrustedTimestamp: time === null ? null : new Date(time).toISOString(),
    UntrustedShortKeyIdentifier: all.UntrustedShortKeyIdentifier,
  };
}

/** Every file below `folder` that satisfies `wanted`, sorted. */
function filesBelow(folder: string, wanted: (name: string) => boolean): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && wanted(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

void describe("what Signet shows", { concurrency: false }, () => {
  let bench: Bench;
  let image: TestImage;

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    image = await buildTestImage({ format: "oci" });
  });
  after(async () => bench?.[Symbol.asyncDispose]());

  void it("of a signature agrees with skopeo's dump, whoever signed", async (t) => {
    if (!hasTools(t)) return;
    const folder = bench.path("inspected");
    writeDirImage(folder, image);
    const manifest = join(folder, "manifest.json");
    const reference = "registry.example.com/team/app:1";
    const key = await bench.makeKeyFiles("inspected-key", "ed25519");
    const files: string[] = [];
    for (const [tool, keyName] of [
      ["skopeo", bench.gpgKeys.rsa2048.secret],
      ["skopeo", bench.gpgKeys.ed25519.secret],
      ["signet", bench.gpgKeys.rsa2048.secret],
      ["signet", key.secret],
    ] as const) {
      const file = bench.path();
      assertDone(await bench[tool](["standalone-sign", manifest, reference, keyName, "-o", file]));
      files.push(file);
    }
    for (const file of files) {
      const [theirs, ours] = await Promise.all([
        bench.skopeo(["untrusted-signature-dump-without-verification", file]),
        bench.signet(["signature", "inspect", "-o", "json", file]),
      ]);
      const claims = readClaims(assertDone(ours).stdout);
      assert.deepEqual(claims, readClaims(assertDone(theirs).stdout));
      assert.equal(claims.UntrustedDockerManifestDigest, image.digest);
      assert.equal(claims.UntrustedDockerReference, reference);
    }
  });

  void it("of every signature vector agrees with skopeo's dump, or both refuse to read it", async (t) => {
    if (!hasTools(t)) return;
    const blobs = filesBelow(join(vectors, "dir-images", "blobs"), (name) => /\.signature(-v3)?$/.test(name));
    const redHat = filesBelow(join(vectors, "redhat", "signatures"), () => true);
    const files = [...blobs, ...redHat];
    assert.ok(blobs.length >= 15 && redHat.length > 0, `${blobs.length} and ${redHat.length} files`);
    let agreed = 0;
    const differences: string[] = [];
    for (const file of files) {
      const [theirs, ours] = await Promise.all([
        bench.skopeo(["untrusted-signature-dump-without-verification", file]),
        bench.signet(["signature", "inspect", "-o", "json", file]),
      ]);
      if (ours.status !== 0) assertRejected(ours);
      const [theirClaims, ourClaims] = [theirs, ours].map(({ status, stdout }) =>
        status === 0 ? readClaims(stdout) : "refused",
      );
      try {
        assert.deepEqual(ourClaims, theirClaims);
        agreed += 1;
      } catch {
        differences.push(`${file.slice(vectors.length + 1)}: ${JSON.stringify({ ourClaims, theirClaims })}`);
      }
    }
    assert.deepEqual(differences, []);
    assert.equal(agreed, files.length);
  });

  void it("of an image in a registry agrees with skopeo inspect on manifest, digest and layers, for an image and a list", async (t) => {
    if (!hasTools(t)) return;
    const { docker, gpgKeys } = bench;
    const name = `docker://${docker.host}/inspect/app`;
    const list = buildTestIndex([image, await buildTestImage({ architecture: "arm64", format: "oci" })], "oci");
    await bench.push(`${docker.host}/inspect/app:image`, image);
    await bench.push(`${docker.host}/inspect/app:list`, list);
    for (const [tag, expected] of Object.entries({ image, list })) {
      const [theirs, ours] = await Promise.all([
        bench.skopeo(["inspect", "--raw", `${name}:${tag}`]),
        bench.signet(["inspect", "--raw", ...plainHttp, `${name}:${tag}`]),
      ]);
      assert.deepEqual(assertDone(theirs).stdoutBytes, Buffer.from(expected.manifest));
      assert.deepEqual(assertDone(ours).stdoutBytes, Buffer.from(expected.manifest));
    }
    const sign = ["copy", "--insecure-policy", "--sign-by", gpgKeys.rsa2048.fingerprint];
    assertDone(await bench.skopeo([...sign, `${name}:image`, `${name}:signed`]));
    const signature = bench.lookasideFile("inspect/app", image.digest);
    const [theirs, ours, dump] = await Promise.all([
      bench.skopeo(["inspect", `${name}:signed`]),
      bench.signet(["inspect", "-o", "json", ...plainHttp, `${name}:signed`]),
      bench.skopeo(["untrusted-signature-dump-without-verification", signature]),
    ]);
    const their = JSON.parse(assertDone(theirs).stdout) as { Digest: string; Layers: string[] };
    const our = JSON.parse(assertDone(ours).stdout) as {
      digest: string;
      layers: { digest: string }[];
      signatures: (Claims & { verified: boolean })[];
    };
    assert.equal(our.digest, their.Digest);
    assert.deepEqual(
      our.layers.map((layer) => layer.digest),
      their.Layers,
    );
    assert.equal(our.signatures.length, 1);
    assert.equal(our.signatures[0]!.verified, false);
    assert.deepEqual(readClaims(JSON.stringify(our.signatures[0])), readClaims(assertDone(dump).stdout));
  });

  void it("as the digest of every manifest vector is skopeo's, and where skopeo has none Signet has none", async (t) => {
    if (!hasTools(t)) return;
    const isManifest = (name: string): boolean =>
      /manifest\.json$|^oci.*\.json$|^schema2.*\.json$|^v2.*\.json$/.test(name);
    const all = ["manifest", "dir-images"].flatMap((folder) => filesBelow(join(vectors, folder), isManifest));
    all.push(bench.path("empty-manifest"));
    writeFileSync(all.at(-1)!, "");
    const files = [...new Map(all.map((file) => [readFileSync(file, "latin1"), file])).values()];
    assert.ok(all.length >= 30 && files.length >= 20, `${all.length} files, ${files.length} of them different`);
    let digests = 0;
    for (const file of files) {
      const [theirs, ours] = await Promise.all([
        bench.skopeo(["manifest-digest", file]),
        bench.signet(["manifest-digest", file]),
      ]);
      assert.equal(ours.stdout, theirs.stdout, `${file}: ${theirs.stderr}${ours.stderr}`);
      assert.deepEqual([ours.status === 0, theirs.status === 0], [theirs.stdout !== "", theirs.stdout !== ""], file);
      if (ours.status !== 0) assert.equal(ours.status, 2, file);
      else digests += 1;
    }
    assert.ok(digests >= 20 && digests < files.length, `${digests} digests of ${files.length} files`);
  });

  void it("and what standalone-sign writes has the payload of skopeo, but for creator and time", async (t) => {
    if (!hasTools(t)) return;
    const folder = bench.path("payloads");
    writeDirImage(folder, image);
    const reference = "registry.example.com/team/app:1";
    const payloads: string[] = [];
    for (const tool of ["skopeo", "signet"] as const) {
      const file = bench.path();
      const key = bench.gpgKeys.ed25519.secret;
      assertDone(await bench[tool](["standalone-sign", join(folder, "manifest.json"), reference, key, "-o", file]));
      assert.ok(readFileSync(file).length > 0);
      payloads.push(assertDone(await bench.gpg.gpg(["--decrypt", file])).stdout);
    }
    const [theirs, ours] = payloads.map((payload) =>
      payload.replace(/"creator":"[^"]+"/, '"creator":"…"').replace(/"timestamp":\d+/, '"timestamp":0'),
    );
    assert.equal(ours, theirs);
    assert.match(ours!, /"optional":\{"creator":"…","timestamp":0\}\}$/);
  });
});
