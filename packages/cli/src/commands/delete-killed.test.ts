/** `signet delete` as a process that is killed: the image is there whole or it is gone, and the same command brings the rest to its end. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { type TestContext, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseDigest } from "@signet/core";
import { openImageSource, parseImageName } from "@signet/images";
import {
  type SeededRandom,
  type TempDir,
  type TestImage,
  buildTestImage,
  buildTestIndex,
  httpPushTarget,
  makeSeededRandom,
  makeTempDir,
  pushTestImage,
  requireTool,
  startDockerRegistry,
  writeDirImage,
} from "@signet/testkit";
import { runSignet, signetEnvironment, signetScript } from "../signet-process.ts";

/** Kills for each place, some fifty in all; more by the environment, for a longer search. */
const KILLS = Number(process.env["SIGNET_KILLS"] ?? 14);

/** Milliseconds of work after which a process is killed, at most; a deletion takes about that long. */
const LONGEST_LIFE_MS = 30;

/** Signatures of each manifest. */
const SIGNATURES = 3;

/** Starts a deletion and kills it at a random moment after it has begun to delete. */
async function deleteAndKill(t: TestContext, args: readonly string[], random: SeededRandom): Promise<void> {
  const child = spawn(process.execPath, [signetScript, "delete", ...args], {
    env: signetEnvironment(),
    stdio: ["ignore", "ignore", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  const ended = once(child, "exit");
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString("utf8");
      if (said.includes("Deleting ")) resolve();
    });
    child.once("exit", () => reject(new Error(`signet delete ended before it began: ${said}`)));
  });
  await sleep(random.integer(LONGEST_LIFE_MS));
  child.kill("SIGKILL");
  await ended;
}

function makeFolder(t: TestContext): TempDir {
  const dir = makeTempDir("signet-delete-killed-");
  t.after(() => dir.dispose());
  return dir;
}

async function readWhole(name: string, image: TestImage): Promise<void> {
  await using source = await openImageSource(await parseImageName(name));
  assert.equal((await source.manifest()).digest, image.digest);
  for (const { digest, bytes } of [image.config, ...image.layers])
    for await (const _ of source.blob({ digest: parseDigest(digest), size: bytes.length }));
}

/** All that lies below a folder, without the folders. */
const filesBelow = (path: string): readonly string[] =>
  existsSync(path)
    ? readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map(({ name }) => name)
    : [];

describe("signet delete, killed", () => {
  it("in docker-registry leaves a tag with its image and all signatures, or no tag, and completes by the same name", async (t) => {
    if (requireTool(t, "docker-registry") === undefined) return;
    const dir = makeFolder(t);
    await using registry = await startDockerRegistry();
    mkdirSync(dir.join("rd"));
    writeFileSync(dir.join("rd/all.yaml"), `default-docker: {lookaside: "file://${dir.join("sig")}"}\n`);
    const random = makeSeededRandom(41);
    const list = buildTestIndex([await buildTestImage({ seed: 1 }), await buildTestImage({ seed: 2 })]);
    const image = await buildTestImage({ seed: 3 });
    const target = httpPushTarget(registry.url);
    const isThere = async (reference: string): Promise<boolean> => {
      const accept = `${image.mediaType}, ${list.mediaType}`;
      const response = await fetch(`${registry.url}/v2/team/app/manifests/${reference}`, { headers: { accept } });
      await response.arrayBuffer();
      return response.ok;
    };
    const folderOf = (digest: string): string => dir.join("sig/team", `app@${digest.replace(":", "=")}`);
    let withoutTag = 0;
    let noted = 0;
    for (let kill = 0; kill < 2 * KILLS; kill++) {
      const top = kill % 2 === 0 ? image : list;
      const manifests = top === list ? [list, ...list.images] : [image];
      await pushTestImage(target, "team/app:1", top);
      for (const { digest } of manifests) {
        mkdirSync(folderOf(digest), { recursive: true });
        for (let number = 1; number <= SIGNATURES; number++)
          writeFileSync(`${folderOf(digest)}/signature-${number}`, `${number}`);
      }
      const args = [
        "--all",
        "--tls-verify=false",
        "--registries.d",
        dir.join("rd"),
        `docker://${registry.host}/team/app:1`,
      ];
      await deleteAndKill(t, args, random);
      const left = filesBelow(dir.join("sig"));
      const isTagged = await isThere("1");
      if (isTagged) {
        for (const { digest } of manifests)
          assert.equal(filesBelow(folderOf(digest)).filter((name) => name.startsWith("signature-")).length, SIGNATURES);
      } else {
        withoutTag++;
        if (left.length > 0) noted++;
      }
      const next = await runSignet(["delete", ...args]);
      if (isTagged || left.length > 0) assert.equal(next.status, 0, next.stderr);
      else assert.deepEqual([next.status, /not found/.test(next.stderr)], [2, true], next.stderr);
      assert.equal(await isThere("1"), false);
      // Instances that a killed process left are images of their own, signed as before; the command for each is named.
      const instances = [];
      for (const { digest } of manifests) if (await isThere(digest)) instances.push(digest);
      for (const digest of instances) {
        assert.notEqual(digest, top.digest);
        assert.ok(next.stderr.includes(`signet delete ${registry.host}/team/app@${digest}`), next.stderr);
        const command = ["--tls-verify=false", "--registries.d", dir.join("rd"), `${registry.host}/team/app@${digest}`];
        const last = await runSignet(["delete", ...command]);
        assert.equal(last.status, 0, last.stderr);
      }
      assert.deepEqual(filesBelow(dir.join("sig")), []);
    }
    t.diagnostic(
      `of ${2 * KILLS} processes ${withoutTag} had deleted the tag, ${noted} of them with something left to do`,
    );
    assert.ok(noted > 0);
  });

  it("at dir: leaves the image or none, and the next run removes what is left", async (t) => {
    const dir = makeFolder(t);
    const random = makeSeededRandom(42);
    const image = await buildTestImage({ layers: 40, layerBytes: 1000, format: "oci" });
    const signatures = Array.from({ length: 20 }, (_, number) => new Uint8Array([number + 1]));
    const path = dir.join("image");
    let halfWay = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      writeDirImage(path, image, signatures);
      const count = filesBelow(path).length;
      await deleteAndKill(t, [`dir:${path}`], random);
      if (!existsSync(path)) continue;
      const left = filesBelow(path);
      if (left.includes("manifest.json")) assert.equal(left.length, count);
      else halfWay++;
      const next = await runSignet(["delete", `dir:${path}`]);
      if (left.length === 0) {
        // Nothing of the image is left; an empty folder says of nobody that it was his.
        assert.deepEqual([next.status, /holds no dir: image/.test(next.stderr)], [2, true], next.stderr);
        continue;
      }
      assert.equal(next.status, 0, next.stderr);
      assert.equal(existsSync(path), false);
    }
    t.diagnostic(`${halfWay} of ${KILLS} processes were killed half-way`);
  });

  it("at oci: leaves the image or none, never another one's blobs, and the next run removes what is left", async (t) => {
    const dir = makeFolder(t);
    const random = makeSeededRandom(43);
    const layout = dir.join("layout");
    const [image, other] = [
      await buildTestImage({ seed: 1, layers: 40, layerBytes: 1000, format: "oci" }),
      await buildTestImage({ seed: 2, format: "oci" }),
    ];
    for (const [name, one] of Object.entries({ image, other })) writeDirImage(dir.join(name), one);
    const copy = async (name: string): Promise<void> => {
      const run = await runSignet([
        "copy",
        "--insecure-policy",
        "-q",
        `dir:${dir.join(name)}`,
        `oci:${layout}:${name}`,
      ]);
      assert.equal(run.status, 0, run.stderr);
    };
    await copy("other");
    const before = filesBelow(layout).toSorted();
    let halfWay = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      await copy("image");
      await deleteAndKill(t, [`oci:${layout}:image`], random);
      await readWhole(`oci:${layout}:other`, other);
      const isNoted = existsSync(`${layout}/.signet-deletion`);
      const isNamed = await readWhole(`oci:${layout}:image`, image).then(
        () => true,
        (error: unknown) => {
          assert.equal((error as { readonly code?: string }).code, "image-missing");
          return false;
        },
      );
      if (isNoted && !isNamed) halfWay++;
      const next = await runSignet(["delete", `oci:${layout}:image`]);
      if (isNoted || isNamed) assert.equal(next.status, 0, next.stderr);
      else assert.equal(next.status, 2);
      assert.deepEqual(
        filesBelow(layout)
          .filter((name) => !/\.lock/.test(name))
          .toSorted(),
        before,
      );
    }
    t.diagnostic(`${halfWay} of ${KILLS} processes were killed half-way`);
    await readWhole(`oci:${layout}:other`, other);
  });
});
