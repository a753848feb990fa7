import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseDigest } from "../../bytes/digest.ts";
import { SignetError } from "../../errors.ts";
import { parseManifest } from "./manifest.ts";
import { artifactTypeOf, describeReferrer, parseReferrers, writeReferrers } from "./referrers.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | undefined): unknown => JSON.parse(new TextDecoder().decode(bytes));
const digestOf = (digit: string): ReturnType<typeof parseDigest> => parseDigest(`sha256:${digit.repeat(64)}`);
const entry = (digit: string): object => ({ mediaType: "a/b", digest: digestOf(digit), size: 1 });
const list = (...entries: readonly object[]): Uint8Array =>
  encode(JSON.stringify({ schemaVersion: 2, manifests: entries }));

void describe("lists of referrers", () => {
  void it("are read with the type and annotations of each entry", () => {
    const [one, two] = parseReferrers(
      list({ ...entry("1"), artifactType: "c/d", annotations: { k: "v" } }, entry("2")),
      "list",
    );
    assert.equal(one?.artifactType, "c/d");
    assert.equal(one?.annotations.get("k"), "v");
    assert.equal(two?.artifactType, undefined);
    assert.deepEqual(parseReferrers(encode('{"schemaVersion":2,"manifests":null}'), "list"), []);
  });

  for (const [what, document] of [
    ["no list", "{}"],
    ["another version", '{"schemaVersion":1,"manifests":[]}'],
    ["another type", '{"schemaVersion":2,"mediaType":"a/b","manifests":[]}'],
    ["an image at once", '{"schemaVersion":2,"config":{},"manifests":[]}'],
    ["a member twice", '{"schemaVersion":2,"manifests":[],"manifests":[]}'],
    ["a member in another case", '{"schemaVersion":2,"manifests":[],"Manifests":[]}'],
    [
      "a type in another case",
      `{"schemaVersion":2,"manifests":[${JSON.stringify({ ...entry("1"), ArtifactType: "x" })}]}`,
    ],
    ["an entry without a size", '{"schemaVersion":2,"manifests":[{"mediaType":"a/b"}]}'],
  ] as const) {
    void it(`are refused: ${what}`, () => {
      assert.throws(
        () => parseReferrers(encode(document), "list"),
        (error) => error instanceof SignetError && error.code === "manifest-malformed",
      );
    });
  }

  void it("are changed without touching what is not known, and not at all where nothing changes", () => {
    const before = { schemaVersion: 2, x: { y: 1 }, manifests: [{ ...entry("1"), z: [2] }, entry("2")] };
    const bytes = encode(JSON.stringify(before));
    const add = parseReferrers(list(entry("2"), entry("3"), entry("3")), "list");
    assert.deepEqual(decode(writeReferrers(bytes, { add }, "list")), {
      ...before,
      manifests: [...before.manifests, entry("3")],
    });
    const remove = new Set([digestOf("1")]);
    assert.deepEqual(decode(writeReferrers(bytes, { remove }, "list")), { ...before, manifests: [entry("2")] });
    assert.equal(writeReferrers(bytes, { add: add.slice(0, 1), remove: new Set([digestOf("9")]) }, "list"), undefined);
  });

  void it("do not grow beyond what is read", () => {
    const hex = (number: number): string => number.toString(16).padStart(64, "0");
    const many = Array.from({ length: 1000 }, (_, index) => ({ ...entry("1"), digest: `sha256:${hex(index)}` }));
    const add = parseReferrers(list(entry("f")), "list");
    assert.throws(
      () => writeReferrers(list(...many), { add }, "list"),
      (error) => error instanceof SignetError && error.code === "input-too-large",
    );
  });

  void it("name the type that a manifest states, else that of its config", () => {
    const config = { mediaType: "c/c", digest: digestOf("1"), size: 2 };
    const manifest = { schemaVersion: 2, config, layers: [], annotations: { k: "v" } };
    const read = (document: object): ReturnType<typeof parseManifest> =>
      parseManifest(encode(JSON.stringify(document)));
    assert.equal(artifactTypeOf(read({ ...manifest, artifactType: "a/a" })), "a/a");
    assert.equal(artifactTypeOf(read(manifest)), "c/c");
    assert.equal(artifactTypeOf(read({ schemaVersion: 2, manifests: [] })), undefined);
    const described = describeReferrer(read(manifest), digestOf("5"));
    assert.equal(described.size, JSON.stringify(manifest).length);
    assert.equal(described.annotations.get("k"), "v");
  });
});
