import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { type Digest, parseDigest } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { contractImage } from "@signet/testkit/contract-image";
import { parseImageName } from "./image-name.ts";
import { openImageSource } from "./open.ts";

const [idA, idB] = ["a".repeat(64), `a${"b".repeat(63)}`];
const image = contractImage();
const { digest } = image.top;

interface Store {
  /** What an image name begins with. */
  readonly prefix: string;
  writeList(list: unknown): Promise<void>;
  /** Data of an image, by its key. */
  writeData(id: string, key: string, bytes: Uint8Array | string): Promise<void>;
}

async function makeStore(t: TestContext): Promise<Store> {
  const folder = makeTempDir("signet-storage-");
  t.after(() => folder.dispose());
  const images = folder.join("vfs-images");
  await mkdir(images);
  return {
    prefix: `containers-storage:[vfs@${folder.path}]`,
    writeList: (list) => writeFile(join(images, "images.json"), typeof list === "string" ? list : JSON.stringify(list)),
    async writeData(id, key, bytes) {
      await mkdir(join(images, id), { recursive: true });
      const file = /^[a-z]+$/.test(key) ? key : `=${Buffer.from(key).toString("base64")}`;
      await writeFile(join(images, id, file), bytes);
    },
  };
}

const record = (id: string, names: readonly string[], metadata: object = {}): object => ({
  id,
  names,
  "big-data-names": ["manifest", `manifest-${digest}`],
  metadata: JSON.stringify(metadata),
});

async function signaturesOf(text: string, of?: Digest): Promise<readonly string[]> {
  await using source = await openImageSource(await parseImageName(text));
  const { signatures } = await source.signatures(of ?? (await source.manifest()).digest);
  return signatures.map(({ bytes }) => Buffer.from(bytes).toString());
}

void describe("records of the local storage", () => {
  void it("give an image by name, digest, id and the beginning of an id, and never another one", async (t) => {
    const store = await makeStore(t);
    await store.writeList([
      record(idA, ["example.com/a:1"]),
      record(idB, ["example.com/b:1", "docker.io/library/aab:latest"]),
    ]);
    for (const id of [idA, idB]) {
      await store.writeData(id, "manifest", image.top.bytes);
      await store.writeData(id, `manifest-${digest}`, image.top.bytes);
    }
    const open = async (name: string): Promise<string> => {
      await using source = await openImageSource(await parseImageName(`${store.prefix}${name}`));
      assert.equal((await source.manifest()).digest, digest);
      return source.name.text.slice(store.prefix.length);
    };
    assert.equal(await open("example.com/a:1"), `example.com/a:1@${idA}`);
    assert.equal(await open(`example.com/b@${digest}`), `example.com/b@${digest}@${idB}`);
    assert.equal(await open(`example.com/b:9@${digest}`), `example.com/b:9@${digest}@${idB}`);
    assert.equal(await open(`@${idA}`), `@${idA}`);
    assert.equal(await open(`example.com/b:7@${idB}`), `example.com/b:7@${idB}`);
    assert.equal(await open("abb"), `@${idB}`);
    // No id begins so, but a repository is called so.
    assert.equal(await open("aab"), `docker.io/library/aab:latest@${idB}`);
    for (const name of [
      "example.com/a:2",
      `example.com/c@${digest}`,
      `example.com/a@${idB}`,
      "@a",
      "@abc",
      "ab",
      "b",
    ]) {
      await assert.rejects(open(name), /no such image|neither a digest nor an image id|several images/, name);
    }
  });

  void it("refuse a digest that several images of the repository have", async (t) => {
    const store = await makeStore(t);
    await store.writeList([record(idA, ["example.com/a:1"]), record(idB, ["example.com/a:2"])]);
    await assert.rejects(signaturesOf(`${store.prefix}example.com/a@${digest}`), {
      code: "image-malformed",
      hint: /aaaa/,
    });
  });

  void it("refuse a manifest that is not what the name's digest says", async (t) => {
    const store = await makeStore(t);
    await store.writeList([record(idA, ["example.com/a:1"])]);
    await store.writeData(idA, `manifest-${digest}`, contractImage({ seed: "other" }).top.bytes);
    await assert.rejects(signaturesOf(`${store.prefix}example.com/a@${digest}`), { code: "digest-mismatch" });
  });

  void it("give the signatures of the very manifest, in order", async (t) => {
    const store = await makeStore(t);
    await store.writeData(idA, "manifest", image.top.bytes);
    await store.writeData(idA, "signatures", "onethree");
    await store.writeData(idA, `signature-${digest.slice(7)}`, "of digest");
    const name = `${store.prefix}example.com/a:1`;
    const list = (metadata: object): Promise<void> => store.writeList([record(idA, ["example.com/a:1"], metadata)]);
    await list({ "signature-sizes": [3, 5] });
    assert.deepEqual(await signaturesOf(name), ["one", "three"]);
    await list({ "signature-sizes": [3, 5], "signatures-sizes": { [digest]: [9] } });
    assert.deepEqual(await signaturesOf(name), ["of digest"]);
    await list({ "signature-sizes": [], "signatures-sizes": null });
    assert.deepEqual(await signaturesOf(name), []);
    await store.writeList([{ id: idA, names: ["example.com/a:1"], metadata: "" }]);
    assert.deepEqual(await signaturesOf(name), []);
    const other = parseDigest(`sha256:${createHash("sha256").update("other").digest("hex")}`);
    await list({ "signature-sizes": [3, 5] });
    assert.deepEqual(await signaturesOf(name, other), []);
    await list({ "signatures-sizes": { [other]: [9] } });
    assert.deepEqual(await signaturesOf(name), []);
  });

  void it("cannot tell when lengths and bytes of signatures disagree, are absurd, or the file is gone", async (t) => {
    const store = await makeStore(t);
    await store.writeData(idA, "manifest", image.top.bytes);
    await store.writeData(idA, "signatures", "onethree");
    for (const [sizes, code] of [
      [[3, 4], "image-malformed"],
      [[3, 6], "image-malformed"],
      [[-1, 9], "image-malformed"],
      [["8"], "image-malformed"],
      [[1.5, 6.5], "image-malformed"],
      [[5_000_000], "input-too-large"],
      [Array.from({ length: 129 }, () => 0), "input-too-large"],
      [{}, "json-malformed"],
    ] as const) {
      await store.writeList([record(idA, ["example.com/a:1"], { "signature-sizes": sizes })]);
      await assert.rejects(
        signaturesOf(`${store.prefix}example.com/a:1`),
        { code },
        JSON.stringify(sizes).slice(0, 50),
      );
    }
    await store.writeList([record(idA, ["example.com/a:1"], { "signatures-sizes": { [digest]: [1] } })]);
    await assert.rejects(signaturesOf(`${store.prefix}example.com/a:1`), { code: "file-missing" });
  });

  void it("refuse a list that is none, and ids that are paths", async (t) => {
    const store = await makeStore(t);
    for (const [list, code] of [
      ["", "json-malformed"],
      ["{}", "json-malformed"],
      ["[1]", "json-malformed"],
      ['[{"names":["example.com/a:1"]}]', "json-malformed"],
      ['[{"id":"x","id":"y"}]', "json-malformed"],
      [[record("../../../../etc", ["example.com/a:1"])], "image-malformed"],
      [[record("A".repeat(64), ["example.com/a:1"])], "image-malformed"],
      ["null", "image-missing"],
    ] as const) {
      await store.writeList(list);
      await assert.rejects(signaturesOf(`${store.prefix}example.com/a:1`), { code }, JSON.stringify(list));
    }
  });
});
