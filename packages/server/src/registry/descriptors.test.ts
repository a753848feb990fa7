/** A manifest says the size, the type and perhaps the bytes of what it names: a client that goes by them must get what one that fetches gets. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { buildTestImage, httpPushTarget, pushTestImage } from "@signet/testkit";
import { type Answer, type ServedRegistry, serveRegistry } from "./serve.testing.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  data?: unknown;
}

function describeBytes(bytes: string, algorithm = "sha256"): Descriptor {
  const digest = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
  return { mediaType: "application/vnd.example", digest, size: Buffer.byteLength(bytes) };
}

const put = (registry: ServedRegistry, path: string, tag: string, type: string, content: object): Promise<Answer> =>
  registry.request("PUT", `/v2/${path}/manifests/${tag}`, JSON.stringify(content), { "content-type": type });

async function pushBlob(
  registry: ServedRegistry,
  path: string,
  bytes: string,
  algorithm?: string,
): Promise<Descriptor> {
  const one = describeBytes(bytes, algorithm);
  const { status } = await registry.request("POST", `/v2/${path}/blobs/uploads/?digest=${one.digest}`, bytes);
  assert.equal(status, 201);
  return one;
}

void describe("descriptors of blobs", () => {
  void it("are taken with the size and the data that the blob has, and refused with any other", async () => {
    await using registry = await serveRegistry();
    for (const algorithm of ["sha256", "sha512"]) {
      const config = await pushBlob(registry, "a", "{}", algorithm);
      const layer = await pushBlob(registry, "a", "layer", algorithm);
      const data = Buffer.from("layer").toString("base64");
      const image = (...layers: readonly Descriptor[]): object => ({
        schemaVersion: 2,
        mediaType: manifestType,
        config,
        layers,
      });
      for (const right of [image(layer), image(layer, layer), image({ ...layer, data })])
        assert.equal((await put(registry, "a", "right", manifestType, right)).status, 201);
      const other = Buffer.from("other").toString("base64");
      for (const [wrong, reason] of [
        [image({ ...layer, size: 4 }), /is said to have 4 bytes, and has 5/],
        [image(layer, { ...layer, size: 6 }), /is said to have 5 bytes and 6/],
        [{ ...image(layer), config: { ...config, size: 0 } }, /is said to have 0 bytes, and has 2/],
        [image({ ...layer, data: other }), /is not what its member data holds/],
        [image({ ...layer, data: "bGF5ZQ==" }), /is not what its member data holds/],
        [image({ ...layer, data: "" }), /is not what its member data holds/],
        [image({ ...layer, data: "bGF5ZXI" }), /data that is not base64/],
        [{ ...image(layer), config: { ...config, data: other } }, /is not what its member data holds/],
        // Of a layer that only others may distribute, too: clients take the data.
        [image({ ...layer, data: other, urls: ["https://layers.example/1"] } as Descriptor), /member data holds/],
      ] as const) {
        const { status, code, text } = await put(registry, "a", "wrong", manifestType, wrong);
        assert.deepEqual([status, code], [400, "MANIFEST_INVALID"], text);
        assert.match(text, reason);
      }
    }
    assert.equal((await registry.request("GET", "/v2/a/manifests/wrong")).status, 404);
  });
});

void describe("descriptors of manifests", () => {
  void it("are held against those that this repository has, and against no others", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestImage({ layers: 1 });
    const child = { mediaType: image.mediaType, digest: image.digest, size: image.manifest.length };
    const list = (...manifests: readonly Descriptor[]): object => ({
      schemaVersion: 2,
      mediaType: indexType,
      manifests,
    });
    await pushTestImage(httpPushTarget(registry.url), "a:1", image);
    await pushBlob(registry, "b", "{}");
    assert.equal((await put(registry, "a", "right", indexType, list(child, child))).status, 201);
    const wrong = [
      [list({ ...child, size: child.size + 1 }), /is said to have \d+ bytes, and has \d+/],
      [list({ ...child, mediaType: indexType }), /is said to be .*index.*, and is .*manifest/],
      [list({ ...child, data: "e30=" }), /is not what its member data holds/],
    ] as const;
    for (const [content, reason] of wrong) {
      const { status, code, text } = await put(registry, "a", "wrong", indexType, content);
      assert.deepEqual([status, code], [400, "MANIFEST_INVALID"], text);
      assert.match(text, reason);
    }
    // There the image is missing, as in a mirror of some platforms; what others have is not told.
    for (const [content] of wrong.slice(0, 2))
      assert.equal((await put(registry, "b", "any", indexType, content)).status, 201);
  });
});
