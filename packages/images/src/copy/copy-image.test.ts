import assert from "node:assert/strict";
import { mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { type Digest, StoreError, parseDigest } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import {
  type ContractImage,
  contractBlob,
  contractImage,
  contractList,
  storeContractImage,
} from "@signet/testkit/contract-image";
import { parseImageName } from "../transports/image-name.ts";
import { openImageDestination, openImageSource } from "../transports/open.ts";
import type { BlobDescriptor, ImageDestination, ImageSource, RawManifest } from "../transports/transport.ts";
import { copyImage } from "./copy-image.ts";
import type { CopyOptions, CopyResult } from "./copy-options.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function makeFolder(t: TestContext): string {
  const folder = makeTempDir("signet-copy-");
  t.after(() => folder.dispose());
  return folder.path;
}

async function store(text: string, image: ContractImage): Promise<void> {
  await using destination = await openImageDestination(await parseImageName(text));
  await storeContractImage(destination, image);
}

async function copy(from: string, to: string, options: CopyOptions = {}): Promise<CopyResult> {
  await using source = await openImageSource(await parseImageName(from));
  await using destination = await openImageDestination(await parseImageName(to));
  return await copyImage(source, destination, options);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** A source in memory that counts what it is asked for and can be told to misbehave. */
class WatchedSource implements ImageSource {
  readonly name = {
    transport: "dir",
    text: "memory:",
    reference: undefined,
    policyIdentity: { transport: "dir", identity: "/", namespaces: [] },
  } as const;
  readonly asked: string[] = [];
  readonly #image: ContractImage;
  constructor(image: ContractImage) {
    this.#image = image;
  }
  async manifest(instance?: Digest): Promise<RawManifest> {
    this.asked.push(`manifest ${instance ?? "top"}`);
    return instance === undefined ? this.#image.top : this.#image.instances.find(({ digest }) => digest === instance)!;
  }
  async *blob({ digest }: BlobDescriptor): AsyncIterable<Uint8Array> {
    this.asked.push(`blob ${digest}`);
    yield this.#image.blobs.find(({ descriptor }) => descriptor.digest === digest)!.bytes;
  }
  async signatures(digest: Digest): ReturnType<ImageSource["signatures"]> {
    this.asked.push(`signatures ${digest}`);
    return { store: "memory", signatures: [], attempts: [], warnings: [] };
  }
  async close(): Promise<void> {}
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

void describe("copyImage", () => {
  void it("copies between all transports that keep files, byte for byte, and says what it did", async (t) => {
    const folder = makeFolder(t);
    const list = contractList();
    await store(`dir:${folder}/a`, list);
    const steps = [`dir:${folder}/a`, `oci:${folder}/b:x`, `oci-archive:${folder}/c.tar:y`, `dir:${folder}/d`];
    for (const [index, to] of steps.slice(1).entries()) {
      const result = await copy(steps[index]!, to, { selection: "all" });
      assert.equal(result.digest, list.top.digest);
      assert.deepEqual(result.manifests, [...list.instances.map(({ digest }) => digest), list.top.digest]);
      assert.deepEqual(result.blobs, {
        moved: 6,
        present: 0,
        bytes: list.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0),
      });
      assert.deepEqual(result.signatures, { carried: 0, kept: 0, made: 0 });
    }
    for (const file of await readdir(join(folder, "a"))) {
      assert.deepEqual(await readFile(join(folder, "d", file)), await readFile(join(folder, "a", file)), file);
    }
    assert.equal((await readdir(join(folder, "a"))).length, (await readdir(join(folder, "d"))).length);
  });

  void it("copies of a list the image for the platform, as an image of its own", async (t) => {
    const folder = makeFolder(t);
    const list = contractList();
    await store(`dir:${folder}/list`, list);
    for (const [architecture, instance] of [
      ["amd64", list.instances[0]],
      ["arm64", list.instances[1]],
    ] as const) {
      const result = await copy(`dir:${folder}/list`, `oci:${folder}/${architecture}`, {
        platform: { os: "linux", architecture },
      });
      assert.equal(result.digest, instance!.digest);
      assert.deepEqual(result.manifests, [instance!.digest]);
      await using source = await openImageSource(await parseImageName(`oci:${folder}/${architecture}`));
      assert.deepEqual(new Uint8Array((await source.manifest()).bytes), instance!.bytes);
    }
    await assert.rejects(
      copy(`dir:${folder}/list`, `dir:${folder}/none`, { platform: { os: "plan9", architecture: "mips" } }),
      { code: "image-missing", message: /plan9\/mips/, hint: /linux\/amd64, linux\/arm64/ },
    );
    assert.equal(await isThere(join(folder, "none")), false);
  });

  void it("copies with index-only the list alone", async (t) => {
    const folder = makeFolder(t);
    const list = contractList();
    await store(`dir:${folder}/list`, list);
    const result = await copy(`dir:${folder}/list`, `dir:${folder}/index`, { selection: "index-only" });
    assert.deepEqual(result.manifests, [list.top.digest]);
    assert.deepEqual((await readdir(join(folder, "index"))).sort(), ["manifest.json", "version"]);
  });

  void it("asks the policy for each image before anything else is fetched, and writes what was judged", async (t) => {
    const folder = makeFolder(t);
    for (const selection of ["system", "all", "index-only"] as const) {
      const list = contractList();
      const source = new WatchedSource(list);
      const judged: [string, Digest | undefined][] = [];
      await using destination = await openImageDestination(await parseImageName(`dir:${folder}/${selection}`));
      await copyImage(source, destination, {
        selection,
        platform: { os: "linux", architecture: "arm64" },
        enforce: async (manifest, instance) => {
          assert.ok(!source.asked.some((what) => !what.startsWith("manifest")), "something was fetched before");
          judged.push([manifest.digest, instance]);
        },
      });
      const [amd64, arm64] = list.instances;
      const expected = {
        system: [[arm64!.digest, arm64!.digest]],
        all: [
          [amd64!.digest, amd64!.digest],
          [arm64!.digest, arm64!.digest],
        ],
        "index-only": [[list.top.digest, undefined]],
      };
      assert.deepEqual(judged, expected[selection]);
      // Once each: what was judged cannot differ from what is written.
      const manifests = source.asked.filter((what) => what.startsWith("manifest"));
      assert.equal(new Set(manifests).size, manifests.length);
    }
  });

  void it("writes nothing when the policy refuses any of the images", async (t) => {
    const folder = makeFolder(t);
    const list = contractList();
    const source = new WatchedSource(list);
    await mkdir(join(folder, "there"));
    for (const place of ["there", "new"]) {
      const enforce = async (manifest: RawManifest): Promise<void> => {
        if (manifest.digest === list.instances[1]!.digest)
          throw new StoreError("image-missing", "rejected by the test");
      };
      {
        await using destination = await openImageDestination(await parseImageName(`dir:${folder}/${place}`));
        await assert.rejects(copyImage(source, destination, { selection: "all", enforce }), /rejected by the test/);
      }
      assert.deepEqual(await readdir(folder), ["there"]);
      assert.deepEqual(await readdir(join(folder, "there")), []);
    }
    assert.ok(!source.asked.some((what) => what.startsWith("blob")));
  });

  void it("moves a blob once that several images or layers share", async (t) => {
    const folder = makeFolder(t);
    const shared = contractBlob(encode("shared"), "application/x-layer");
    const list = contractList({ layers: [shared, shared] });
    const source = new WatchedSource(list);
    await using destination = await openImageDestination(await parseImageName(`dir:${folder}/to`));
    const result = await copyImage(source, destination, { selection: "all" });
    assert.equal(result.blobs.moved, 3);
    assert.equal(source.asked.filter((what) => what === `blob ${shared.descriptor.digest}`).length, 1);
  });

  void it("moves at most as many blobs at a time as it is told, and reports each", async (t) => {
    const folder = makeFolder(t);
    const layers = Array.from({ length: 20 }, (_, index) =>
      contractBlob(encode(`layer ${index}`), "application/x-layer"),
    );
    for (const [parallelBlobs, expected] of [
      [undefined, 6],
      [2, 2],
    ] as const) {
      let open = 0;
      let most = 0;
      const events = new Map<string, number>();
      await using destination = await openImageDestination(await parseImageName(`dir:${folder}/${expected}`));
      await copyImage(new WatchedSource(contractImage({ layers })), destination, {
        ...(parallelBlobs === undefined ? {} : { parallelBlobs }),
        onProgress: (event) => {
          events.set(event.kind, (events.get(event.kind) ?? 0) + 1);
          if (event.kind === "blob-started") most = Math.max(most, ++open);
          if (event.kind === "blob-done") open--;
        },
      });
      assert.equal(most, expected);
      assert.deepEqual(Object.fromEntries(events), {
        planned: 1,
        "blob-started": 21,
        "blob-bytes": 21,
        "blob-done": 21,
        "manifest-done": 1,
      });
    }
  });

  void it("stops everything at the first failure and reports that one", async (t) => {
    const folder = makeFolder(t);
    const layers = Array.from({ length: 50 }, (_, index) =>
      contractBlob(encode(`layer ${index}`), "application/x-layer"),
    );
    const image = contractImage({ layers });
    const source = new WatchedSource({
      ...image,
      blobs: image.blobs.map((blob, index) => (index === 10 ? { ...blob, bytes: encode("wrong") } : blob)),
    });
    {
      await using destination = await openImageDestination(await parseImageName(`dir:${folder}/to`));
      await assert.rejects(copyImage(source, destination), { code: "digest-mismatch" });
    }
    assert.ok(source.asked.length < 30, `${source.asked.length} requests`);
    assert.deepEqual(await readdir(folder), []);
  });

  void it("stops when it is told to, and leaves nothing", async (t) => {
    const folder = makeFolder(t);
    const stop = new AbortController();
    {
      await using destination = await openImageDestination(await parseImageName(`oci:${folder}/to`));
      await assert.rejects(
        copyImage(new WatchedSource(contractImage()), destination, {
          signal: stop.signal,
          onProgress: ({ kind }) => {
            if (kind === "blob-bytes") stop.abort(new Error("enough"));
          },
        }),
        /enough/,
      );
    }
    assert.deepEqual(await readdir(folder), []);
  });

  void it("never moves layers that may not be distributed, and names them", async (t) => {
    const folder = makeFolder(t);
    const own = contractBlob(encode("own"), "application/x-layer");
    const withUrls = (mediaType: string, urls: string[]): ReturnType<typeof contractBlob> => {
      const blob = contractBlob(encode(`${mediaType} ${urls.length}`), mediaType);
      return { ...blob, descriptor: { ...blob.descriptor, ...(urls.length === 0 ? {} : { urls }) } };
    };
    const foreign = [
      withUrls("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", ["http://169.254.169.254/"]),
      withUrls("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", ["https://example.com/x"]),
    ];
    const distributed = [
      withUrls("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", []),
      withUrls("application/vnd.oci.image.layer.v1.tar+gzip", ["https://example.com/x"]),
    ];
    const source = new WatchedSource(contractImage({ layers: [own, ...foreign, ...distributed] }));
    await using destination = await openImageDestination(await parseImageName(`dir:${folder}/to`));
    const result = await copyImage(source, destination);
    assert.deepEqual(
      result.foreignLayers,
      foreign.map(({ descriptor }) => descriptor.digest),
    );
    assert.equal(result.blobs.moved, 4);
    assert.ok(!source.asked.includes(`blob ${foreign[0]!.descriptor.digest}`));
  });

  void it("refuses lists that contradict their instances, lists inside lists and blobs of two sizes", async (t) => {
    const folder = makeFolder(t);
    const attempt = async (image: ContractImage, message: RegExp): Promise<void> => {
      await using destination = await openImageDestination(await parseImageName(`dir:${folder}/to`));
      await assert.rejects(copyImage(new WatchedSource(image), destination, { selection: "all" }), {
        code: "image-malformed",
        message,
      });
    };
    const list = contractList();
    const edit = (from: string | RegExp, to: string): ContractImage => ({
      ...list,
      top: { ...list.top, bytes: encode(decode(list.top.bytes).replace(from, to)) },
    });
    await attempt(edit(/"size": (\d+)/, '"size": 1$1'), /the list says/);
    await attempt(edit("image.manifest.v1", "image.index.v1"), /the list says/);
    const inner = contractList({ seed: "inner" });
    const text = JSON.stringify({
      schemaVersion: 2,
      mediaType: list.top.declaredMediaType,
      manifests: [{ mediaType: inner.top.declaredMediaType, digest: inner.top.digest, size: inner.top.bytes.length }],
    });
    await attempt(
      { instances: [inner.top], top: { ...list.top, bytes: encode(text) }, blobs: [] },
      /a list inside a list/,
    );
    const layer = contractBlob(encode("x"), "application/x-layer");
    const lying = { ...layer, descriptor: { ...layer.descriptor, size: 2 } };
    await attempt(contractImage({ layers: [layer, lying] }), /with 1 and with 2 bytes/);
  });

  void it("refuses a manifest that is not of the type its source declares", async (t) => {
    const folder = makeFolder(t);
    const image = contractImage();
    const source = new WatchedSource({
      ...image,
      top: { ...image.top, declaredMediaType: "application/vnd.oci.image.index.v1+json" },
    });
    await using destination = await openImageDestination(await parseImageName(`dir:${folder}/to`));
    await assert.rejects(copyImage(source, destination), { code: "manifest-malformed" });
  });

  void it("refuses a destination that names another digest than the image has", async (t) => {
    const folder = makeFolder(t);
    const image = contractImage();
    await using inner = await openImageDestination(await parseImageName(`dir:${folder}/to`));
    const named = (digest: Digest): ImageDestination =>
      Object.create(inner, {
        name: {
          value: { ...inner.name, text: `docker://h/r@${digest}`, reference: { domain: "h", path: "r", digest } },
        },
      }) as ImageDestination;
    await assert.rejects(copyImage(new WatchedSource(image), named(parseDigest(`sha256:${"0".repeat(64)}`))), {
      code: "destination-unsuitable",
      message: /names sha256:000/,
    });
  });

  void it("copies docker schema 1 images, whose digest is that of the signed payload", async (t) => {
    const folder = makeFolder(t);
    const vectors = new URL("../../../../vectors/manifest/", import.meta.url);
    // Layers that hash to what the genuine manifest names are not at hand, so one with layers of our own stands for its form.
    const layer = contractBlob(encode("layer"), "application/x-layer");
    const text = JSON.stringify({
      schemaVersion: 1,
      name: "library/app",
      tag: "1",
      architecture: "amd64",
      fsLayers: [{ blobSum: layer.descriptor.digest }, { blobSum: layer.descriptor.digest }],
      history: [{ v1Compatibility: "{}" }, { v1Compatibility: "{}" }],
    });
    await mkdir(join(folder, "unsigned"));
    await writeFile(join(folder, "unsigned", "manifest.json"), text);
    await writeFile(join(folder, "unsigned", layer.descriptor.digest.slice(7)), layer.bytes);
    const result = await copy(`dir:${folder}/unsigned`, `dir:${folder}/to`);
    assert.equal(result.blobs.moved, 1);
    assert.equal(await readFile(join(folder, "to", "manifest.json"), "utf8"), text);

    await mkdir(join(folder, "signed"));
    await writeFile(join(folder, "signed", "manifest.json"), await readFile(new URL("v2s1.manifest.json", vectors)));
    await using source = await openImageSource(await parseImageName(`dir:${folder}/signed`));
    const { digest } = await source.manifest();
    await writeFile(
      join(folder, "signed", "manifest.json"),
      await readFile(new URL("v2s1-unsigned.manifest.json", vectors)),
    );
    await using unsigned = await openImageSource(await parseImageName(`dir:${folder}/signed`));
    assert.equal((await unsigned.manifest()).digest, digest);
    await assert.rejects(copy(`dir:${folder}/signed`, `dir:${folder}/to`), { code: "image-missing" });
    await assert.rejects(copy(`dir:${folder}/signed`, `oci:${folder}/layout`), { code: "destination-unsuitable" });
  });
});
