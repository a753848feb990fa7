import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { buildTestImage, buildTestIndex, makeTempDir, requireTool, run, writeDirImage } from "@signet/testkit";
import { FormatError } from "../../errors.ts";
import { nodeEngine } from "../../node-engine.ts";
import { computeManifestDigest } from "./manifest-digest.ts";
import { parseManifest } from "./manifest.ts";
import { chooseInstance } from "./platform.ts";

const folder = new URL("../../../../../vectors/manifest/", import.meta.url);

const base64Url = (text: string): string => Buffer.from(text).toString("base64url");
const head = '{"schemaVersion":1,"name":"n","fsLayers":[]';
const header = `{"formatLength":${head.length},"formatTail":"fQ"}`;
const signed = (...headers: readonly string[]): string =>
  `${head},"signatures":[${headers.map((one) => `{"protected":"${base64Url(one)}","signature":"x","header":{}}`).join(",")}]}`;

/** Documents that ask how the type is guessed and the payload is found. */
const documents: readonly string[] = [
  "",
  "[]",
  "null",
  '{"schemaVersion":1}',
  signed(header),
  signed(header, header),
  `${signed(header)}\n\n`,
  `${signed(header)}x`,
  `\ufeff${signed(header)}`,
  signed('{"formatLength":5,"formatTail":""}'),
  signed('{"formatLength":0,"formatTail":"fQ"}'),
  signed('{"formatLength":9999,"formatTail":"fQ"}'),
  signed(header, '{"formatLength":3,"formatTail":"fQ"}'),
  signed("[]"),
  signed("{}"),
  `${head},"signatures":null}`,
  `${head},"signatures":1}`,
  `${head},"signatures":{}}`,
  `${head},"signatures":[null]}`,
  `${head},"signatures":[{}]}`,
  signed(header).replace('"signature":"x"', '"signature":1'),
  signed(header).replace('"header":{}', '"header":1'),
  signed(header).replace('"header":{}', '"header":{"jwk":{}}'),
  signed(header).replace('"signatures"', '"Signatures"'),
  signed(header).replace("schemaVersion", "SchemaVersion"),
  signed(header).replace("schemaVersion", "\u017fchemaVersion"),
  signed(header).replace(":1,", ":1.0,"),
  signed(header).replace(":1,", ':"1",'),
  signed(header).replace("{", '{"mediaType":1,'),
  signed(header).replace("{", '{"mediaType":"application/vnd.oci.image.index.v1+json",'),
  signed(header).replace(/\}$/, ',"signatures":null}').replace('"signatures":[', '"x":['),
];

test("skopeo computes the same digests, and has none where Signet has none", async (t) => {
  if (requireTool(t, "skopeo") === undefined) return;
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  const files = readdirSync(folder).filter((file) => file.endsWith(".json") && file !== "vectors.json");
  const all = [
    ...files.map((file) => readFileSync(new URL(file, folder))),
    ...documents.map((one) => Buffer.from(one)),
  ];
  assert.ok(all.length > 50);
  for (const bytes of all) {
    const path = dir.join("manifest.json");
    writeFileSync(path, bytes);
    const theirs = await run("skopeo", ["manifest-digest", path]);
    let ours: string | undefined;
    try {
      ours = computeManifestDigest(bytes, nodeEngine);
    } catch (error) {
      assert.ok(error instanceof FormatError);
    }
    const shown = bytes.toString("utf8").slice(0, 200);
    assert.equal(ours, theirs.status === 0 ? theirs.stdout.trim() : undefined, `${shown}\n${theirs.stderr}`);
  }
});

test("skopeo chooses the same instance of a list for every platform", async (t) => {
  if (requireTool(t, "skopeo") === undefined) return;
  const offered = [
    { architecture: "arm", variant: "v6" },
    { architecture: "arm", variant: "v7" },
    { architecture: "arm64", variant: "v8" },
    { architecture: "amd64" },
    { architecture: "arm", variant: "custom" },
    { architecture: "arm" },
    { architecture: "arm", variant: "v7" },
    { architecture: "s390x" },
  ];
  const wanted = [
    ...["v8", "v7", "v6", "v5", "custom", "other"].map((variant) => ({ os: "linux", architecture: "arm", variant })),
    { os: "linux", architecture: "arm64", variant: "v8" },
    { os: "linux", architecture: "arm64" },
    { os: "linux", architecture: "arm" },
    { os: "linux", architecture: "amd64" },
    { os: "linux", architecture: "amd64", variant: "v2" },
    { os: "linux", architecture: "mips" },
    { os: "windows", architecture: "amd64" },
  ];
  for (const format of ["docker", "oci"] as const) {
    // Two orders, one of them without the instance that fits everything.
    for (const platforms of [offered, offered.filter(({ variant }) => variant !== undefined).toReversed()]) {
      const images = await Promise.all(
        platforms.map((platform, seed) => buildTestImage({ ...platform, seed, format })),
      );
      const index = buildTestIndex(images, format);
      const dir = makeTempDir();
      t.after(() => dir.dispose());
      writeDirImage(dir.path, index);
      const list = parseManifest(index.manifest);
      assert.ok(list.kind === "list");
      for (const platform of wanted) {
        const overrides = [
          ...["--override-os", platform.os, "--override-arch", platform.architecture],
          ...("variant" in platform ? ["--override-variant", platform.variant] : []),
        ];
        const theirs = await run("skopeo", [...overrides, "inspect", "--config", "--raw", `dir:${dir.path}`]);
        const ours = chooseInstance(list, platform);
        const config = images.find(({ digest }) => digest === ours?.digest)?.config.bytes;
        const expected = config === undefined ? "" : Buffer.from(config).toString("utf8");
        assert.equal(theirs.stdout, expected, `${format} ${JSON.stringify(platform)} ${theirs.stderr}`);
      }
    }
  }
});
