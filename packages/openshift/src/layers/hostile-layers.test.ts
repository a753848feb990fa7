/** Layers that were made to mislead or to exhaust, as releases and catalogs are read from them. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type ErrorCode, SignetError } from "@signet/core";
import { openImageSource, parseImageName } from "@signet/images";
import {
  buildTestImage,
  makeTempDir,
  writeDirImage,
  writeTestPaxHeader as pax,
  writeTestTar as tar,
  writeTestTarEntry as entry,
} from "@signet/testkit";
import { readCatalogImage } from "../catalog/catalog-image.ts";
import { readReleaseImage } from "../release/release-image.ts";
import { ContentBudget } from "./layer-content.ts";

const dir = makeTempDir();
after(() => dir.dispose());

const platform = { os: "linux", architecture: "amd64" };
const layerType = "application/vnd.docker.image.rootfs.diff.tar";
const description = JSON.stringify({
  kind: "ImageStream",
  metadata: { name: "4.99.0" },
  spec: {
    tags: [{ name: "etcd", from: { kind: "DockerImage", name: `example.com/etcd@sha256:${"0".repeat(64)}` } }],
  },
});
const catalog = `{"schema":"olm.bundle","package":"p","name":"b","image":"example.com/b@sha256:${"0".repeat(64)}"}`;
const payload = entry("release-manifests/image-references", description);
const documents = entry("configs/catalog.json", catalog);
const both = tar(payload, documents);

let count = 0;

type Layer = Uint8Array | { readonly bytes: Uint8Array; readonly mediaType: string };

/** Reads a release and a catalog from an image of these layers, the lowest first; a bare archive stands for its gzipped layer. */
async function read(...layers: readonly Layer[]): Promise<{ readonly components: number; readonly documents: number }> {
  const rawLayers = layers.map((layer) => (layer instanceof Uint8Array ? { bytes: gzipSync(layer) } : layer));
  const path = dir.join(`image-${count++}`);
  const labels = { "operators.operatorframework.io.index.configs.v1": "/configs" };
  writeDirImage(path, await buildTestImage({ rawLayers, labels }));
  await using source = await openImageSource(await parseImageName(`dir:${path}`));
  const { release } = await readReleaseImage(source, platform);
  const { content } = await readCatalogImage(source, platform);
  return { components: release.components.length, documents: content.documents.length };
}

async function refuses(code: ErrorCode, message: RegExp, ...layers: readonly Layer[]): Promise<void> {
  await assert.rejects(read(...layers), (error) => {
    assert.ok(error instanceof SignetError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.ok(error.hint !== undefined, error.message);
    assert.ok(error.message.length < 1000);
    return true;
  });
}

describe("layers", () => {
  test("are read whatever their compression, and refused when it is damaged", async () => {
    const good = { components: 1, documents: 1 };
    assert.deepEqual(await read(both), good);
    assert.deepEqual(await read({ bytes: both, mediaType: layerType }), good);
    assert.deepEqual(await read({ bytes: zstdCompressSync(both), mediaType: `${layerType}.zstd` }), good);
    const gzipped = gzipSync(both);
    const zipped = (bytes: Uint8Array) => ({ bytes, mediaType: `${layerType}.gzip` });
    await refuses("compression-malformed", /its compressed data is damaged/, zipped(gzipped.subarray(0, -100)));
    await refuses("compression-malformed", /its compressed data is damaged/, zipped(Buffer.from("no gzip at all")));
    await refuses("compression-malformed", /its compressed data is damaged/, zipped(zstdCompressSync(both)));
    // A frame that asks for two GiB of memory (RFC 8878, section 3.1.1.1.2).
    const greedy = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0, 0);
    await refuses("compression-malformed", /damaged/, { bytes: greedy, mediaType: `${layerType}.zstd` });
    await refuses("image-malformed", /not a tar header/, {
      bytes: Buffer.concat([gzipped, Buffer.alloc(512)]),
      mediaType: layerType,
    });
    await refuses("image-malformed", /not a tar header/, Buffer.from("a text that is no archive".padEnd(2048)));
    await refuses("image-malformed", /ends too early/, both.subarray(0, 700));
  });

  test("are bounded in what they hold all together", async () => {
    const budget = new ContentBudget();
    for (let layer = 0; layer < 8; layer++) budget.take(1024 ** 3, "sha256:0");
    assert.throws(() => budget.take(1, "sha256:0"), /the layers have more than 8589934592 bytes/);
    // Sizes are looked at before anything of the content is read.
    const claimed = entry("release-manifests/image-references", "", { fields: { 124: "00400000000" } });
    await refuses("input-too-large", /has 67108864 bytes, the limit is 16777216/, tar(documents, claimed));
    const files = Array.from({ length: 20_001 }, (_, index) => entry(`release-manifests/${index}`));
    await refuses("input-too-large", /more than 20000 files/, tar(...files, payload));
    const names = Array.from({ length: 9_000 }, (_, index) => {
      const path = `release-manifests/.wh.${index}${"/x".repeat(2000)}/.wh.y`;
      return Buffer.concat([pax({ path }), entry("x")]);
    });
    await refuses("input-too-large", /names of more than \d+ characters/, tar(...names, payload));
  });

  test("show what a container would see: whiteouts and opaque folders of upper layers count", async () => {
    const other = tar(entry("etc/hostname", "x"), documents);
    assert.equal((await read(tar(payload), other)).components, 1);
    for (const hiding of [
      "release-manifests/.wh.image-references",
      "release-manifests/.wh..wh..opq",
      ".wh.release-manifests",
      ".wh..wh..opq",
    ])
      await refuses("release-malformed", /is no release image/, tar(payload), tar(entry(hiding), documents));
    // A whiteout hides what lower layers have, and nothing of its own.
    assert.equal((await read(tar(), tar(entry("release-manifests/.wh..wh..opq"), payload, documents))).components, 1);
    // The description of the upper layer counts, and metadata beside a lower one does not belong to it.
    const metadata = entry("release-manifests/release-metadata", "not JSON");
    assert.equal((await read(tar(payload, metadata), both)).components, 1);
  });

  test("are refused where links, devices and names lead elsewhere", async () => {
    const target = { linkName: "/etc/shadow" };
    for (const type of ["1", "2", "3", "4", "6"]) {
      const link = entry("release-manifests/image-references", "", { type, ...target });
      // A lower description must not count beneath it.
      await refuses("image-malformed", /is no plain file/, both, tar(link));
      await refuses(
        "image-malformed",
        /is no plain file/,
        both,
        tar(entry("release-manifests", "", { type, ...target })),
      );
      await refuses(
        "image-malformed",
        /is no plain file/,
        both,
        tar(payload, entry("configs/x", "", { type, ...target })),
      );
    }
    await refuses("image-malformed", /is no plain file/, both, tar(entry("release-manifests", "a file")));
    await refuses("image-malformed", /stands twice/, tar(payload, payload, documents));
    await refuses("image-malformed", /climbs/, both, tar(entry("x/../release-manifests/image-references", "{}")));
    await refuses("image-malformed", /climbs/, both, tar(entry("../../etc/passwd", "x")));
    const sparse = pax({ "GNU.sparse.major": "1", "GNU.sparse.name": "release-manifests/image-references" });
    await refuses("image-malformed", /is no plain file/, both, tar(sparse, entry("GNUSparseFile.0/x", "0\n")));
    // Absolute names are relative to the image.
    assert.equal(
      (await read(tar(entry("/release-manifests//image-references", description), documents))).components,
      1,
    );
  });

  test("may have names of any kind outside the folders that are read", async () => {
    const odd = ["\x1b]0;title\x07", "a\nb", "\xe2\x80\xae", "-rf", "c:\\windows", "con"].map((name) =>
      entry(name, "x"),
    );
    const links = [
      entry("a", "", { type: "2", linkName: "b" }),
      entry("b", "", { type: "2", linkName: "a" }),
      entry("c", "", { type: "1", linkName: "c" }),
      entry("d", "", { type: "2", linkName: "../../.." }),
    ];
    assert.deepEqual(await read(tar(...odd, ...links, payload, documents)), { components: 1, documents: 1 });
    await refuses("image-malformed", /not UTF-8/, tar(entry("\xff"), payload, documents));
    await refuses("image-malformed", /holds a NUL/, tar(pax({ path: "a\0b" }), entry("x"), payload, documents));
  });

  test("do not number more than any builder makes", async () => {
    const layers = Array.from({ length: 129 }, () => tar(entry("x", "y")));
    await assert.rejects(read(...layers, both), /more than 128 layers/);
  });
});
