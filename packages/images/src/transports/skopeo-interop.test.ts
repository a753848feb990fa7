import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import {
  type ContainersHome,
  type TestImage,
  type TestIndex,
  buildTestImage,
  buildTestIndex,
  makeContainersHome,
  makeTempDir,
  requireTool,
  writeDirImage,
} from "@signet/testkit";
import { copyImage } from "../copy/copy-image.ts";
import { parseImageName } from "./image-name.ts";
import { openImageDestination, openImageSource } from "./open.ts";

interface Bench {
  readonly home: ContainersHome;
  readonly folder: string;
}

function setUp(t: TestContext): Bench | undefined {
  if (requireTool(t, "skopeo") === undefined) return undefined;
  const home = makeContainersHome();
  const folder = makeTempDir("signet-skopeo-");
  t.after(() => {
    home[Symbol.dispose]();
    folder.dispose();
  });
  return { home, folder: folder.path };
}

async function skopeoCopy({ home }: Bench, from: string, to: string, ...options: string[]): Promise<void> {
  const { status, stderr } = await home.skopeo(["copy", "--insecure-policy", ...options, from, to]);
  assert.equal(status, 0, stderr);
}

async function signetCopy(from: string, to: string): Promise<void> {
  await using source = await openImageSource(await parseImageName(from));
  await using destination = await openImageDestination(await parseImageName(to));
  await copyImage(source, destination, { selection: "all" });
}

/** Every file of a folder by name. */
async function filesOf(path: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) {
      const file = join(entry.parentPath, entry.name);
      files[file.slice(path.length + 1)] = await readFile(file, "latin1");
    }
  }
  return files;
}

async function makeImages(): Promise<Record<string, TestImage | TestIndex>> {
  const [amd64, arm64] = await Promise.all(
    ["amd64", "arm64"].map((architecture) => buildTestImage({ format: "oci", architecture, layers: 2 })),
  );
  return { image: amd64!, list: buildTestIndex([amd64!, arm64!], "oci") };
}

/** Starts like an OpenPGP message; skopeo looks at no more of it when it copies. */
const signature = (number: number): Uint8Array => Uint8Array.from([0xa3, 0x01, number]);

void describe("skopeo and Signet", () => {
  void it("write the same dir: image, signatures included", async (t) => {
    const bench = setUp(t);
    if (bench === undefined) return;
    const { folder } = bench;
    for (const format of ["docker", "oci"] as const) {
      const one = await buildTestImage({ format, layers: 2 });
      const two = await buildTestImage({ format, architecture: "arm64" });
      for (const [kind, image] of Object.entries({ image: one, list: buildTestIndex([one, two], format) })) {
        const path = join(folder, `${format}-${kind}`);
        writeDirImage(path, image, [signature(1), signature(2)]);
        await skopeoCopy(bench, `dir:${path}`, `dir:${path}-skopeo`, "--all");
        await signetCopy(`dir:${path}`, `dir:${path}-signet`);
        assert.deepEqual(await filesOf(`${path}-signet`), await filesOf(`${path}-skopeo`));
        // Each over what the other wrote.
        await skopeoCopy(bench, `dir:${path}-signet`, `dir:${path}-skopeo`, "--all");
        await signetCopy(`dir:${path}-skopeo`, `dir:${path}-signet`);
        assert.deepEqual(await filesOf(`${path}-signet`), await filesOf(path));
      }
    }
  });

  void it("read each other's layouts and archives, down to the octet", async (t) => {
    const bench = setUp(t);
    if (bench === undefined) return;
    const { folder } = bench;
    for (const [kind, image] of Object.entries(await makeImages())) {
      const original = join(folder, kind);
      writeDirImage(original, image);
      const expected = await filesOf(original);
      for (const [transport, place] of [
        ["oci", "layout"],
        ["oci-archive", "archive.tar"],
      ] as const) {
        const theirs = `${transport}:${folder}/${kind}-skopeo-${place}:some/name:1.0`;
        const ours = `${transport}:${folder}/${kind}-signet-${place}:some/name:1.0`;
        await skopeoCopy(bench, `dir:${original}`, theirs, "--all");
        await signetCopy(`dir:${original}`, ours);
        await signetCopy(theirs, `dir:${folder}/${kind}-${transport}-read-by-signet`);
        await skopeoCopy(bench, ours, `dir:${folder}/${kind}-${transport}-read-by-skopeo`, "--all");
        assert.deepEqual(await filesOf(`${folder}/${kind}-${transport}-read-by-signet`), expected);
        assert.deepEqual(await filesOf(`${folder}/${kind}-${transport}-read-by-skopeo`), expected);
      }
    }
  });

  void it("add to each other's layouts", async (t) => {
    const bench = setUp(t);
    if (bench === undefined) return;
    const { folder } = bench;
    const layout = join(folder, "layout");
    const images = await Promise.all([1, 2, 3, 4].map((seed) => buildTestImage({ format: "oci", seed })));
    for (const [index, image] of images.entries()) {
      writeDirImage(join(folder, `${index}`), image);
      const add = index % 2 === 0 ? signetCopy : skopeoCopy.bind(undefined, bench);
      await add(`dir:${folder}/${index}`, `oci:${layout}:n${index}`);
    }
    for (const [index, image] of images.entries()) {
      const { status, stdout, stderr } = await bench.home.skopeo(["inspect", "--raw", `oci:${layout}:n${index}`]);
      assert.equal(status, 0, stderr);
      assert.equal(stdout, Buffer.from(image.manifest).toString());
      await using source = await openImageSource(await parseImageName(`oci:${layout}:n${index}`));
      assert.equal((await source.manifest()).digest, image.digest);
    }
  });

  void it("replace a name in a layout in the same way", async (t) => {
    const bench = setUp(t);
    if (bench === undefined) return;
    const { folder } = bench;
    const images = await Promise.all([1, 2].map((seed) => buildTestImage({ format: "oci", seed })));
    for (const [index, image] of images.entries()) {
      writeDirImage(join(folder, `${index}`), image);
      await skopeoCopy(bench, `dir:${folder}/${index}`, `oci:${folder}/skopeo:latest`);
      await signetCopy(`dir:${folder}/${index}`, `oci:${folder}/signet:latest`);
    }
    const [theirs, ours] = await Promise.all(
      ["skopeo", "signet"].map(async (tool) => {
        const index = JSON.parse(await readFile(join(folder, tool, "index.json"), "utf8")) as {
          manifests: { digest: string; size: number; mediaType: string; annotations?: object }[];
        };
        return index.manifests.map(({ digest, size, mediaType, annotations }) => ({
          digest,
          size,
          mediaType,
          annotations: annotations ?? {},
        }));
      }),
    );
    assert.deepEqual(ours, theirs);
  });

  void it("agree on what a layout cannot hold: signatures, and docker manifests unless they are converted", async (t) => {
    const bench = setUp(t);
    if (bench === undefined) return;
    const { folder, home } = bench;
    writeDirImage(join(folder, "signed"), await buildTestImage({ format: "oci" }), [signature(1)]);
    const { status, stderr } = await home.skopeo([
      "copy",
      "--insecure-policy",
      `dir:${folder}/signed`,
      `oci:${folder}/layout`,
    ]);
    assert.equal(status, 1);
    assert.match(stderr, /[Cc]an not copy signatures/);
    await assert.rejects(signetCopy(`dir:${folder}/signed`, `oci:${folder}/layout2`), {
      message: /cannot copy signatures/,
    });
    // What a layout cannot hold as it is, both convert; signed images neither.
    const docker = await buildTestImage({ format: "docker" });
    writeDirImage(join(folder, "docker"), docker);
    await skopeoCopy(bench, `dir:${folder}/docker`, `oci:${folder}/theirs`);
    await signetCopy(`dir:${folder}/docker`, `oci:${folder}/ours`);
    await skopeoCopy(bench, `oci:${folder}/ours`, `dir:${folder}/read-by-skopeo`);
    await signetCopy(`oci:${folder}/theirs`, `dir:${folder}/read-by-signet`);
    for (const { digest } of docker.layers)
      for (const reader of ["read-by-skopeo", "read-by-signet"])
        assert.ok(Object.keys(await filesOf(join(folder, reader))).includes(digest.slice("sha256:".length)));
  });
});
