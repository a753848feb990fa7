import assert from "node:assert/strict";
import { lstat, mkdir, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { makeTempDir, run, runChecked } from "@signet/testkit";
import { rewriteArchive } from "@signet/testkit/archive-rewriting";
import { type ContractImage, contractImage, contractList, storeContractImage } from "@signet/testkit/contract-image";
import { chunksOf } from "./blob-check.ts";
import { parseImageName } from "./image-name.ts";
import { openImageDestination, openImageSource } from "./open.ts";

function makeFolder(t: TestContext): string {
  const folder = makeTempDir("signet-oci-archive-");
  t.after(() => folder.dispose());
  return folder.path;
}

async function store(text: string, image: ContractImage): Promise<void> {
  await using destination = await openImageDestination(await parseImageName(text));
  await storeContractImage(destination, image);
}

async function topDigest(text: string): Promise<string> {
  await using source = await openImageSource(await parseImageName(text));
  return (await source.manifest()).digest;
}

void describe("oci-archive: archives", () => {
  void it("unpack with GNU tar to a layout that reads the same", async (t) => {
    const folder = makeFolder(t);
    const image = contractList();
    await store(`oci-archive:${folder}/a.tar:app:1`, image);
    await mkdir(join(folder, "layout"));
    const { stderr } = await runChecked("tar", ["-xf", join(folder, "a.tar"), "-C", join(folder, "layout")]);
    assert.equal(stderr, "");
    await using source = await openImageSource(await parseImageName(`oci:${folder}/layout:app:1`));
    assert.deepEqual(new Uint8Array((await source.manifest()).bytes), image.top.bytes);
    for (const instance of image.instances) await source.manifest(instance.digest);
    for (const { descriptor } of image.blobs) for await (const _ of source.blob(descriptor));
  });

  void it("are the same octet for octet when the same image is written again", async (t) => {
    const folder = makeFolder(t);
    await store(`oci-archive:${folder}/a.tar`, contractList());
    await store(`oci-archive:${folder}/b.tar`, contractList());
    assert.deepEqual(await readFile(join(folder, "a.tar")), await readFile(join(folder, "b.tar")));
  });

  void it("read from a layout that GNU tar packed, by ./ and in any order", async (t) => {
    const folder = makeFolder(t);
    const image = contractImage();
    await store(`oci:${folder}/layout`, image);
    await runChecked("tar", ["--sort=name", "-C", join(folder, "layout"), "-cf", join(folder, "a.tar"), "."]);
    assert.equal(await topDigest(`oci-archive:${folder}/a.tar`), image.top.digest);
  });

  void it("hold one image: the file is replaced, a link to it is kept", async (t) => {
    const folder = makeFolder(t);
    const [old, young] = [contractImage({ seed: "old" }), contractImage({ seed: "new" })];
    await store(`oci-archive:${folder}/a.tar:old`, old);
    await symlink("a.tar", join(folder, "link.tar"));
    await store(`oci-archive:${folder}/link.tar:new`, young);
    assert.ok((await lstat(join(folder, "link.tar"))).isSymbolicLink());
    assert.equal(await topDigest(`oci-archive:${folder}/a.tar`), young.top.digest);
    await assert.rejects(topDigest(`oci-archive:${folder}/a.tar:old`), { code: "image-missing" });
    assert.deepEqual((await readdir(folder)).sort(), ["a.tar", "link.tar"]);
  });

  void it("refuse to replace a folder or a device", async (t) => {
    const folder = makeFolder(t);
    await assert.rejects(store(`oci-archive:${folder}`, contractImage()), { code: "destination-unsuitable" });
    await assert.rejects(store("oci-archive:/dev/null", contractImage()), { code: "destination-unsuitable" });
    await assert.rejects(topDigest(`oci-archive:${folder}`), { code: "file-unreadable" });
    await assert.rejects(topDigest("oci-archive:/dev/zero"), { code: "file-unreadable" });
  });

  void it("can be read while they are replaced", async (t) => {
    const folder = makeFolder(t);
    const image = contractImage();
    const text = `oci-archive:${folder}/a.tar`;
    await store(text, image);
    await using source = await openImageSource(await parseImageName(text));
    await store(text, contractImage({ seed: "other" }));
    assert.equal((await source.manifest()).digest, image.top.digest);
    for (const { descriptor } of image.blobs) for await (const _ of source.blob(descriptor));
  });

  void it("do not commit without a blob that failed, and take it on a second try", async (t) => {
    const folder = makeFolder(t);
    const image = contractImage();
    const [config, layer] = image.blobs;
    await using destination = await openImageDestination(await parseImageName(`oci-archive:${folder}/a.tar`));
    await assert.rejects(destination.putBlob(layer!.descriptor, chunksOf(new Uint8Array(3))), {
      code: "digest-mismatch",
    });
    await destination.putBlob(config!.descriptor, chunksOf(config!.bytes));
    await destination.putManifest(image.top);
    await assert.rejects(destination.commit(), { code: "internal-fault" });
    assert.equal(await destination.hasBlob(layer!.descriptor), false);
    await destination.putBlob(layer!.descriptor, chunksOf(layer!.bytes));
    await destination.commit();
    assert.equal(await topDigest(`oci-archive:${folder}/a.tar`), image.top.digest);
  });

  void it("are refused when they hold names that climb or links, even if the image itself is fine", async (t) => {
    const folder = makeFolder(t);
    const path = join(folder, "a.tar");
    for (const extra of [
      ["--transform", "s,^decoy$,../../../../tmp/signet-evil,"],
      ["--transform", "s,^decoy$,/tmp/signet-evil,"],
    ]) {
      await store(`oci-archive:${path}`, contractImage());
      await writeFile(join(folder, "decoy"), "evil");
      await runChecked("tar", ["-P", "-C", folder, ...extra, "-rf", path, "decoy"]);
      await assert.rejects(topDigest(`oci-archive:${path}`), { code: "image-malformed", message: /climbs|absolute/ });
    }
    await store(`oci-archive:${path}`, contractImage());
    await symlink("/etc/passwd", join(folder, "blob-link"));
    await runChecked("tar", ["-C", folder, "-rf", path, "blob-link"]);
    await assert.rejects(topDigest(`oci-archive:${path}`), { code: "image-malformed", message: /symbolic link/ });
    assert.notEqual((await run("test", ["-e", "/tmp/signet-evil"])).status, 0);
  });

  void it("are refused when a file appears twice: readers would not agree on which counts", async (t) => {
    const folder = makeFolder(t);
    const path = join(folder, "a.tar");
    await store(`oci-archive:${path}`, contractImage());
    await writeFile(join(folder, "index.json"), '{"schemaVersion":2,"manifests":[]}');
    await runChecked("tar", ["-C", folder, "-rf", path, "index.json"]);
    await assert.rejects(topDigest(`oci-archive:${path}`), { code: "image-malformed", message: /appears twice/ });
  });

  void it("are refused without index, layout file or manifest, and when compressed or empty", async (t) => {
    const folder = makeFolder(t);
    const path = join(folder, "a.tar");
    const image = contractImage();
    for (const [left, code] of [
      ["index.json", "image-malformed"],
      ["oci-layout", "image-malformed"],
      [`blobs/sha256/${image.top.digest.slice(7)}`, "image-missing"],
    ] as const) {
      await store(`oci-archive:${path}`, image);
      await rewriteArchive(path, (name, bytes) => (name === left ? undefined : bytes));
      await assert.rejects(topDigest(`oci-archive:${path}`), { code }, left);
    }
    await store(`oci-archive:${path}`, image);
    await runChecked("gzip", [path]);
    await assert.rejects(topDigest(`oci-archive:${path}.gz`), { code: "image-malformed", message: /gzip/ });
    await writeFile(path, "");
    await assert.rejects(topDigest(`oci-archive:${path}`), { code: "image-malformed" });
  });
});
