import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { type Digest, SignetError, parseDigest, parseReference } from "@signet/core";
import { buildTestImage, makeTempDir } from "@signet/testkit";
import { readGivenSignatures } from "./given-signatures.ts";

const reference = parseReference("registry.example.com/team/app:1");
const digest = parseDigest(`sha256:${"a".repeat(64)}`);
const folder = `sha256=${"a".repeat(64)}`;

function put(root: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
}

async function read(place: string, of: Digest = digest): Promise<readonly string[]> {
  const { signatures } = await readGivenSignatures(place, reference, of);
  return signatures.map(({ bytes }) => new TextDecoder().decode(bytes));
}

describe("signatures that lie in a folder", () => {
  const layouts: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    "as files of one folder": { "signature-1": "one", "signature-2": "two", "signature-4": "behind a gap" },
    "as a lookaside tree": { [`team/app@${folder}/signature-1`]: "one", [`team/app@${folder}/signature-2`]: "two" },
    "as release signatures": { [`${folder}/signature-1`]: "one", [`${folder}/signature-2`]: "two" },
  };
  for (const [what, files] of Object.entries(layouts)) {
    test(`${what} are read up to the first gap`, async () => {
      using dir = makeTempDir();
      put(dir.path, files);
      assert.deepEqual(await read(dir.path), ["one", "two"]);
    });
  }

  test("of a dir: image are those of its own manifest, or of the instance", async () => {
    using dir = makeTempDir();
    const image = await buildTestImage();
    put(dir.path, { "signature-1": "own", [`${"a".repeat(64)}.signature-1`]: "instance" });
    writeFileSync(dir.join("manifest.json"), image.manifest);
    assert.deepEqual(await read(dir.path, parseDigest(image.digest)), ["own"]);
    assert.deepEqual(await read(dir.path), ["instance"]);
  });

  test("of the most telling form count alone", async () => {
    using dir = makeTempDir();
    put(dir.path, {
      ...layouts["as release signatures"],
      "signature-1": "flat",
      [`team/app@${folder}/signature-1`]: "filed",
    });
    assert.deepEqual(await read(dir.path), ["filed"]);
  });

  test("are none in an empty folder, and every place that was looked at is told", async () => {
    using dir = makeTempDir();
    const { signatures, attempts } = await readGivenSignatures(dir.path, reference, digest);
    assert.deepEqual(signatures, []);
    assert.deepEqual(
      attempts.map(({ location, outcome }) => [location, outcome]),
      [`team/app@${folder}`, folder, "."].map((one) => [join(dir.path, one, "signature-1"), "absent"]),
    );
  });

  test("a single file is one signature", async () => {
    using dir = makeTempDir();
    put(dir.path, { "any-name": "one" });
    assert.deepEqual(await read(dir.join("any-name")), ["one"]);
  });

  test("a place that does not exist, or is no folder where one belongs, is an error and not an empty one", async () => {
    using dir = makeTempDir();
    put(dir.path, { [folder]: "a file" });
    for (const place of [dir.join("missing"), dir.path]) {
      await assert.rejects(read(place), (error) => error instanceof SignetError && error.code === "file-missing");
    }
  });
});
