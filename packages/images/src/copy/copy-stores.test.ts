import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { type TestContext, before, describe, it } from "node:test";
import { type Signer, createSignature, generateKey, openSecretKey, writeSignatureBlob } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type TempDir,
  type TestImage,
  type TestRegistry,
  buildTestImage,
  makeTempDir,
  pushTestImage,
  requireTool,
  startDockerRegistry,
  startTestRegistry,
  writeDirImage,
} from "@signet/testkit";
import { loadRegistriesD } from "../config/registries-d.ts";
import { RegistryClients } from "../registry/client.ts";
import { chooseSignatureStore } from "../stores/choose-store.ts";
import { addDirSignature } from "../transports/dir-signatures.ts";
import { parseImageName } from "../transports/image-name.ts";
import { type OpenOptions, openImageDestination, openImageSource } from "../transports/open.ts";
import { copyImage } from "./copy-image.ts";
import type { CopyOptions, CopyResult } from "./copy-options.ts";

const now = Date.now();
let signer: Signer;

before(async () => {
  const key = await generateKey({ engine: nodeEngine, now, userIds: ["R <r@example.com>"], algorithm: "ed25519" });
  signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now });
});

/** A signature that says something; each call makes another one. */
let serial = 0;
async function makeSignature(image: TestImage, identity = "registry.example.com/team/app:1"): Promise<Uint8Array> {
  serial++;
  const options = { engine: nodeEngine, now, creator: `test ${serial}` };
  return (await createSignature(image.manifest, identity, signer, options)).bytes;
}

/** Three places with signatures: a registry with the signatures API, one with a lookaside folder, and folders. */
interface Stage {
  readonly dir: TempDir;
  readonly extension: TestRegistry;
  readonly lookaside: TestRegistry;
  readonly open: OpenOptions;
  readonly copy: (from: string, to: string, options?: CopyOptions) => Promise<CopyResult>;
  readonly signaturesAt: (name: string) => Promise<readonly Uint8Array[]>;
}

async function makeStage(t: TestContext): Promise<Stage> {
  const dir = makeTempDir("signet-copy-stores-");
  t.after(() => dir.dispose());
  const extension = await startTestRegistry({ signaturesExtension: true });
  t.after(() => extension.dispose());
  const lookaside = await startTestRegistry();
  t.after(() => lookaside.dispose());
  mkdirSync(dir.join("registries.d"));
  writeFileSync(dir.join("registries.d/test.yaml"), `default-docker: {lookaside: "file://${dir.join("sig")}"}\n`);
  const host = { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" };
  const clients = new RegistryClients({ host, tlsVerify: false, retryTimes: 0 });
  t.after(() => clients.close());
  const registriesD = await loadRegistriesD({ host, directory: dir.join("registries.d") });
  const open: OpenOptions = {
    docker: {
      clients,
      chooseSignatureStore: async (client, reference) =>
        (await chooseSignatureStore(client, reference, { registriesD, clients })).store,
    },
  };
  return {
    dir,
    extension,
    lookaside,
    open,
    async copy(from, to, options) {
      await using source = await openImageSource(await parseImageName(from), open);
      await using destination = await openImageDestination(await parseImageName(to), open);
      return await copyImage(source, destination, options);
    },
    async signaturesAt(name) {
      await using source = await openImageSource(await parseImageName(name), open);
      return (await source.signatures((await source.manifest()).digest)).signatures.map(({ bytes }) =>
        Uint8Array.from(bytes),
      );
    },
  };
}

const places = ["extension", "lookaside", "dir"] as const;
type Place = (typeof places)[number];

const nameAt = (stage: Stage, place: Place, name: string): string =>
  place === "dir" ? `dir:${stage.dir.join(name)}` : `docker://${stage[place].host}/${name}:1`;

void describe("copyImage, signatures between stores", () => {
  for (const from of places) {
    for (const to of places) {
      void it(`carries them from ${from} to ${to}, beside what is there and without doubles`, async (t) => {
        const stage = await makeStage(t);
        const image = await buildTestImage();
        const [one, two, three] = await Promise.all([1, 2, 3].map(() => makeSignature(image)));
        const [source, target] = [nameAt(stage, from, "source"), nameAt(stage, to, "target")];
        const put = async (name: string, folder: string, blobs: readonly Uint8Array[]): Promise<void> => {
          writeDirImage(stage.dir.join(folder), image, blobs);
          await stage.copy(`dir:${stage.dir.join(folder)}`, name);
        };
        await put(source, "a", [one!, two!]);
        await put(target, "b", [two!, three!]);
        const result = await stage.copy(source, target);
        assert.deepEqual(result.signatures, { carried: 2, kept: 1, made: 0 });
        assert.deepEqual(await stage.signaturesAt(target), [two, three, one]);
        await stage.copy(source, target);
        assert.deepEqual(await stage.signaturesAt(target), [two, three, one]);
        // Also those stay that the source has no counterpart for at all.
        await put(target, "c", []);
        assert.deepEqual(await stage.signaturesAt(target), [two, three, one]);
        const left = await stage.copy(source, target, { removeSignatures: true });
        assert.deepEqual(left.signatures, { carried: 0, kept: 3, made: 0 });
        assert.deepEqual(await stage.signaturesAt(target), [two, three, one]);
      });
    }
  }

  void it("takes a framed signature for the same as the bare one", async (t) => {
    const stage = await makeStage(t);
    const image = await buildTestImage();
    const bare = await makeSignature(image);
    const framed = writeSignatureBlob({ format: "simple-signing", message: bare });
    const tagged = Buffer.concat([Buffer.from("\0simple-signing\n"), bare]);
    writeDirImage(stage.dir.join("from"), image, [tagged]);
    writeDirImage(stage.dir.join("to"), image, [framed]);
    const result = await stage.copy(`dir:${stage.dir.join("from")}`, `dir:${stage.dir.join("to")}`);
    assert.deepEqual(result.signatures, { carried: 1, kept: 0, made: 0 });
    assert.equal((await stage.signaturesAt(`dir:${stage.dir.join("to")}`)).length, 1);
  });

  void it("gives another image that a folder held its own signatures, and none of the old", async (t) => {
    const stage = await makeStage(t);
    const [old, young] = [await buildTestImage({ seed: 1 }), await buildTestImage({ seed: 2 })];
    writeDirImage(stage.dir.join("to"), old, [await makeSignature(old)]);
    writeDirImage(stage.dir.join("from"), young);
    await stage.copy(`dir:${stage.dir.join("from")}`, `dir:${stage.dir.join("to")}`);
    assert.deepEqual(await stage.signaturesAt(`dir:${stage.dir.join("to")}`), []);
  });

  void it("adds only a signature when an image is copied onto itself, and none when the same is there", async (t) => {
    const stage = await makeStage(t);
    const image = await buildTestImage();
    for (const place of places) {
      const name = nameAt(stage, place, "self");
      const first = await makeSignature(image);
      writeDirImage(stage.dir.join("a"), image, [first]);
      await stage.copy(`dir:${stage.dir.join("a")}`, name);
      const added = await makeSignature(image);
      const present: number[] = [];
      const options: CopyOptions = {
        signIdentity: "registry.example.com/team/app:1",
        sign: async (_, __, ___, there) => {
          present.push(there.length);
          return there.length < 4 ? added : undefined;
        },
      };
      const result = await stage.copy(name, name, options);
      assert.deepEqual(result.signatures, { carried: 1, kept: 0, made: 1 });
      assert.equal(result.blobs.moved, 0);
      assert.deepEqual(await stage.signaturesAt(name), [first, added]);
      assert.deepEqual(present, [2]);
    }
  });

  void it("makes one signature for each signer, in their order", async (t) => {
    const stage = await makeStage(t);
    const image = await buildTestImage();
    writeDirImage(stage.dir.join("a"), image);
    const blobs = await Promise.all([1, 2].map(() => makeSignature(image)));
    const name = nameAt(stage, "lookaside", "several");
    const result = await stage.copy(`dir:${stage.dir.join("a")}`, name, {
      sign: blobs.map((blob) => async () => blob),
    });
    assert.equal(result.signatures.made, 2);
    assert.deepEqual(await stage.signaturesAt(name), blobs);
  });

  void it("loses no signature that somebody else adds while it copies", async (t) => {
    const stage = await makeStage(t);
    const image = await buildTestImage();
    const [carried, foreign] = [await makeSignature(image), await makeSignature(image)];
    writeDirImage(stage.dir.join("a"), image, [carried]);
    const name = nameAt(stage, "lookaside", "shared");
    let isAdded = false;
    await stage.copy(`dir:${stage.dir.join("a")}`, name, {
      onProgress: ({ kind }) => {
        if (kind !== "manifest-done" || isAdded) return;
        isAdded = true;
        const folder = stage.dir.join("sig", `shared@${image.digest.replace(":", "=")}`);
        mkdirSync(folder, { recursive: true });
        writeFileSync(`${folder}/signature-1`, foreign);
      },
    });
    assert.deepEqual(await stage.signaturesAt(name), [foreign, carried]);
  });

  void it("says once what a policy for the copy's name has to know, if its signatures are for another name", async (t) => {
    const stage = await makeStage(t);
    const image = await buildTestImage();
    const target = (repository: string): string => `docker://${stage.lookaside.host}/${repository}`;
    const warn = async (to: string, ...identities: string[]): Promise<readonly string[]> => {
      const blobs = await Promise.all(identities.map((identity) => makeSignature(image, identity)));
      const from = stage.dir.join(`from-${(serial += 1)}`);
      writeDirImage(from, image, blobs);
      return (await stage.copy(`dir:${from}`, to)).warnings;
    };
    const mirrored = await warn(target("mirror/team/app:1"), "registry.example.com/team/app:1");
    assert.equal(mirrored.length, 1);
    assert.ok(mirrored[0]!.includes('"registry.example.com/team/app:1"'), mirrored[0]);
    assert.ok(mirrored[0]!.includes(`remapIdentity with prefix "${stage.lookaside.host}/mirror"`), mirrored[0]);
    assert.ok(mirrored[0]!.includes('signedPrefix "registry.example.com"'), mirrored[0]);
    assert.ok(!mirrored[0]!.includes("tag"));
    const retagged = await warn(target("team/app:2"), "registry.example.com/team/app:1");
    assert.match(retagged[0]!, /remapIdentity.*; its tag is another one as well, so only a pull by digest will match$/);
    const other = await warn(target("app:2"), "registry.example.com/else:1", "registry.example.com/more:1");
    assert.equal(other.length, 1);
    assert.match(other[0]!, /exactReference or exactRepository/);
    const own = `${stage.lookaside.host}/app:3`;
    assert.deepEqual(await warn(target("app:3"), "registry.example.com/app:3", own), []);
    assert.deepEqual(await warn(target("app:4")), []);
    assert.deepEqual(await warn(`dir:${stage.dir.join("to")}`, "registry.example.com/app:1"), []);
  });

  void it("asks before anything is fetched whether a signature can be kept", async (t) => {
    const stage = await makeStage(t);
    await pushTestImage(stage.lookaside, "app:1", await buildTestImage({ format: "oci" }));
    await assert.rejects(
      stage.copy(`docker://${stage.lookaside.host}/app:1`, `oci:${stage.dir.join("layout")}`, {
        sign: async () => new Uint8Array([1]),
        signIdentity: "h/r:1",
      }),
      { code: "destination-unsuitable", message: /cannot sign/ },
    );
    assert.equal(stage.lookaside.log.filter(({ path }) => path !== "/v2/").length, 0);
  });

  void it("leaves no lock or half-written file in a lookaside store", async (t) => {
    const stage = await makeStage(t);
    const image = await buildTestImage();
    await addDirSignature(await folderWith(stage, image), await makeSignature(image));
    await stage.copy(`dir:${stage.dir.join("clean")}`, nameAt(stage, "lookaside", "clean"));
    assert.deepEqual(await readdir(stage.dir.join("sig", `clean@${image.digest.replace(":", "=")}`)), ["signature-1"]);
  });
});

async function folderWith(stage: Stage, image: TestImage): Promise<string> {
  writeDirImage(stage.dir.join("clean"), image);
  return stage.dir.join("clean");
}

void describe("copyImage, within one registry", () => {
  void it("moves no byte: docker-registry takes blobs over from the source's repository", async (t) => {
    if (requireTool(t, "docker-registry") === undefined) return;
    await using registry = await startDockerRegistry();
    const dir = makeTempDir("signet-mounts-");
    t.after(() => dir.dispose());
    const host = { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" };
    await using clients = new RegistryClients({ host, tlsVerify: false, retryTimes: 0 });
    writeFileSync(dir.join("all.yaml"), `default-docker: {lookaside: "file://${dir.join("sig")}"}\n`);
    const loaded = await loadRegistriesD({ host, directory: dir.path });
    const docker = {
      clients,
      chooseSignatureStore: async (
        client: Parameters<typeof chooseSignatureStore>[0],
        reference: Parameters<typeof chooseSignatureStore>[1],
      ) => (await chooseSignatureStore(client, reference, { registriesD: loaded, clients })).store,
    };
    const copy = async (from: string, to: string, mountFrom: readonly string[]): Promise<CopyResult> => {
      await using source = await openImageSource(await parseImageName(from), { docker });
      await using destination = await openImageDestination(await parseImageName(to), {
        docker: { ...docker, mountFrom },
      });
      return await copyImage(source, destination);
    };
    const image = await buildTestImage({ layers: 3, layerBytes: 200_000 });
    writeDirImage(dir.join("from"), image);
    await copy(`dir:${dir.join("from")}`, `docker://${registry.host}/one/app:1`, []);
    const mounted = await copy(`docker://${registry.host}/one/app:1`, `docker://${registry.host}/two/app:1`, [
      "one/app",
    ]);
    assert.deepEqual(mounted.blobs, { moved: 0, present: 4, bytes: 0 });
    // A repository that has them not is no hindrance: the registry answers the mount with an upload, and they are sent.
    const sent = await copy(`docker://${registry.host}/one/app:1`, `docker://${registry.host}/three/app:1`, [
      "no/such",
    ]);
    assert.equal(sent.blobs.moved, 4);
  });

  void it("sends the blobs where the registry refuses to take them over, whatever it says", async (t) => {
    const stage = await makeStage(t);
    const image = await buildTestImage();
    const { host } = stage.lookaside;
    await pushTestImage(stage.lookaside, "one:1", image);
    for (const [index, status] of [400, 401, 403, 404, 405, 500].entries()) {
      // Of each blob the first POST asks for it to be taken over, the second begins to send it.
      for (const from of [1, 3]) stage.lookaside.addFaults({ method: "POST", path: /uploads/, status, from });
      const open: OpenOptions = { docker: { ...stage.open.docker!, mountFrom: ["one"] } };
      await using source = await openImageSource(await parseImageName(`docker://${host}/one:1`), stage.open);
      await using destination = await openImageDestination(
        await parseImageName(`docker://${host}/to-${index}:1`),
        open,
      );
      const result = await copyImage(source, destination, { parallelBlobs: 1 });
      assert.equal(result.blobs.moved, 2, String(status));
      assert.equal(stage.lookaside.manifest(`to-${index}`, "1")?.digest, image.digest);
      stage.lookaside.clearFaults();
    }
  });
});
