import assert from "node:assert/strict";
import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { parseManifest } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { type ContractImage, contractImage, contractList, storeContractImage } from "@signet/testkit/contract-image";
import { addDirSignature } from "../transports/dir-signatures.ts";
import { parseImageName } from "../transports/image-name.ts";
import { openImageDestination, openImageSource } from "../transports/open.ts";
import { copyImage } from "./copy-image.ts";
import type { CopyOptions, CopyResult } from "./copy-options.ts";
import type { CopyProgress } from "./copy-progress.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function makeFolder(t: TestContext): string {
  const folder = makeTempDir("signet-convert-");
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

async function typesAt(text: string): Promise<readonly string[]> {
  await using source = await openImageSource(await parseImageName(text));
  const top = parseManifest((await source.manifest()).bytes);
  if (top.kind !== "list") return [top.mediaType];
  const instances = await Promise.all(top.instances.map(async ({ digest }) => source.manifest(digest)));
  return [top.mediaType, ...instances.map(({ bytes }) => parseManifest(bytes).mediaType)];
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const oci = ["application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"] as const;
const docker = [
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
] as const;

void describe("copyImage, converting", () => {
  void it("turns docker manifests into OCI ones where only those can lie, says so, and leaves every blob as it is", async (t) => {
    const folder = makeFolder(t);
    const list = contractList({ format: "docker" });
    await store(`dir:${folder}/list`, list);
    for (const to of [`oci:${folder}/layout`, `oci-archive:${folder}/archive.tar`]) {
      const events: CopyProgress[] = [];
      const result = await copy(`dir:${folder}/list`, to, {
        selection: "all",
        onProgress: (event) => events.push(event),
      });
      assert.deepEqual(result.converted, { format: "oci", sourceDigest: list.top.digest });
      assert.ok(events.some((event) => event.kind === "converted" && event.digest === result.digest));
      assert.notEqual(result.digest, list.top.digest);
      assert.equal(result.blobs.moved, 6);
      assert.deepEqual(await typesAt(to), [oci[0], oci[1], oci[1]]);
      const one = await copy(`dir:${folder}/list`, `${to}:one`, { platform: { os: "linux", architecture: "arm64" } });
      assert.deepEqual(one.converted?.sourceDigest, list.instances[1]!.digest);
      assert.deepEqual(await typesAt(`${to}:one`), [oci[1]]);
    }
  });

  void it("converts with a format that is asked for, there and back to the same digest", async (t) => {
    const folder = makeFolder(t);
    await store(`dir:${folder}/a`, contractList({ format: "oci" }));
    const toDocker = await copy(`dir:${folder}/a`, `dir:${folder}/b`, { selection: "all", format: "docker" });
    assert.deepEqual(await typesAt(`dir:${folder}/b`), [docker[0], docker[1], docker[1]]);
    assert.equal(toDocker.manifests.length, 3);
    const back = await copy(`dir:${folder}/b`, `dir:${folder}/c`, { selection: "all", format: "oci" });
    const again = await copy(`dir:${folder}/c`, `dir:${folder}/d`, { selection: "all", format: "docker" });
    assert.equal(again.digest, toDocker.digest);
    // What is in the format already stays as it is, byte for byte.
    const same = await copy(`dir:${folder}/c`, `dir:${folder}/e`, { selection: "all", format: "oci" });
    assert.equal(same.converted, undefined);
    assert.equal(same.digest, back.digest);
    for (const file of await readdir(join(folder, "c")))
      assert.deepEqual(await readFile(join(folder, "e", file)), await readFile(join(folder, "c", file)), file);
  });

  void it("judges what the source has, and signs what the destination gets", async (t) => {
    const folder = makeFolder(t);
    const image = contractImage({ format: "docker" });
    await store(`dir:${folder}/from`, image);
    await addDirSignature(join(folder, "from"), encode("old"));
    const judged: string[] = [];
    const signed: string[] = [];
    const result = await copy(`dir:${folder}/from`, `dir:${folder}/to`, {
      format: "oci",
      removeSignatures: true,
      signIdentity: "h/r:1",
      enforce: async ({ digest }) => void judged.push(digest),
      sign: async (_, digest, __, present) => {
        assert.equal(present.length, 0);
        signed.push(digest);
        return encode("new");
      },
    });
    assert.deepEqual(judged, [image.top.digest]);
    assert.deepEqual(signed, [result.digest]);
    assert.notEqual(result.digest, image.top.digest);
    assert.equal(await readFile(join(folder, "to", "signature-1"), "utf8"), "new");
  });

  void it("refuses to invalidate signatures, counts them, moves nothing and says how to go on", async (t) => {
    const folder = makeFolder(t);
    const list = contractList({ format: "docker" });
    await store(`dir:${folder}/from`, list);
    await addDirSignature(join(folder, "from"), encode("of the list"));
    await addDirSignature(join(folder, "from"), encode("of arm64"), list.instances[1]!.digest);
    const attempt = async (options: CopyOptions, message: RegExp): Promise<void> => {
      const events: CopyProgress[] = [];
      await assert.rejects(
        copy(`dir:${folder}/from`, `dir:${folder}/to`, {
          format: "oci",
          onProgress: (event) => events.push(event),
          ...options,
        }),
        { code: "conversion-refused", message, hint: /--remove-signatures.*--sign-by/ },
      );
      assert.deepEqual(events, []);
      assert.equal(await isThere(join(folder, "to")), false);
    };
    await attempt({ selection: "all" }, /would invalidate 2 signatures/);
    await attempt({ platform: { os: "linux", architecture: "arm64" } }, /would invalidate 1 signature$/);
    // Signing the new digest does not make up for the old signatures.
    await attempt({ selection: "all", signIdentity: "h/r:1", sign: async () => encode("n") }, /would invalidate 2/);
    // The other instance has none.
    await copy(`dir:${folder}/from`, `dir:${folder}/to`, {
      format: "oci",
      platform: { os: "linux", architecture: "amd64" },
    });
  });

  void it("refuses any conversion of digests that are to be preserved, of a list alone, and of schema 1", async (t) => {
    const folder = makeFolder(t);
    await store(`dir:${folder}/list`, contractList({ format: "docker" }));
    await assert.rejects(copy(`dir:${folder}/list`, `oci:${folder}/to`, { selection: "all", preserveDigests: true }), {
      code: "conversion-refused",
      message: /is to be preserved/,
    });
    await assert.rejects(copy(`dir:${folder}/list`, `dir:${folder}/to`, { selection: "index-only", format: "oci" }), {
      code: "conversion-refused",
      hint: /--all/,
    });
    const vectors = new URL("../../../../vectors/manifest/", import.meta.url);
    await store(`dir:${folder}/schema1`, contractImage());
    await writeFile(
      join(folder, "schema1", "manifest.json"),
      await readFile(new URL("v2s1-unsigned.manifest.json", vectors)),
    );
    await assert.rejects(copy(`dir:${folder}/schema1`, `dir:${folder}/to`, { format: "docker" }), {
      code: "conversion-refused",
      message: /schema 1/,
    });
    assert.equal(await isThere(join(folder, "to")), false);
  });

  void it("refuses a format that the destination does not take, before anything moves", async (t) => {
    const folder = makeFolder(t);
    await store(`dir:${folder}/from`, contractImage());
    await assert.rejects(copy(`dir:${folder}/from`, `oci:${folder}/to`, { format: "docker" }), {
      code: "destination-unsuitable",
      message: /OCI manifests/,
    });
    assert.equal(await isThere(join(folder, "to")), false);
  });
});
