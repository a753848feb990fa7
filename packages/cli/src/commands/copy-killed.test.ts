/** `signet copy` as a process that is killed: what lies at the destination is the old or the new image, and the next run leaves nothing of the killed one. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createSignature, generateKey, openSecretKey, parseDigest } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type ImageSource, openImageSource, parseImageName } from "@signet/images";
import {
  type TempDir,
  type TestImage,
  buildTestImage,
  buildTestIndex,
  makeSeededRandom,
  makeTempDir,
  startTestRegistry,
  writeDirImage,
} from "@signet/testkit";
import { runSignet, signetEnvironment, signetScript } from "../signet-process.ts";

/** Kills for each destination, some fifty in all; more by the environment, for a longer search. */
const KILLS = Number(process.env["SIGNET_KILLS"] ?? 14);

/** Milliseconds of work after which a process is killed, at most; a copy of these images takes about that long. */
const LONGEST_LIFE_MS = 50;

/** Signatures of each image. */
const SIGNATURES = 3;

interface Side {
  readonly image: TestImage;
  readonly folder: string;
  readonly signatures: readonly Uint8Array[];
}

/** Two images as folders, signed where the destination can keep signatures. */
async function makeSides(dir: TempDir, isSigned: boolean): Promise<readonly [Side, Side]> {
  const now = Date.now();
  const key = await generateKey({ engine: nodeEngine, now, userIds: ["K <k@example.com>"], algorithm: "ed25519" });
  const signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now });
  const make = async (seed: number): Promise<Side> => {
    const image = await buildTestImage({ seed, layers: 3, layerBytes: 100_000, format: "oci" });
    const signatures: Uint8Array[] = [];
    for (let number = 0; isSigned && number < SIGNATURES; number++) {
      const options = { engine: nodeEngine, now, creator: `test ${number}` };
      signatures.push((await createSignature(image.manifest, "registry.example.com/app:1", signer, options)).bytes);
    }
    const folder = dir.join(`from-${seed}`);
    writeDirImage(folder, image, signatures);
    return { image, folder, signatures };
  };
  return [await make(1), await make(2)];
}

/** Starts a copy and kills it at a random moment of its work. */
async function copyAndKill(t: TestContext, args: readonly string[], lifeMs: number): Promise<void> {
  const child = spawn(process.execPath, [signetScript, "copy", "--insecure-policy", ...args], {
    env: signetEnvironment(),
    stdio: ["ignore", "ignore", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  const ended = once(child, "exit");
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString("utf8");
      if (said.includes("Copying ")) resolve();
    });
    child.once("exit", () => reject(new Error(`signet copy ended before it began to copy: ${said}`)));
  });
  await sleep(lifeMs);
  child.kill("SIGKILL");
  await ended;
}

/** Which of the two is there, read whole with all of its signatures; undefined for nothing. */
async function readWhole(source: ImageSource, sides: readonly [Side, Side]): Promise<Side> {
  const top = await source.manifest();
  const side = sides.find(({ image }) => image.digest === top.digest);
  assert.ok(side !== undefined, `${top.digest} is neither of the two`);
  for (const { digest, bytes } of [side.image.config, ...side.image.layers])
    for await (const _ of source.blob({ digest: parseDigest(digest), size: bytes.length }));
  const { signatures } = await source.signatures(top.digest);
  for (const [index, wanted] of side.signatures.entries())
    assert.ok(
      signatures.some(({ bytes }) => Buffer.compare(bytes, wanted) === 0),
      `signature ${index + 1} of the image is not among the ${signatures.length} that are there`,
    );
  return side;
}

const hidden = (path: string): readonly string[] =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
    ? readdirSync(path).filter((name) => name.startsWith("."))
    : [];

void describe("signet copy, killed", () => {
  for (const form of ["dir:image", "oci:layout:name", "oci-archive:archive.tar:name"]) {
    void it(`leaves at ${form} the old or the new image, and the next run leaves nothing of it`, async (t) => {
      const dir = makeTempDir("signet-killed-");
      t.after(() => dir.dispose());
      const sides = await makeSides(dir, form.startsWith("dir:"));
      const [transport, file, ...rest] = form.split(":");
      mkdirSync(dir.join("place"));
      const path = dir.join("place", file!);
      const target = [transport, path, ...rest].join(":");
      const random = makeSeededRandom(31);
      let current: Side | undefined;
      let halfWay = 0;
      const kills = form.startsWith("oci-archive") ? Math.ceil(KILLS / 3) : KILLS;
      for (let kill = 0; kill < kills; kill++) {
        const next = current === sides[0] ? sides[1] : sides[0];
        await copyAndKill(t, [`dir:${next.folder}`, target], random.integer(LONGEST_LIFE_MS));
        if ([dirname(path), path].some((folder) => hidden(folder).length > 0)) halfWay++;
        if (!existsSync(path)) {
          assert.equal(current, undefined, "the old image is gone");
          continue;
        }
        await using source = await openImageSource(await parseImageName(target));
        current = await readWhole(source, sides);
      }
      t.diagnostic(`${halfWay} of ${kills} processes were killed half-way`);
      assert.ok(halfWay > 0);
      const last = await runSignet(["copy", "--insecure-policy", `dir:${sides[1].folder}`, target]);
      assert.equal(last.status, 0, last.stderr);
      await using source = await openImageSource(await parseImageName(target));
      assert.equal(await readWhole(source, sides), sides[1]);
      assert.deepEqual(hidden(dirname(path)), []);
      if (transport !== "oci-archive") assert.deepEqual(hidden(path), []);
      assert.deepEqual(readdirSync(dirname(path)), [basename(path)]);
      if (transport === "dir") assert.equal(readdirSync(path).length, 2 + 4 + SIGNATURES, readdirSync(path).join(" "));
    });
  }

  void it("never shows a tag in a registry without the image's blobs and signatures", async (t) => {
    const dir = makeTempDir("signet-killed-");
    t.after(() => dir.dispose());
    const registry = await startTestRegistry();
    t.after(() => registry.dispose());
    const sides = await makeSides(dir, true);
    mkdirSync(dir.join("registries.d"));
    writeFileSync(dir.join("registries.d/all.yaml"), `default-docker: {lookaside: "file://${dir.join("sig")}"}\n`);
    const random = makeSeededRandom(32);
    const lookaside = ({ image }: Side): string => dir.join("sig", `app@${image.digest.replace(":", "=")}`);
    const flags = ["--dest-tls-verify=false", "--registries.d", dir.join("registries.d")];
    const target = `docker://${registry.host}/app:1`;
    let current: Side | undefined;
    const check = (): Side | undefined => {
      const digest = registry.manifest("app", "1")?.digest;
      if (digest === undefined) return undefined;
      const side = sides.find(({ image }) => image.digest === digest);
      assert.ok(side !== undefined);
      for (const { digest: blob } of [side.image.config, ...side.image.layers])
        assert.ok(registry.blob("app", blob) !== undefined, blob);
      for (const [index, bytes] of side.signatures.entries())
        assert.deepEqual(new Uint8Array(readFileSync(join(lookaside(side), `signature-${index + 1}`))), bytes);
      return side;
    };
    for (let kill = 0; kill < KILLS; kill++) {
      const next = current === sides[0] ? sides[1] : sides[0];
      rmSync(lookaside(next), { recursive: true, force: true });
      await copyAndKill(t, [...flags, `dir:${next.folder}`, target], random.integer(2 * LONGEST_LIFE_MS));
      const found = check();
      assert.ok(found === current || found === next);
      current = found;
    }
    for (const side of sides) {
      const last = await runSignet(["copy", "--insecure-policy", ...flags, `dir:${side.folder}`, target]);
      assert.equal(last.status, 0, last.stderr);
      assert.equal(check(), side);
      assert.equal(readdirSync(lookaside(side)).length, SIGNATURES);
    }
  });

  void it("leaves a list whole with all instances", async (t) => {
    const dir = makeTempDir("signet-killed-");
    t.after(() => dir.dispose());
    const lists = await Promise.all(
      [1, 3].map(async (seed) =>
        buildTestIndex([await buildTestImage({ seed }), await buildTestImage({ seed: seed + 1 })]),
      ),
    );
    for (const [index, list] of lists.entries()) writeDirImage(dir.join(`list-${index}`), list);
    const target = `dir:${dir.join("to")}`;
    const random = makeSeededRandom(33);
    for (let kill = 0; kill < Math.ceil(KILLS / 3); kill++) {
      await copyAndKill(t, ["--all", `dir:${dir.join(`list-${kill % 2}`)}`, target], random.integer(LONGEST_LIFE_MS));
      if (!existsSync(dir.join("to"))) continue;
      await using source = await openImageSource(await parseImageName(target));
      const top = await source.manifest();
      const list = lists.find(({ digest }) => digest === top.digest);
      assert.ok(list !== undefined);
      for (const image of list.images) {
        await source.manifest(parseDigest(image.digest));
        for (const { digest } of [image.config, ...image.layers])
          for await (const _ of source.blob({ digest: parseDigest(digest) }));
      }
    }
  });
});
