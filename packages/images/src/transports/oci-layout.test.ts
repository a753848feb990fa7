import assert from "node:assert/strict";
import { mkdir, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { makeTempDir } from "@signet/testkit";
import { type ContractImage, contractDigest, contractImage, contractList } from "@signet/testkit/contract-image";
import { chunksOf } from "./blob-check.ts";
import { parseImageName } from "./image-name.ts";
import { openImageDestination, openImageSource } from "./open.ts";

const REF_NAME = "org.opencontainers.image.ref.name";

interface IndexJson {
  manifests: { digest: string; annotations?: Record<string, string> }[];
  [member: string]: unknown;
}

function makeFolder(t: TestContext): string {
  const folder = makeTempDir("signet-oci-");
  t.after(() => folder.dispose());
  return join(folder.path, "layout");
}

async function store(text: string, image: ContractImage): Promise<void> {
  await using destination = await openImageDestination(await parseImageName(text));
  for (const { descriptor, bytes } of image.blobs) {
    if (!(await destination.hasBlob(descriptor))) await destination.putBlob(descriptor, chunksOf(bytes));
  }
  for (const manifest of image.instances) await destination.putManifest(manifest, { instance: true });
  await destination.putManifest(image.top);
  await destination.commit();
}

async function topDigest(text: string): Promise<string> {
  await using source = await openImageSource(await parseImageName(text));
  return (await source.manifest()).digest;
}

async function readIndex(path: string): Promise<IndexJson> {
  return JSON.parse(await readFile(join(path, "index.json"), "utf8")) as IndexJson;
}

async function writeIndex(path: string, index: unknown): Promise<void> {
  await writeFile(join(path, "index.json"), typeof index === "string" ? index : JSON.stringify(index));
}

const refuse = async (text: string, code: string, message = /./): Promise<void> => {
  await assert.rejects(topDigest(text), (error: Error & { code?: string; hint?: string }) => {
    assert.equal(error.code, code, String(error));
    assert.match(`${error.message} ${error.hint}`, message);
    return true;
  });
};

void describe("oci: layouts", () => {
  void it("hold several images, found by name and by position", async (t) => {
    const path = makeFolder(t);
    const [one, two, three] = [contractImage({ seed: "1" }), contractList({ seed: "2" }), contractImage({ seed: "3" })];
    await store(`oci:${path}:one`, one);
    assert.equal(await topDigest(`oci:${path}`), one.top.digest);
    await store(`oci:${path}:example.com/two:2`, two);
    await store(`oci:${path}`, three);
    assert.equal(await topDigest(`oci:${path}:one`), one.top.digest);
    assert.equal(await topDigest(`oci:${path}:example.com/two:2`), two.top.digest);
    assert.equal(await topDigest(`oci:${path}:@2`), three.top.digest);
    await refuse(`oci:${path}`, "image-missing", /3 images.*one, example\.com\/two:2, @2/);
    await refuse(`oci:${path}:three`, "image-missing", /no image is called "three"/);
    await refuse(`oci:${path}:@3`, "image-missing", /position 3/);
    await assert.rejects(store(`oci:${path}:@0`, one), { code: "image-name-malformed" });
  });

  void it("give a name to the newest image that asks for it and keep the other without", async (t) => {
    const path = makeFolder(t);
    const [old, young] = [contractImage({ seed: "old" }), contractImage({ seed: "new" })];
    await store(`oci:${path}:latest`, old);
    await store(`oci:${path}:latest`, young);
    assert.equal(await topDigest(`oci:${path}:latest`), young.top.digest);
    assert.equal(await topDigest(`oci:${path}:@0`), old.top.digest);
    await store(`oci:${path}:older`, old);
    const index = await readIndex(path);
    assert.deepEqual(
      index.manifests.map(({ digest, annotations }) => [digest, annotations?.[REF_NAME]]),
      [
        [old.top.digest, "older"],
        [young.top.digest, "latest"],
      ],
    );
    await store(`oci:${path}`, old);
    assert.equal((await readIndex(path)).manifests.length, 2);
  });

  void it("keep what others wrote into the index", async (t) => {
    const path = makeFolder(t);
    await store(`oci:${path}:one`, contractImage({ seed: "1" }));
    const index = await readIndex(path);
    const foreign = {
      mediaType: "application/vnd.example+json",
      digest: `sha256:${"f".repeat(64)}`,
      size: 3,
      platform: { os: "plan9", architecture: "mips" },
      annotations: { [REF_NAME]: "theirs", "com.example": "ä\u2028" },
      "com.example.member": [1, { a: null }],
    };
    await writeIndex(path, { annotations: { of: "index" }, ...index, manifests: [foreign, ...index.manifests] });
    await store(`oci:${path}:two`, contractImage({ seed: "2" }));
    const after = await readIndex(path);
    assert.deepEqual(after["annotations"], { of: "index" });
    assert.deepEqual(after.manifests[0], foreign);
    assert.equal(after.manifests.length, 3);
    await store(`oci:${path}:theirs`, contractImage({ seed: "3" }));
    const { [REF_NAME]: _, ...annotations } = foreign.annotations;
    assert.deepEqual((await readIndex(path)).manifests[0], { ...foreign, annotations });
  });

  void it("keep every image when many are written at the same time, also into a new folder", async (t) => {
    const path = makeFolder(t);
    const images = Array.from({ length: 12 }, (_, number) => contractImage({ seed: `image ${number}` }));
    await Promise.all(images.map((image, number) => store(`oci:${path}:n${number}`, image)));
    for (const [number, image] of images.entries()) {
      assert.equal(await topDigest(`oci:${path}:n${number}`), image.top.digest);
    }
    assert.deepEqual((await readdir(path)).sort(), ["blobs", "index.json", "oci-layout"]);
  });

  void it("share blobs that are there, but only whole ones", async (t) => {
    const path = makeFolder(t);
    const image = contractImage();
    await store(`oci:${path}:one`, image);
    await using destination = await openImageDestination(await parseImageName(`oci:${path}:two`));
    for (const { descriptor } of image.blobs) {
      assert.equal(await destination.hasBlob(descriptor), true);
      await writeFile(join(path, "blobs/sha256", descriptor.digest.slice(7)), "damaged");
      assert.equal(await destination.hasBlob(descriptor), false);
    }
  });

  void it("are refused when the index is ambiguous or malformed", async (t) => {
    const path = makeFolder(t);
    await store(`oci:${path}:one`, contractImage({ seed: "1" }));
    await store(`oci:${path}:two`, contractImage({ seed: "2" }));
    const index = await readIndex(path);
    const [one, two] = index.manifests;
    const named = (entry: object | undefined, name: string): object => ({
      ...entry,
      annotations: { [REF_NAME]: name },
    });
    const variants: [unknown, string, RegExp][] = [
      [{ ...index, manifests: [one, named(two, "one")] }, "image-malformed", /several different images/],
      [{ ...index, schemaVersion: 1 }, "image-malformed", /schemaVersion/],
      [{ ...index, mediaType: "application/vnd.oci.image.manifest.v1+json" }, "image-malformed", /mediaType/],
      [{ ...index, manifests: {} }, "json-malformed", /array/],
      [{ ...index, manifests: [{ ...one, size: -1 }] }, "json-malformed", /size/],
      [{ ...index, manifests: [{ ...one, size: 1.5 }] }, "json-malformed", /size/],
      [{ ...index, manifests: [{ ...one, digest: "sha256:../../etc/passwd" }] }, "digest-malformed", /digest/],
      [{ ...index, manifests: [{ ...one, digest: one!.digest.toUpperCase() }] }, "digest-malformed", /digest/],
      [
        { ...index, manifests: [{ ...one, digest: "md5:d41d8cd98f00b204e9800998ecf8427e" }] },
        "digest-malformed",
        /digest/,
      ],
      [{ ...index, manifests: [{ ...one, annotations: { [REF_NAME]: 1 } }] }, "json-malformed", /string/],
      ['{"schemaVersion":2,"schemaVersion":2,"manifests":[]}', "json-malformed", /duplicate/],
      [`${JSON.stringify(index)} {}`, "json-malformed", /after the end/],
      ["[".repeat(5000), "json-malformed", /./],
      ["", "json-malformed", /./],
    ];
    for (const [variant, code, message] of variants) {
      await writeIndex(path, variant);
      await refuse(`oci:${path}:one`, code, message);
    }
    await writeIndex(path, { ...index, manifests: [one, named(one, "one")] });
    assert.equal(await topDigest(`oci:${path}:one`), one!.digest);
  });

  void it("are refused when the index gives the manifest another size", async (t) => {
    const path = makeFolder(t);
    const image = contractImage();
    await store(`oci:${path}`, image);
    const index = await readIndex(path);
    await writeIndex(path, { ...index, manifests: [{ ...index.manifests[0], size: image.top.bytes.length + 1 }] });
    await refuse(`oci:${path}`, "digest-mismatch", /bytes instead of/);
  });

  void it("are refused when the top manifest was exchanged", async (t) => {
    const path = makeFolder(t);
    await store(`oci:${path}`, contractImage());
    const [entry] = (await readIndex(path)).manifests;
    const file = join(path, "blobs/sha256", entry!.digest.slice(7));
    const bytes = await readFile(file);
    await writeFile(file, bytes.with(0, 0x20));
    await refuse(`oci:${path}`, "digest-mismatch");
  });

  void it("find their image under a digest that is not sha256", async (t) => {
    const path = makeFolder(t);
    const image = contractImage();
    await store(`oci:${path}`, image);
    const digest = contractDigest(image.top.bytes, "sha512");
    await mkdir(join(path, "blobs/sha512"));
    await writeFile(join(path, "blobs/sha512", digest.slice(7)), image.top.bytes);
    const index = await readIndex(path);
    await writeIndex(path, { ...index, manifests: [{ ...index.manifests[0], digest }] });
    await using source = await openImageSource(await parseImageName(`oci:${path}`));
    const manifest = await source.manifest();
    assert.equal(manifest.digest, image.top.digest);
    assert.equal(manifest.namedDigest, digest);
  });

  void it("need a layout file of the one known version, and say what else it might be", async (t) => {
    const path = makeFolder(t);
    await store(`oci:${path}`, contractImage());
    await writeFile(join(path, "oci-layout"), '{"imageLayoutVersion":"2.0.0"}');
    await refuse(`oci:${path}`, "image-malformed", /version "2.0.0"/);
    await assert.rejects(store(`oci:${path}:x`, contractImage()), { code: "image-malformed" });
    await rm(join(path, "oci-layout"));
    await refuse(`oci:${path}`, "image-malformed", /no oci-layout.*dir:/);
    await rm(join(path, "index.json"));
    await assert.rejects(store(`oci:${path}:x`, contractImage()), { code: "destination-unsuitable" });
    await refuse(`oci:${join(path, "..")}`, "image-malformed", /no oci-layout/);
    await refuse(`oci:${join(path, "missing")}`, "file-missing");
    await refuse(`oci:${join(path, "blobs/sha256")}/../../oci`, "file-missing");
  });

  void it("do not wait for pipes or read devices in place of their files", async (t) => {
    const path = makeFolder(t);
    const image = contractImage();
    await store(`oci:${path}`, image);
    const file = join(path, "blobs/sha256", image.blobs[1]!.descriptor.digest.slice(7));
    await rm(file);
    await symlink("/dev/zero", file);
    await using source = await openImageSource(await parseImageName(`oci:${path}`));
    await assert.rejects(
      async () => {
        for await (const _ of source.blob(image.blobs[1]!.descriptor));
      },
      { code: "file-unreadable" },
    );
  });
});
