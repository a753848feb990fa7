import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { SignetError } from "../../errors.ts";
import { nodeEngine } from "../../node-engine.ts";
import { computeManifestDigest } from "./manifest-digest.ts";
import { MAX_INSTANCES, parseManifest } from "./manifest.ts";
import { chooseInstance, formatPlatform } from "./platform.ts";

const folder = new URL("../../../../../vectors/manifest/", import.meta.url);
const readVector = (file: string): Uint8Array => readFileSync(new URL(file, folder));
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Vectors {
  readonly files: readonly {
    readonly file: string;
    readonly digest?: string;
    readonly digestError?: string;
    readonly kind?: string;
    readonly mediaType?: string;
    readonly parseError?: string;
  }[];
  readonly documents: readonly {
    readonly name: string;
    readonly document: string;
    readonly declared?: string;
    readonly mediaType?: string;
    readonly error?: string;
  }[];
  readonly instances: readonly {
    readonly file: string;
    readonly os: string;
    readonly architecture: string;
    readonly variant: string;
    readonly digest: string | null;
  }[];
}

const vectors = JSON.parse(readFileSync(new URL("vectors.json", folder), "utf8")) as Vectors;

test("every manifest of the vectors has its digest, and is of its type or refused", async (t) => {
  assert.equal(vectors.files.length, 23);
  for (const one of vectors.files) {
    await t.test(one.file, () => {
      const bytes = readVector(one.file);
      if (one.digestError === undefined) assert.equal(computeManifestDigest(bytes, nodeEngine), one.digest);
      else assert.throws(() => computeManifestDigest(bytes, nodeEngine), { code: one.digestError });
      if (one.parseError !== undefined) {
        assert.throws(() => parseManifest(bytes), { code: one.parseError });
        return;
      }
      const manifest = parseManifest(bytes, one.mediaType);
      assert.equal(manifest.kind, one.kind);
      assert.equal(manifest.mediaType, one.mediaType);
      assert.equal(manifest.raw, bytes);
      assert.deepEqual(parseManifest(bytes), manifest, "the same without a declared type");
    });
  }
});

test("documents that can be read in two ways, or name no digests, are refused with their code", async (t) => {
  assert.ok(vectors.documents.length > 50);
  for (const one of vectors.documents) {
    await t.test(one.name, () => {
      const parse = (): unknown => parseManifest(encode(one.document), one.declared);
      if (one.error !== undefined) assert.throws(parse, { code: one.error });
      else assert.equal(parseManifest(encode(one.document), one.declared).mediaType, one.mediaType);
    });
  }
});

test("each platform gets the instance that containers/image chooses", async (t) => {
  for (const { file, os, architecture, variant, digest } of vectors.instances) {
    const platform = { os, architecture, variant };
    await t.test(`${file}: ${formatPlatform(platform)}`, () => {
      const list = parseManifest(readVector(file));
      assert.ok(list.kind === "list");
      assert.equal(chooseInstance(list, platform)?.digest ?? null, digest);
    });
  }
});

test("an instance without platform is the last resort of an OCI index, and nothing in a docker list", () => {
  const entry = (digit: string, platform?: object): object => ({
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${digit.repeat(64)}`,
    size: 1,
    ...(platform === undefined ? {} : { platform }),
  });
  const manifests = [entry("0"), entry("1", { os: "linux", architecture: "arm64" }), entry("2")];
  const chosen = (mediaType: string, architecture: string): string | undefined => {
    const list = parseManifest(encode(JSON.stringify({ schemaVersion: 2, mediaType, manifests })));
    assert.ok(list.kind === "list");
    return chooseInstance(list, { os: "linux", architecture })?.digest.at(-1);
  };
  const index = "application/vnd.oci.image.index.v1+json";
  const dockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
  assert.equal(chosen(index, "arm64"), "1");
  assert.equal(chosen(index, "s390x"), "0");
  assert.equal(chosen(dockerList, "arm64"), "1");
  assert.equal(chosen(dockerList, "s390x"), undefined);
});

test("what an image manifest names is returned in order, with its raw bytes", () => {
  const manifest = parseManifest(readVector("v2s2.manifest.json"));
  assert.ok(manifest.kind === "image");
  assert.equal(manifest.config.digest, "sha256:b5b2b2c507a0944348e0303114d8d93aaaa081732b86451d9bce1f432a537bc7");
  assert.equal(manifest.config.size, 7023);
  assert.deepEqual(
    manifest.layers.map(({ size }) => size),
    [32654, 16724, 73109],
  );
});

test("members of lists and descriptors are read whole", () => {
  const list = parseManifest(readVector("oci1.index.everything.json"));
  assert.ok(list.kind === "list");
  assert.deepEqual(list.instances[0]!.platform, { os: "B", architecture: "A", variant: "E", osVersion: "C" });
  assert.deepEqual(list.instances[0]!.urls, ["https://some.example/manifest"]);
  assert.deepEqual(Object.fromEntries(list.instances[0]!.annotations), { manifest: "1" });
  assert.deepEqual(Object.fromEntries(list.annotations), { top: "0" });
  assert.equal(list.artifactType, "application/our-top-artifact");
  assert.equal(list.subject?.size, 2);
});

test("schema 1 names its layers newest first, as they stand", () => {
  const signed = parseManifest(readVector("v2s1.manifest.json"));
  const unsigned = parseManifest(readVector("v2s1-unsigned.manifest.json"));
  assert.ok(signed.kind === "schema1" && unsigned.kind === "schema1");
  assert.equal(signed.name, "mitr/busybox");
  assert.equal(signed.tag, "latest");
  assert.ok(signed.layers.length > 1);
  assert.deepEqual(signed.layers, unsigned.layers);
  assert.equal(signed.history.length, signed.layers.length);
  assert.equal((JSON.parse(signed.history[0]!) as { architecture: string }).architecture, "amd64");
  // The payload of the signed one is the unsigned one, which is its own.
  assert.deepEqual(Buffer.from(signed.payload), readVector("v2s1-unsigned.manifest.json"));
  assert.deepEqual(Buffer.from(unsigned.payload), readVector("v2s1-unsigned.manifest.json"));
});

test("the history of schema 1 is read so that it means one thing, and may be missing", () => {
  const document = (history: string): Uint8Array => encode(`{"schemaVersion":1,"fsLayers":[]${history}}`);
  const historyOf = (text: string): readonly string[] => {
    const manifest = parseManifest(document(text));
    assert.ok(manifest.kind === "schema1");
    return manifest.history;
  };
  assert.deepEqual(historyOf(""), []);
  assert.deepEqual(historyOf(',"history":null'), []);
  assert.deepEqual(historyOf(',"history":[{"v1Compatibility":"{}"},{}]'), ["{}", ""]);
  for (const wrong of [
    ',"history":{}',
    ',"history":["{}"]',
    ',"history":[{"v1Compatibility":{}}]',
    ',"history":[{"v1Compatibility":"{}","v1Compatibility":"[]"}]',
    ',"history":[{"v1compatibility":"{}"}]',
  ])
    assert.throws(() => historyOf(wrong), { code: "manifest-malformed" }, wrong);
  assert.throws(() => historyOf(`,"history":[${Array.from({ length: 1_001 }, () => "{}").join(",")}]`), {
    code: "input-too-large",
  });
});

test("lists, layers and bytes beyond the limits are refused as too large", () => {
  const entry = { mediaType: "m", digest: `sha256:${"0".repeat(64)}`, size: 1 };
  const list = (count: number): Uint8Array =>
    encode(JSON.stringify({ schemaVersion: 2, manifests: Array.from({ length: count }, () => entry) }));
  assert.equal(parseManifest(list(MAX_INSTANCES)).kind, "list");
  assert.throws(() => parseManifest(list(MAX_INSTANCES + 1)), { code: "input-too-large" });
  const image = { schemaVersion: 2, config: entry, layers: Array.from({ length: 1_001 }, () => entry) };
  assert.throws(() => parseManifest(encode(JSON.stringify(image))), { code: "input-too-large" });
  const huge = encode(`{"schemaVersion":2}${" ".repeat(4 * 1024 * 1024)}`);
  assert.throws(() => parseManifest(huge), { code: "input-too-large" });
  assert.throws(() => computeManifestDigest(huge, nodeEngine), { code: "input-too-large" });
});

test("manifests with changed octets are read or refused with a coded error, never anything else", () => {
  const bases = vectors.files.map(({ file }) => readVector(file)).filter((bytes) => bytes.length < 4_000);
  const mutation = fc.record({
    base: fc.nat(bases.length - 1),
    at: fc.nat(4_000),
    octets: fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc.constantFrom('"', "{", "}", "null", ",", '"x":1,').map(encode),
    ),
    remove: fc.nat(20),
  });
  let accepted = 0;
  fc.assert(
    fc.property(mutation, ({ base, at, octets, remove }) => {
      const bytes = bases[base]!;
      const from = at % bytes.length;
      const mutated = Uint8Array.from([...bytes.subarray(0, from), ...octets, ...bytes.subarray(from + remove)]);
      for (const read of [parseManifest, (one: Uint8Array) => computeManifestDigest(one, nodeEngine)]) {
        try {
          read(mutated);
          accepted++;
        } catch (error) {
          assert.ok(error instanceof SignetError, String(error));
        }
      }
    }),
    { numRuns: 1_000 },
  );
  assert.ok(accepted > 0);
});
