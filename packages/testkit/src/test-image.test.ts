import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { makeTempDir } from "./temp-dir.ts";
import { buildTestImage, buildTestIndex, writeDirImage } from "./test-image.ts";

test("the same seed gives the same bytes, another seed another digest", async () => {
  const first = await buildTestImage({ seed: 5, layers: 2, format: "oci" });
  const again = await buildTestImage({ seed: 5, layers: 2, format: "oci" });
  const other = await buildTestImage({ seed: 6, layers: 2, format: "oci" });
  assert.deepEqual(first, again);
  assert.notEqual(first.digest, other.digest);
});

test("a layer is a gzipped tar whose digest the config names", async () => {
  const image = await buildTestImage({ layerBytes: 1000 });
  const tar = gunzipSync(image.layers[0]!.bytes);
  assert.equal(tar.subarray(257, 262).toString(), "ustar");
  const { createHash } = await import("node:crypto");
  const config = JSON.parse(Buffer.from(image.config.bytes).toString()) as { rootfs: { diff_ids: string[] } };
  assert.deepEqual(config.rootfs.diff_ids, [`sha256:${createHash("sha256").update(tar).digest("hex")}`]);
});

test("a directory image has the names that skopeo gives its files", async () => {
  using dir = makeTempDir();
  const image = await buildTestImage();
  const index = buildTestIndex([image]);
  writeDirImage(dir.path, index, [Buffer.from("one"), Buffer.from("two")]);
  const hex = (digest: string): string => digest.slice(7);
  const expected = [
    `${hex(image.digest)}.manifest.json`,
    hex(image.config.digest),
    hex(image.layers[0]!.digest),
    "manifest.json",
    "signature-1",
    "signature-2",
    "version",
  ];
  assert.deepEqual(readdirSync(dir.path).sort(), expected.sort());
  assert.deepEqual(readFileSync(dir.join("manifest.json")), index.manifest);
});
