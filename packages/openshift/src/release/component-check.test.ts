/** What a registry, or whoever made the images, can answer with for the images of a release. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { nodeEngine } from "@signet/core/node-engine";
import { type Digest, parseReference, sha256Digest } from "@signet/core";
import { openImageSource, parseImageName } from "@signet/images";
import { writeFileSync } from "node:fs";
import {
  type TestImage,
  type TestIndex,
  buildTestImage,
  buildTestIndex,
  makeTempDir,
  writeDirImage,
} from "@signet/testkit";
import { type ComponentCheck, checkComponents } from "./component-check.ts";
import type { ReleaseComponent } from "./release-payload.ts";

const dir = makeTempDir();
after(() => dir.dispose());

const platform = { os: "linux", architecture: "amd64" };
const digestOf = (bytes: Uint8Array): Digest => sha256Digest(bytes, nodeEngine);

let count = 0;

/** How an image is found under its digest. @param tamper gets the folder that holds it */
async function check(image: TestImage | TestIndex, tamper: (path: string) => void = () => {}): Promise<ComponentCheck> {
  const path = dir.join(`image-${count++}`);
  writeDirImage(path, image);
  tamper(path);
  const pullSpec = `example.com/dev/components@${image.digest}`;
  const reference = parseReference(pullSpec);
  const component: ReleaseComponent = { name: "etcd", pullSpec, reference, digest: reference.digest, annotations: {} };
  const open = async () => openImageSource(await parseImageName(`dir:${path}`));
  const [found] = await checkComponents([component], { platform, open });
  return found!;
}

/** An image whose configuration is these bytes, or another blob of it. */
async function withConfig(config: Uint8Array, mediaType?: string): Promise<TestImage> {
  const image = await buildTestImage();
  const parsed = JSON.parse(Buffer.from(image.manifest).toString()) as { config: object };
  const described = {
    ...parsed.config,
    digest: digestOf(config),
    size: config.length,
    ...(mediaType && { mediaType }),
  };
  const manifest = Buffer.from(JSON.stringify({ ...parsed, config: described }));
  const blob = { digest: digestOf(config), bytes: config, mediaType: mediaType ?? image.config.mediaType };
  return { ...image, manifest, digest: digestOf(manifest), config: blob };
}

/** A list that says of its instances what this changes. */
function relisted(index: TestIndex, change: (instance: Record<string, unknown>) => object): TestIndex {
  const parsed = JSON.parse(Buffer.from(index.manifest).toString()) as { manifests: Record<string, unknown>[] };
  const manifest = Buffer.from(JSON.stringify({ ...parsed, manifests: parsed.manifests.map(change) }));
  return { ...index, manifest, digest: digestOf(manifest) };
}

const text = (value: string): Uint8Array => Buffer.from(value);

describe("checkComponents", () => {
  test("takes an image, and a list that has one for the release's platform", async () => {
    const image = await buildTestImage();
    assert.equal((await check(image)).outcome, "equal");
    const arm = await buildTestImage({ architecture: "arm64" });
    assert.equal((await check(buildTestIndex([arm, image]))).outcome, "equal");
    const none = await check(buildTestIndex([arm]));
    assert.deepEqual([none.outcome, none.message], ["wrong-platform", "the list has no image for linux/amd64"]);
  });

  test("tells other bytes, of the manifest, of the configuration and of a list's instance", async () => {
    const image = await buildTestImage();
    const index = buildTestIndex([image]);
    const hex = (digest: string): string => digest.slice(7);
    const other = Buffer.from(image.config.bytes);
    other[10]! ^= 1;
    for (const [subject, file, bytes] of [
      [image, "manifest.json", Buffer.concat([image.manifest, text(" ")])],
      [image, hex(image.config.digest), other],
      [image, hex(image.config.digest), Buffer.concat([image.config.bytes, text(" ")])],
      [index, `${hex(image.digest)}.manifest.json`, Buffer.concat([image.manifest, text(" ")])],
      // One that is sound in itself, in the place of another.
      [index, "manifest.json", image.manifest],
    ] as const) {
      const { outcome, message } = await check(subject, (path) => writeFileSync(`${path}/${file}`, bytes));
      assert.equal(outcome, "different", message);
    }
  });

  test("does not take one blob for another: whatever stands where the configuration should, names the platform or nothing", async () => {
    const image = await buildTestImage();
    // Its own layer, its own manifest, the empty configuration of an artifact, and JSON of other kinds.
    for (const [config, outcome, message] of [
      [image.layers[0]!.bytes, "unknown", /configuration/],
      [image.manifest, "wrong-platform", /names no platform/],
      [text("{}"), "wrong-platform", /names no platform/],
      [text("[]"), "unknown", /an object is expected/],
      [text("null"), "unknown", /an object is expected/],
      [text('{"os":["linux"],"architecture":{}}'), "wrong-platform", /names no platform/],
      [text('{"os":"linux","os":"windows","architecture":"amd64"}'), "unknown", /stands twice/],
      [text('{"os":"linux","architecture":"amd64","Architecture":"arm64"}'), "unknown", /some readers see/],
      [text("[".repeat(100_000)), "unknown", /configuration/],
      [text(`{"a":"${"x".repeat(4 * 1024 * 1024)}"}`), "unknown", /larger than/],
      [text('{"os":"linux\\u001b[2J","architecture":"amd64"}'), "wrong-platform", /the image is for linux.*amd64/],
    ] as const) {
      const found = await check(await withConfig(config));
      assert.equal(found.outcome, outcome, found.message);
      assert.match(found.message, message);
    }
  });

  test("follows no list within a list, and no list that contradicts its instance", async () => {
    const image = await buildTestImage();
    const arm = await buildTestImage({ architecture: "arm64" });
    const inner = buildTestIndex([image]);
    // Nobody can make an index that names itself by its digest; one that names another as an image comes next to it.
    const nested = relisted(buildTestIndex([image]), (instance) => ({
      ...instance,
      digest: inner.digest,
      size: inner.manifest.length,
    }));
    const found = await check(nested, (path) =>
      writeFileSync(`${path}/${inner.digest.slice(7)}.manifest.json`, inner.manifest),
    );
    assert.deepEqual([found.outcome, /a list inside a list/.test(found.message)], ["unknown", true], found.message);
    // The list says amd64, the image is for arm64.
    const lying = relisted(buildTestIndex([arm]), (instance) => ({ ...instance, platform }));
    assert.equal((await check(lying)).outcome, "wrong-platform");
    const resized = relisted(buildTestIndex([image]), (instance) => ({ ...instance, size: 1 }));
    assert.equal((await check(resized)).outcome, "unknown");
    const missing = relisted(buildTestIndex([image]), (instance) => ({ ...instance, digest: digestOf(text("gone")) }));
    assert.notEqual((await check(missing)).outcome, "equal");
  });
});
