/** Sigstore attachments and referrers between real registries: what skopeo wrote, Signet carries, and skopeo reads again. */
import assert from "node:assert/strict";
import { generateKeyPairSync, sign, verify } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  type DockerRegistry,
  type TestImage,
  buildTestImage,
  httpPushTarget,
  pushTestAttachments,
  pushTestReferrer,
  pushTestReferrersTag,
  startDockerRegistry,
  writeDirImage,
} from "@signet/testkit";
import { type Bench, assertDone, hasTools, makeBenchIfPossible, plainHttp, plainHttpCopy } from "./bench.test.ts";

const identity = "registry.example.com/travel/app";
const payloadType = "application/vnd.dev.cosign.simplesigning.v1+json";

interface Key {
  /** A `signature-N` as cosign's signatures are kept in. */
  signBlob(image: TestImage): Uint8Array;
  /** Whether a `signature-N` is this key's signature of the image. */
  hasSigned(blob: Uint8Array, image: TestImage): boolean;
}

/** A key of cosign's kind: EC P-256. */
function makeKey(): Key {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    signBlob(image) {
      const payload = Buffer.from(
        JSON.stringify({
          critical: {
            identity: { "docker-reference": identity },
            image: { "docker-manifest-digest": image.digest },
            type: "cosign container image signature",
          },
          optional: null,
        }),
      );
      const signature = sign("sha256", payload, privateKey).toString("base64");
      const blob = {
        mimeType: payloadType,
        payload: payload.toString("base64"),
        annotations: { "dev.cosignproject.cosign/signature": signature },
      };
      return Buffer.from(`\0sigstore-json\n${JSON.stringify(blob)}`);
    },
    hasSigned(blob, image) {
      const text = Buffer.from(blob).toString().replace("\0sigstore-json\n", "");
      const { payload, annotations } = JSON.parse(text) as { payload: string; annotations: Record<string, string> };
      const bytes = Buffer.from(payload, "base64");
      const signature = Buffer.from(annotations["dev.cosignproject.cosign/signature"]!, "base64");
      return bytes.includes(image.digest) && verify("sha256", bytes, publicKey, signature);
    },
  };
}

void describe("sigstore attachments between registries", { concurrency: false }, () => {
  let bench: Bench;
  let mirror: DockerRegistry;
  let image: TestImage;
  const key = makeKey();

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    mirror = await startDockerRegistry();
    bench.home.allowInsecure(mirror.host);
    image = await buildTestImage({ layers: 2 });
  });
  after(async () => {
    await mirror?.dispose();
    await bench?.[Symbol.asyncDispose]();
  });

  /** For all of both registries, or not: skopeo and Signet read the same files. */
  const useAttachments = (isOn: boolean): void => {
    for (const [file, host] of [
      ["attach-docker", `${bench.docker.host}/travel`],
      ["attach-mirror", mirror.host],
    ] as const)
      bench.home.writeRegistriesD(file, { docker: { [host]: { "use-sigstore-attachments": isOn } } });
  };

  /**
   * Whether skopeo finds a signature by the key. It reads it only: Debian builds skopeo without the evaluation of sigstoreSigned, so the cryptography is checked here.
   */
  const skopeoFinds = async (name: string, of: TestImage = image): Promise<boolean> => {
    const folder = bench.path();
    assertDone(await bench.skopeo(["copy", "--insecure-policy", "--quiet", name, `dir:${folder}`]));
    const files = readdirSync(folder).filter((file) => file.startsWith("signature-"));
    return files.some((file) => key.hasSigned(readFileSync(join(folder, file)), of));
  };

  const signetCopy = (...args: readonly string[]): ReturnType<Bench["signet"]> =>
    bench.signet(["copy", "--insecure-policy", ...plainHttpCopy, ...args]);

  void it("written by skopeo, carried by signet copy to another registry and through dir:, oci: and oci-archive:, are what skopeo reads", async (t) => {
    if (!hasTools(t)) return;
    useAttachments(true);
    const start = bench.path();
    writeDirImage(start, image, [key.signBlob(image)]);
    const origin = `docker://${bench.docker.host}/travel/app:1`;
    assertDone(await bench.skopeo(["copy", "--insecure-policy", `dir:${start}`, origin]));
    assert.ok(await skopeoFinds(origin));

    const tag = `${image.digest.replace(":", "-")}.sig`;
    const fetchTag = async (registry: DockerRegistry, repository: string): Promise<string> =>
      (await fetch(`${registry.url}/v2/${repository}/manifests/${tag}`, { headers: { accept: "*/*" } })).text();
    const written = await fetchTag(bench.docker, "travel/app");

    const copied = assertDone(await signetCopy(origin, `docker://${mirror.host}/copy/app:1`));
    assert.match(copied.stdout, /companions: 1 under cosign's tags/);
    assert.ok(await skopeoFinds(`docker://${mirror.host}/copy/app:1`));
    assert.equal(await fetchTag(mirror, "copy/app"), written);

    const folder = bench.path();
    assertDone(await signetCopy(origin, `dir:${folder}`));
    assert.deepEqual(readFileSync(join(folder, "signature-1")), readFileSync(join(start, "signature-1")));
    assert.ok(await skopeoFinds(`dir:${folder}`));
    assertDone(await signetCopy(`dir:${folder}`, `docker://${mirror.host}/by/dir:1`));
    assert.ok(await skopeoFinds(`docker://${mirror.host}/by/dir:1`));

    // The manifest is docker's, which a layout does not hold: the other image of this bench is the OCI's.
    const oci = await buildTestImage({ format: "oci", seed: 7 });
    const other = bench.path();
    writeDirImage(other, oci, [key.signBlob(oci)]);
    const ociOrigin = `docker://${bench.docker.host}/travel/oci:1`;
    assertDone(await bench.skopeo(["copy", "--insecure-policy", `dir:${other}`, ociOrigin]));
    for (const transport of ["oci", "oci-archive"]) {
      const place = `${transport}:${bench.path()}:1`;
      assertDone(await signetCopy(ociOrigin, place));
      assertDone(await signetCopy(place, `docker://${mirror.host}/by/${transport}:1`));
      assert.ok(await skopeoFinds(`docker://${mirror.host}/by/${transport}:1`, oci), transport);
      // skopeo finds the image by its name, and what lies beside it does not disturb.
      assertDone(await bench.skopeo(["copy", "--insecure-policy", place, `dir:${bench.path()}`]));
    }
  });

  void it("are carried although registries.d has them off, which skopeo loses, and stay away when told so", async (t) => {
    if (!hasTools(t)) return;
    useAttachments(true);
    const start = bench.path();
    writeDirImage(start, image, [key.signBlob(image)]);
    const origin = `docker://${bench.docker.host}/travel/off:1`;
    assertDone(await bench.skopeo(["copy", "--insecure-policy", `dir:${start}`, origin]));
    useAttachments(false);
    assertDone(await signetCopy(origin, `docker://${mirror.host}/off/signet:1`));
    assertDone(await bench.skopeo(["copy", "--insecure-policy", origin, `docker://${mirror.host}/off/skopeo:1`]));
    assertDone(await signetCopy("--companions", "none", origin, `docker://${mirror.host}/off/none:1`));
    assertDone(await signetCopy("--remove-signatures", origin, `docker://${mirror.host}/off/removed:1`));
    const refused = await signetCopy(`dir:${start}`, `docker://${mirror.host}/off/refused:1`);
    const theirs = await bench.skopeo([
      "copy",
      "--insecure-policy",
      `dir:${start}`,
      `docker://${mirror.host}/off/refused:1`,
    ]);
    for (const { status, stderr } of [refused, theirs]) {
      assert.notEqual(status, 0);
      assert.match(stderr, /writing sigstore attachments is disabled by configuration/);
    }
    useAttachments(true);
    assert.deepEqual(
      await Promise.all(
        ["signet", "skopeo", "none", "removed"].map((name) => skopeoFinds(`docker://${mirror.host}/off/${name}:1`)),
      ),
      [true, false, false, false],
    );
  });

  void it("are added to by skopeo and Signet in turn, and skopeo reads both signatures", async (t) => {
    if (!hasTools(t)) return;
    useAttachments(true);
    const other = makeKey();
    const target = `docker://${mirror.host}/both/app:1`;
    const folders = [other, key].map((one) => {
      const folder = bench.path();
      writeDirImage(folder, image, [one.signBlob(image)]);
      return folder;
    });
    assertDone(await bench.skopeo(["copy", "--insecure-policy", `dir:${folders[0]}`, target]));
    assert.equal(await skopeoFinds(target), false);
    assertDone(await signetCopy(`dir:${folders[1]}`, target));
    assert.equal(await skopeoFinds(target), true);
    // A second time changes nothing, for neither of them.
    assertDone(await signetCopy(`dir:${folders[1]}`, target));
    assertDone(await bench.skopeo(["copy", "--insecure-policy", `dir:${folders[1]}`, target]));
    const inspected = assertDone(await bench.signet(["inspect", "-o", "json", ...plainHttp, target]));
    const { signatures } = JSON.parse(inspected.stdout) as { signatures: { format: string }[] };
    assert.deepEqual(
      signatures.map(({ format }) => format),
      ["sigstore-json", "sigstore-json"],
    );
  });

  void it("travel with attestations and referrers between registries that have no referrers API", async (t) => {
    if (!hasTools(t)) return;
    const push = httpPushTarget(bench.docker.url);
    const spdx = "application/spdx+json";
    await bench.push(`${bench.docker.host}/travel/all:1`, image);
    await pushTestAttachments(push, "travel/all", image.digest, "att", [{ payload: "statement" }]);
    const referrer = await pushTestReferrer(push, "travel/all", image, spdx, "an SBOM");
    await pushTestReferrersTag(push, "travel/all", image.digest, [referrer], spdx);
    const theirs = httpPushTarget(mirror.url);
    await bench.push(`${bench.docker.host}/travel/all:1`, image);
    const there = await pushTestReferrer(theirs, "all/app", image, spdx, "there before");
    await pushTestReferrersTag(theirs, "all/app", image.digest, [there], spdx);
    assertDone(await signetCopy(`docker://${bench.docker.host}/travel/all:1`, `docker://${mirror.host}/all/app:1`));
    const inspected = assertDone(
      await bench.signet(["inspect", "-o", "json", ...plainHttp, `docker://${mirror.host}/all/app:1`]),
    );
    const { companions } = JSON.parse(inspected.stdout) as {
      companions: { digest: string; tag?: string; artifactType: string }[];
    };
    assert.deepEqual(
      companions.map(({ tag, digest }) => tag ?? digest),
      [`${image.digest.replace(":", "-")}.att`, there.digest, referrer.digest],
    );
  });
});
