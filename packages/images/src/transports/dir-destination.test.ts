import assert from "node:assert/strict";
import { mkdir, readFile, readdir, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { parseDigest } from "@signet/core";
import { makeTempDir, run } from "@signet/testkit";
import { type ContractImage, contractBlob, contractImage, contractList } from "@signet/testkit/contract-image";
import { chunksOf } from "./blob-check.ts";
import { parseImageName } from "./image-name.ts";
import { openImageDestination, openImageSource } from "./open.ts";
import type { ImageDestination } from "./transport.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function makeFolder(t: TestContext): string {
  const folder = makeTempDir("signet-dir-");
  t.after(() => folder.dispose());
  return folder.path;
}

async function openDir(path: string): Promise<ImageDestination> {
  return openImageDestination(await parseImageName(`dir:${path}`));
}

async function store(path: string, image: ContractImage, signatures: readonly string[] = []): Promise<void> {
  await using destination = await openDir(path);
  for (const { descriptor, bytes } of image.blobs) {
    if (!(await destination.hasBlob(descriptor))) await destination.putBlob(descriptor, chunksOf(bytes));
  }
  for (const manifest of image.instances) await destination.putManifest(manifest, { instance: true });
  await destination.putManifest(image.top);
  await destination.putSignatures(signatures.map(encode), image.top.digest, { top: true });
  await destination.commit();
}

async function readSignatures(path: string, digest: string): Promise<string[]> {
  await using source = await openImageSource(await parseImageName(`dir:${path}`));
  const { signatures } = await source.signatures(parseDigest(digest));
  return signatures.map(({ bytes }) => new TextDecoder().decode(bytes));
}

void describe("dir: destinations", () => {
  void it("write version 1.1, and 1.2 as soon as a digest is not sha256", async (t) => {
    const path = join(makeFolder(t), "image");
    await store(path, contractImage());
    assert.equal(await readFile(join(path, "version"), "utf8"), "Directory Transport Version: 1.1\n");
    const layers = [contractBlob(encode("x"), "application/x-layer", "sha512")];
    await store(path, contractImage({ layers }));
    assert.equal(await readFile(join(path, "version"), "utf8"), "Directory Transport Version: 1.2\n");
    assert.ok((await readdir(path)).includes(layers[0]!.descriptor.digest.replace(":", "-")));
    await store(path, contractImage());
    assert.equal(await readFile(join(path, "version"), "utf8"), "Directory Transport Version: 1.1\n");
  });

  void it("refuse a folder with other things in it, and leave it alone", async (t) => {
    const path = makeFolder(t);
    await writeFile(join(path, "diary.txt"), "dear diary");
    await assert.rejects(openDir(path), { code: "destination-unsuitable", message: /not empty/ });
    assert.deepEqual(await readdir(path), ["diary.txt"]);
  });

  void it("refuse newer and unreadable versions, and a version that is no file", async (t) => {
    for (const content of [
      "Directory Transport Version: 1.3\n",
      "Directory Transport Version: 2.0\n",
      "1.1",
      "",
      "x".repeat(900),
    ]) {
      const path = makeFolder(t);
      await writeFile(join(path, "version"), content);
      await assert.rejects(openDir(path), { code: "destination-unsuitable" }, content);
      assert.deepEqual(await readdir(path), ["version"]);
    }
    const path = makeFolder(t);
    await mkdir(join(path, "version"));
    await assert.rejects(openDir(path), { code: "file-unreadable" });
  });

  void it("refuse a file in place of a folder", async (t) => {
    const path = join(makeFolder(t), "file");
    await writeFile(path, "x");
    await assert.rejects(openDir(path), { code: "destination-unsuitable", message: /not a directory/ });
  });

  void it("replace an older version of the form, and remove what the new image does not have", async (t) => {
    const path = makeFolder(t);
    await store(path, contractList({ seed: "old" }), ["a", "b", "c"]);
    await writeFile(join(path, "version"), "Directory Transport Version: 1.0\n");
    const image = contractImage({ seed: "new" });
    await store(path, image, ["d"]);
    const names = image.blobs.map(({ descriptor }) => descriptor.digest.slice("sha256:".length));
    assert.deepEqual((await readdir(path)).sort(), [...names, "manifest.json", "signature-1", "version"].sort());
  });

  void it("leave files alone that do not belong to the form", async (t) => {
    const path = makeFolder(t);
    await store(path, contractImage({ seed: "old" }));
    await writeFile(join(path, "notes.txt"), "mine");
    await mkdir(join(path, "more"));
    await store(path, contractImage({ seed: "new" }));
    assert.equal(await readFile(join(path, "notes.txt"), "utf8"), "mine");
    assert.ok((await readdir(path)).includes("more"));
  });

  void it("keep a blob of the old image that the new one has as well, and do not ask for it again", async (t) => {
    const path = makeFolder(t);
    const shared = contractBlob(encode("shared"), "application/x-layer");
    await store(path, contractImage({ seed: "old", layers: [shared] }));
    const image = contractImage({ seed: "new", layers: [shared] });
    await using destination = await openDir(path);
    assert.equal(await destination.hasBlob(shared.descriptor), true);
    assert.equal(await destination.hasBlob({ digest: shared.descriptor.digest, size: 7 }), false);
    const [config] = image.blobs;
    assert.equal(await destination.hasBlob(config!.descriptor), false);
    await destination.putBlob(config!.descriptor, chunksOf(config!.bytes));
    await destination.putManifest(image.top);
    await destination.commit();
    assert.equal(await readFile(join(path, shared.descriptor.digest.slice(7)), "utf8"), "shared");
  });

  void it("write an image over itself, with one signature more", async (t) => {
    const path = makeFolder(t);
    const image = contractList();
    await store(path, image, ["a"]);
    await store(path, image, ["a", "b"]);
    assert.deepEqual(await readSignatures(path, image.top.digest), ["a", "b"]);
    await store(path, image, []);
    assert.deepEqual(await readSignatures(path, image.top.digest), []);
  });

  void it("give back each signature once that a killed writer left in two places", async (t) => {
    const path = join(makeFolder(t), "image");
    const image = contractImage();
    await store(path, image, ["one", "two"]);
    // Killed after the new image was in force, and its signatures were at their places and behind the old ones.
    await writeFile(join(path, "signature-3"), "one");
    await writeFile(join(path, "signature-4"), "two");
    await using destination = await openDir(path);
    const held = await destination.heldSignatures!(image.top.digest, { top: true });
    assert.deepEqual(
      held.map((bytes) => new TextDecoder().decode(bytes)),
      ["one", "two"],
    );
  });

  void it("write into a folder on a mount point of its own", async (t) => {
    const path = makeFolder(t);
    // A process in a mount name space of its own, where the folder cannot be renamed.
    const script = `
      import { parseImageName } from ${JSON.stringify(new URL("./image-name.ts", import.meta.url).href)};
      import { openImageDestination } from ${JSON.stringify(new URL("./open.ts", import.meta.url).href)};
      import { contractImage } from ${JSON.stringify(import.meta.resolve("@signet/testkit/contract-image"))};
      const destination = await openImageDestination(await parseImageName("dir:" + process.argv[1]));
      await destination.putManifest(contractImage().top);
      await destination.commit();
      console.log("committed");`;
    const inside = `mount --bind "$1" "$1" && exec "$0" --conditions=@signet/source --input-type=module --eval "$2" "$1"`;
    const { status, stdout, stderr } = await run("unshare", [
      "--map-root-user",
      "--mount",
      "sh",
      "-c",
      inside,
      process.execPath,
      path,
      script,
    ]);
    if (status !== 0 && /unshare|mount/.test(stderr)) {
      t.diagnostic("this machine does not allow mount name spaces; checked in the plain folder instead");
      await store(path, contractImage());
    } else assert.equal(stdout, "committed\n", stderr);
    assert.ok((await readdir(path)).includes("manifest.json"));
  });

  void it("remove what a process left that was killed days ago, and nothing younger", async (t) => {
    const path = makeFolder(t);
    await store(path, contractImage());
    const [old, young] = ["0", "1"].map((digit) => join(path, `.signet-stage-${digit.repeat(16)}`));
    for (const stage of [old!, young!]) {
      await mkdir(stage);
      await writeFile(join(stage, "blob"), "half");
    }
    await utimes(old!, 1_000_000, 1_000_000);
    await store(path, contractImage());
    const names = await readdir(path);
    assert.ok(!names.includes(".signet-stage-0000000000000000"));
    assert.ok(names.includes(".signet-stage-1111111111111111"));
  });

  void it("do not write through links that lie in the folder", async (t) => {
    const base = makeFolder(t);
    const path = join(base, "image");
    const image = contractImage();
    await store(path, image, ["a"]);
    await writeFile(join(base, "precious"), "precious");
    const layer = image.blobs[1]!.descriptor.digest.slice(7);
    for (const name of ["manifest.json", "signature-1", "version", layer]) {
      await run("rm", [join(path, name)]);
      if (name === "version") await writeFile(join(path, name), "Directory Transport Version: 1.1\n");
      else await symlink("../precious", join(path, name));
    }
    await store(path, image, ["b"]);
    assert.equal(await readFile(join(base, "precious"), "utf8"), "precious");
    assert.equal(await readFile(join(path, "signature-1"), "utf8"), "b");
  });

  void it("fail as a whole when the folder appears in the meantime", async (t) => {
    const path = join(makeFolder(t), "image");
    const image = contractImage();
    await using destination = await openDir(path);
    await destination.putManifest(image.top);
    await mkdir(path);
    await writeFile(join(path, "other"), "x");
    await assert.rejects(destination.commit(), { code: "destination-unsuitable" });
    await destination.close();
    assert.deepEqual(await readdir(path), ["other"]);
    assert.deepEqual(await readdir(join(path, "..")), ["image"]);
  });

  void it("say that a folder cannot be created", async (t) => {
    const folder = makeFolder(t);
    const name = await parseImageName(`dir:${join(folder, "image")}`);
    await run("rmdir", [folder]);
    await assert.rejects(openImageDestination(name), { code: "file-unwritable" });
    await mkdir(folder);
  });
});
