import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { type TempDir, makeTempDir, runChecked } from "@signet/testkit";
import {
  type ContractImage,
  contractBlob,
  contractImage,
  contractList,
  storeContractImage,
} from "@signet/testkit/contract-image";
import { readContent } from "../copy/manifest-content.ts";
import { parseImageName } from "../transports/image-name.ts";
import { openImageDestination, openImageSource } from "../transports/open.ts";
import { deleteImage } from "./delete-image.ts";
import type { DeleteOptions, DeleteResult } from "./delete-options.ts";

function makeFolder(t: TestContext): TempDir {
  const folder = makeTempDir("signet-delete-");
  t.after(() => folder.dispose());
  return folder;
}

async function store(text: string, image: ContractImage): Promise<void> {
  await using destination = await openImageDestination(await parseImageName(text));
  await storeContractImage(destination, image);
}

const remove = async (text: string, options?: DeleteOptions): Promise<DeleteResult> =>
  deleteImage(await parseImageName(text), options);

const filesIn = (path: string): readonly string[] =>
  existsSync(path) ? readdirSync(path, { recursive: true, encoding: "utf8" }).sort() : [];

async function readWhole(text: string): Promise<void> {
  await using source = await openImageSource(await parseImageName(text));
  const top = await source.manifest();
  const content = readContent(top);
  if (content.kind === "image") for (const blob of content.blobs) for await (const _ of source.blob(blob));
}

void describe("deleteImage at dir:", () => {
  void it("removes the files of the form, signatures included, and the folder when nothing else is in it", async (t) => {
    const folder = makeFolder(t);
    const [alone, shared] = [folder.join("alone"), folder.join("shared")];
    const list = contractList();
    for (const path of [alone, shared]) {
      await store(`dir:${path}`, list);
      for (const file of ["signature-1", "signature-2", `${list.instances[0]!.digest.slice(7)}.signature-1`])
        writeFileSync(join(path, file), "s");
    }
    writeFileSync(join(shared, "notes.txt"), "mine");
    mkdirSync(join(shared, "a".repeat(64)));
    const planned = await remove(`dir:${alone}`, { dryRun: true });
    const before = filesIn(alone).length;
    assert.equal(planned.removed.length, before);
    const result = await remove(`dir:${alone}`);
    assert.equal(result.digest, list.top.digest);
    assert.equal(result.signatures[0]!.removed, 3);
    assert.equal(existsSync(alone), false);
    await remove(`dir:${shared}`);
    assert.deepEqual(filesIn(shared), ["a".repeat(64), "notes.txt"]);
  });

  void it("keeps signatures where it is told to, in a folder that an image can be written to again", async (t) => {
    const path = makeFolder(t).join("image");
    await store(`dir:${path}`, contractImage());
    writeFileSync(join(path, "signature-1"), "s");
    await remove(`dir:${path}`, { keepSignatures: true });
    assert.deepEqual(filesIn(path), ["signature-1", "version"]);
    await store(`dir:${path}`, contractImage());
  });

  void it("refuses a folder that holds something else, and touches nothing in it", async (t) => {
    const folder = makeFolder(t);
    mkdirSync(folder.join("other"));
    for (const file of ["signature-1", "a".repeat(64), "README"]) writeFileSync(folder.join("other", file), "x");
    await assert.rejects(remove(`dir:${folder.join("other")}`), { code: "image-missing" });
    writeFileSync(folder.join("other", "manifest.json"), "{}");
    await assert.rejects(remove(`dir:${folder.join("other")}`), { code: "manifest-unsupported" });
    assert.equal(filesIn(folder.join("other")).length, 4);
    await assert.rejects(remove(`dir:${folder.join("none")}`), { code: "file-missing" });
  });

  void it("completes what a run before it left half-way, wherever that ended", async (t) => {
    const folder = makeFolder(t);
    const list = contractList();
    for (let kept = 0; ; kept++) {
      const path = folder.join(`image-${kept}`);
      await store(`dir:${path}`, list);
      writeFileSync(join(path, "signature-1"), "s");
      const { removed } = await remove(`dir:${path}`, { dryRun: true });
      for (const file of removed.slice(0, kept)) rmSync(file);
      if (kept === removed.length) break;
      await remove(`dir:${path}`);
      assert.equal(existsSync(path), false, `after ${kept} files`);
    }
  });
});

void describe("deleteImage at oci:", () => {
  void it("takes the entry out of the index, and the blobs that no other image needs", async (t) => {
    const layout = makeFolder(t).join("layout");
    const shared = contractBlob(new TextEncoder().encode("shared"), "application/vnd.oci.image.layer.v1.tar");
    const own = (text: string): ReturnType<typeof contractBlob> =>
      contractBlob(new TextEncoder().encode(text), "application/vnd.oci.image.layer.v1.tar");
    const [one, two] = ["one", "two"].map((seed) => contractImage({ seed, layers: [shared, own(seed)] }));
    const list = contractList({ seed: "list" });
    await store(`oci:${layout}:one`, one!);
    await store(`oci:${layout}:two`, two!);
    await store(`oci:${layout}:list`, list);
    const blobs = (): number => readdirSync(join(layout, "blobs/sha256")).length;
    assert.equal(blobs(), 3 + 3 + 1 + 9);
    writeFileSync(join(layout, "blobs/sha256", "f".repeat(64)), "of nobody");
    const planned = await remove(`oci:${layout}:one`, { dryRun: true });
    assert.equal(planned.removed.length, 3);
    assert.equal(blobs(), 17);
    assert.equal((await remove(`oci:${layout}:one`)).digest, one!.top.digest);
    assert.equal(blobs(), 14);
    await readWhole(`oci:${layout}:two`);
    await readWhole(`oci:${layout}:list`);
    await assert.rejects(remove(`oci:${layout}:one`), { code: "image-missing" });
    await assert.rejects(remove(`oci:${layout}`), { code: "image-missing", message: /2 images/ });
    assert.equal((await remove(`oci:${layout}:list`)).removed.length, 9);
    await remove(`oci:${layout}`);
    assert.deepEqual(readdirSync(join(layout, "blobs/sha256")), ["f".repeat(64)]);
    assert.deepEqual(
      filesIn(layout).filter((file) => !file.startsWith("blobs")),
      ["index.json", "oci-layout"],
    );
    await store(`oci:${layout}:one`, one!);
    await readWhole(`oci:${layout}:one`);
  });

  void it("keeps an image that another name stands for as well", async (t) => {
    const layout = makeFolder(t).join("layout");
    const image = contractImage();
    await store(`oci:${layout}:a`, image);
    await store(`oci:${layout}:b`, image);
    assert.deepEqual((await remove(`oci:${layout}:a`)).removed, []);
    await readWhole(`oci:${layout}:b`);
  });

  void it("removes no blob when it cannot be told what another image needs", async (t) => {
    const layout = makeFolder(t).join("layout");
    const [one, two] = ["one", "two"].map((seed) => contractImage({ seed }));
    await store(`oci:${layout}:one`, one!);
    await store(`oci:${layout}:two`, two!);
    writeFileSync(join(layout, "blobs/sha256", two!.top.digest.slice(7)), "damaged");
    const result = await remove(`oci:${layout}:one`);
    assert.deepEqual(result.removed, []);
    assert.match(result.warnings[0]!, /no blob was removed/);
    assert.ok(existsSync(join(layout, "blobs/sha256", one!.top.digest.slice(7))));
  });
});

void describe("deleteImage at oci-archive:", () => {
  void it("removes the file, unless other images are in it", async (t) => {
    const archive = makeFolder(t).join("archive.tar");
    await store(`oci-archive:${archive}:x`, contractImage());
    await assert.rejects(remove(`oci-archive:${archive}:y`), { code: "image-missing" });
    await remove(`oci-archive:${archive}:x`, { dryRun: true });
    assert.ok(existsSync(archive));
    await remove(`oci-archive:${archive}:x`);
    assert.equal(existsSync(archive), false);
    await assert.rejects(remove(`oci-archive:${archive}:x`), { code: "file-missing" });
    const layout = `${archive}.layout`;
    for (const seed of ["one", "two"]) await store(`oci:${layout}:${seed}`, contractImage({ seed }));
    await runChecked("tar", ["-C", layout, "-cf", archive, "oci-layout", "index.json", "blobs"]);
    await assert.rejects(remove(`oci-archive:${archive}:one`), {
      code: "destination-unsuitable",
      message: /holds other images as well \(two\)/,
    });
    assert.ok(existsSync(archive));
  });
});
