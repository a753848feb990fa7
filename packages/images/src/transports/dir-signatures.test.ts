import assert from "node:assert/strict";
import { mkdir, readdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { MAX_SIGNATURES_PER_MANIFEST, parseDigest } from "@signet/core";
import { makeTempDir, runChecked } from "@signet/testkit";
import { addDirSignature, readDirSignatures } from "./dir-signatures.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const instance = parseDigest(`sha512:${"ab".repeat(64)}`);

function makeFolder(t: TestContext): string {
  const folder = makeTempDir("signet-dir-signatures-");
  t.after(() => folder.dispose());
  return folder.path;
}

async function readTexts(path: string): Promise<string[]> {
  return (await readDirSignatures(path)).signatures.map(({ bytes }) => new TextDecoder().decode(bytes));
}

void describe("signatures beside a dir: image", () => {
  void it("are read up to the first number that is missing, and the reading says where it looked", async (t) => {
    const path = makeFolder(t);
    for (const number of [1, 2, 4]) await writeFile(join(path, `signature-${number}`), `${number}`);
    await writeFile(join(path, `sha512-${"ab".repeat(64)}.signature-1`), "of an instance");
    assert.deepEqual(await readTexts(path), ["1", "2"]);
    const reading = await readDirSignatures(path, instance);
    assert.equal(reading.store, `dir:${path}`);
    assert.deepEqual(
      reading.attempts.map(({ outcome }) => outcome),
      ["found", "absent"],
    );
    assert.deepEqual((await readDirSignatures(path, parseDigest(`sha256:${"ab".repeat(32)}`))).signatures, []);
  });

  void it("are a failure, not an end, when one cannot be read", async (t) => {
    const obstacles: ((path: string) => Promise<unknown>)[] = [
      (path) => mkdir(path),
      (path) => symlink(path, path),
      (path) => runChecked("mkfifo", [path]),
      (path) => symlink("/dev/zero", path),
    ];
    for (const obstruct of obstacles) {
      const path = makeFolder(t);
      await writeFile(join(path, "signature-1"), "1");
      await obstruct(join(path, "signature-2"));
      await assert.rejects(readDirSignatures(path), { code: "file-unreadable" });
    }
  });

  void it("are capped in size and number", async (t) => {
    const path = makeFolder(t);
    for (let number = 1; number <= MAX_SIGNATURES_PER_MANIFEST; number++) {
      await writeFile(join(path, `signature-${number}`), `${number}`);
    }
    assert.equal((await readTexts(path)).length, MAX_SIGNATURES_PER_MANIFEST);
    await assert.rejects(addDirSignature(path, encode("new")), { code: "file-unwritable" });
    await writeFile(join(path, `signature-${MAX_SIGNATURES_PER_MANIFEST + 1}`), "one too many");
    await assert.rejects(readDirSignatures(path), { code: "file-unreadable", message: /more than 128/ });

    const large = makeFolder(t);
    await writeFile(join(large, "signature-1"), "");
    await truncate(join(large, "signature-1"), 4 * 1024 * 1024 + 1);
    await assert.rejects(readDirSignatures(large), { code: "input-too-large" });
  });

  void it("are added under the first free number, and not twice", async (t) => {
    const path = makeFolder(t);
    assert.equal(await addDirSignature(path, encode("a")), join(path, "signature-1"));
    assert.equal(await addDirSignature(path, encode("b")), join(path, "signature-2"));
    assert.equal(await addDirSignature(path, encode("a")), join(path, "signature-1"));
    await addDirSignature(path, encode("c"), instance);
    assert.deepEqual(await readTexts(path), ["a", "b"]);
    assert.deepEqual((await readdir(path)).sort(), [
      `sha512-${"ab".repeat(64)}.signature-1`,
      "signature-1",
      "signature-2",
    ]);
  });

  void it("are all kept when many are added at the same time", async (t) => {
    const path = makeFolder(t);
    const texts = Array.from({ length: 20 }, (_, index) => `signature ${index}`);
    await Promise.all(texts.map((text) => addDirSignature(path, encode(text))));
    assert.deepEqual((await readTexts(path)).sort(), texts.sort());
    assert.equal((await readdir(path)).length, texts.length);
  });
});
