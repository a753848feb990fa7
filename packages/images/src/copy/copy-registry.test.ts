import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import type { Digest } from "@signet/core";
import {
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
  writeDirImage,
} from "@signet/testkit";
import { currentHost } from "../config/host-environment.ts";
import { RegistryClients } from "../registry/client.ts";
import { folderLookasideBase } from "../stores/lookaside-url.ts";
import { lookasideStore } from "../stores/lookaside-store.ts";
import { parseImageName } from "../transports/image-name.ts";
import { type OpenOptions, openImageDestination, openImageSource } from "../transports/open.ts";
import { copyImage } from "./copy-image.ts";
import type { CopyOptions, CopyResult } from "./copy-options.ts";

interface Bench {
  readonly registry: TestRegistry;
  readonly folder: string;
  readonly options: OpenOptions;
  readonly copy: (from: string, to: string, options?: CopyOptions) => Promise<CopyResult>;
}

async function setUp(t: TestContext): Promise<Bench> {
  const registry = await startTestRegistry();
  const folder = makeTempDir("signet-copy-registry-");
  const clients = new RegistryClients({
    host: { ...currentHost(), env: {}, home: folder.path },
    tlsVerify: false,
    retryTimes: 0,
    credentials: async () => undefined,
  });
  t.after(async () => {
    await clients.close();
    await registry.dispose();
    folder.dispose();
  });
  const base = folderLookasideBase(folder.join("signatures"));
  const openWeb = (): never => {
    throw new Error("the store is a folder");
  };
  const store = lookasideStore({ read: base, write: base, openWeb });
  const options = { docker: { clients, chooseSignatureStore: () => store } };
  return {
    registry,
    folder: folder.path,
    options,
    async copy(from, to, copyOptions) {
      await using source = await openImageSource(await parseImageName(from), options);
      await using destination = await openImageDestination(await parseImageName(to), options);
      return await copyImage(source, destination, copyOptions);
    },
  };
}

const manifestRequests = ({ registry }: Bench, repository: string): string[] =>
  registry.log
    .filter(({ method, path }) => method === "GET" && path.startsWith(`/v2/${repository}/manifests/`))
    .map(({ path }) => path.slice(path.lastIndexOf("/") + 1));

void describe("copyImage with registries", () => {
  void it("takes a signed list through two repositories and back, byte for byte", async (t) => {
    const bench = await setUp(t);
    const { registry, folder, copy } = bench;
    const images = await Promise.all(
      ["amd64", "arm64"].map((architecture) => buildTestImage({ architecture, layers: 2 })),
    );
    const list = buildTestIndex(images);
    const signature = Uint8Array.from([0xa3, 1, 2, 3]);
    writeDirImage(join(folder, "from"), list, [signature]);
    await copy(`dir:${folder}/from`, `docker://${registry.host}/one/app:1`, { selection: "all" });
    await copy(`docker://${registry.host}/one/app:1`, `docker://${registry.host}/two/app:2`, { selection: "all" });
    assert.equal(registry.manifest("two/app", "2")?.digest, list.digest);
    const result = await copy(`docker://${registry.host}/two/app:2`, `dir:${folder}/to`, { selection: "all" });
    assert.equal(result.digest, list.digest);
    assert.deepEqual(result.signatures, { carried: 1, kept: 0, made: 0 });
    assert.deepEqual((await readdir(join(folder, "to"))).sort(), (await readdir(join(folder, "from"))).sort());
    // Nothing moves a second time.
    const again = await copy(`docker://${registry.host}/one/app:1`, `docker://${registry.host}/two/app:3`, {
      selection: "all",
    });
    assert.equal(again.blobs.moved, 0);
    assert.equal(again.blobs.present, result.blobs.moved);
  });

  void it("asks a registry for a tag once, so that a second, different answer never counts", async (t) => {
    const bench = await setUp(t);
    const { registry, folder, copy } = bench;
    const good = await buildTestImage({ seed: 1 });
    const evil = await buildTestImage({ seed: 2 });
    await pushTestImage(registry, "app:1", good);
    const judged: Digest[] = [];
    const result = await copy(`docker://${registry.host}/app:1`, `dir:${folder}/to`, {
      enforce: async ({ digest }) => {
        judged.push(digest);
        // From now on the tag stands for another image.
        await pushTestImage(registry, "app:1", evil);
      },
    });
    assert.deepEqual(judged, [good.digest]);
    assert.equal(result.digest, good.digest);
    // What belongs to the image is asked for by its digest.
    const byName = manifestRequests(bench, "app").filter((name) => !name.startsWith("sha256-"));
    assert.deepEqual(byName, ["1"]);
    await using source = await openImageSource(await parseImageName(`dir:${folder}/to`));
    assert.equal((await source.manifest()).digest, good.digest);
  });

  void it("refuses an instance that the registry exchanges, and puts no tag on anything", async (t) => {
    const bench = await setUp(t);
    const { registry, copy } = bench;
    const list = buildTestIndex([await buildTestImage(), await buildTestImage({ architecture: "arm64", seed: 2 })]);
    await pushTestImage(registry, "app:1", list);
    registry.tamper("app", list.images[1]!.digest, () => list.images[0]!.manifest);
    await assert.rejects(
      copy(`docker://${registry.host}/app:1`, `docker://${registry.host}/copy:1`, { selection: "all" }),
      {
        code: "digest-mismatch",
      },
    );
    assert.equal(registry.manifest("copy", "1"), undefined);
  });

  void it("puts no tag on an image of which a layer is damaged or cut off on its way", async (t) => {
    const bench = await setUp(t);
    const { registry, folder, copy } = bench;
    const image = await buildTestImage({ layers: 3, layerBytes: 100_000 });
    await pushTestImage(registry, "app:1", image);
    const { digest } = image.layers[1]!;
    const path = new RegExp(`/blobs/${digest}$`);
    for (const fault of [{ alterBody: (bytes: Uint8Array) => bytes.with(5, bytes[5]! ^ 1) }, { truncateAt: 500 }]) {
      registry.addFaults({ method: "GET", path, times: Infinity, ...fault });
      for (const to of [`docker://${registry.host}/copy:1`, `dir:${folder}/to`]) {
        await assert.rejects(copy(`docker://${registry.host}/app:1`, to));
        assert.equal(registry.manifest("copy", "1"), undefined);
        assert.deepEqual(await readdir(folder), []);
      }
      registry.clearFaults();
    }
    await copy(`docker://${registry.host}/app:1`, `docker://${registry.host}/copy:1`);
    assert.equal(registry.manifest("copy", "1")?.digest, image.digest);
  });

  void it("signs under the destination's reference, and the tag appears after its signature", async (t) => {
    const bench = await setUp(t);
    const { registry, folder, copy } = bench;
    const image = await buildTestImage();
    writeDirImage(join(folder, "from"), image);
    const identities: string[] = [];
    await copy(`dir:${folder}/from`, `docker://${registry.host}/app:1`, {
      sign: async (_, digest, identity) => {
        identities.push(identity);
        assert.equal(registry.manifest("app", "1"), undefined);
        return new TextEncoder().encode(`signature of ${digest}`);
      },
    });
    assert.deepEqual(identities, [`${registry.host}/app:1`]);
    await using source = await openImageSource(await parseImageName(`docker://${registry.host}/app:1`), bench.options);
    const { signatures } = await source.signatures((await source.manifest()).digest);
    assert.equal(new TextDecoder().decode(signatures[0]!.bytes), `signature of ${image.digest}`);
  });
});
