import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { buildTestImage, buildTestIndex, makeTempDir, requireTool, runChecked, writeDirImage } from "@signet/testkit";
import { type Digest, sha256Digest } from "../../bytes/digest.ts";
import { FormatError } from "../../errors.ts";
import { nodeEngine } from "../../node-engine.ts";
import { convertImageManifest } from "./convert-image.ts";
import { type ConvertedInstance, convertManifestList } from "./convert-list.ts";
import { type ManifestFormat, convertLayerType } from "./convert-media-types.ts";
import type { UntrustedInstance } from "./descriptor.ts";
import { parseManifest } from "./manifest.ts";

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const decode = (bytes: Uint8Array): Record<string, unknown> =>
  JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
const hex = (digit: string): string => `sha256:${digit.repeat(64)}`;

const types = {
  docker: {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    list: "application/vnd.docker.distribution.manifest.list.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  },
  oci: {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    list: "application/vnd.oci.image.index.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar+gzip",
  },
} as const;

type Json = Record<string, unknown>;

function image(format: ManifestFormat, change: (manifest: Json & { config: Json; layers: Json[] }) => void): Json {
  const { manifest: mediaType, config, layer } = types[format];
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: config, size: 7, digest: hex("a") } as Json,
    layers: [{ mediaType: layer, size: 8, digest: hex("b") } as Json],
  };
  change(manifest);
  return manifest;
}

function convertImage(manifest: Json, format: ManifestFormat): Json {
  const parsed = parseManifest(encode(manifest));
  assert.ok(parsed.kind === "image");
  return decode(convertImageManifest(parsed, format));
}

function list(format: ManifestFormat, change: (list: Json & { manifests: Json[] }) => void): Json {
  const { manifest: mediaType, list: listType } = types[format];
  const document = {
    schemaVersion: 2,
    mediaType: listType,
    manifests: [{ mediaType, size: 9, digest: hex("c"), platform: { architecture: "amd64", os: "linux" } } as Json],
  };
  change(document);
  return document;
}

const other = (format: ManifestFormat): ManifestFormat => (format === "oci" ? "docker" : "oci");

function convertList(document: Json, format: ManifestFormat): Json {
  const parsed = parseManifest(encode(document));
  assert.ok(parsed.kind === "list");
  const converted = { mediaType: types[format].manifest, digest: hex("d") as Digest, size: 10 };
  return decode(convertManifestList(parsed, format, new Map([[hex("c") as Digest, converted]])));
}

function refusedPath(convert: () => unknown): string | undefined {
  let path: string | undefined;
  assert.throws(convert, (error) => {
    assert.ok(error instanceof FormatError);
    assert.equal(error.code, "conversion-refused");
    assert.ok(error.message.includes(error.path!));
    path = error.path;
    return true;
  });
  return path;
}

void describe("convertImageManifest", () => {
  void it("maps the types of manifest, config and every layer, and keeps digests, sizes and urls", () => {
    const pairs = [
      ["tar", "tar"],
      ["tar.gzip", "tar+gzip"],
    ] as const;
    for (const [dockerEnd, ociEnd] of pairs) {
      for (const isForeign of [false, true]) {
        const docker = `application/vnd.docker.image.rootfs.${isForeign ? "foreign." : ""}diff.${dockerEnd}`;
        const oci = `application/vnd.oci.image.layer.${isForeign ? "nondistributable." : ""}v1.${ociEnd}`;
        const urls = isForeign ? { urls: ["https://example.com/a?b&c"] } : {};
        const asDocker = image("docker", (manifest) => Object.assign(manifest.layers[0]!, { mediaType: docker }, urls));
        const asOci = image("oci", (manifest) => Object.assign(manifest.layers[0]!, { mediaType: oci }, urls));
        assert.deepEqual(convertImage(asDocker, "oci"), asOci);
        assert.deepEqual(convertImage(asOci, "docker"), asDocker);
      }
    }
  });

  void it("gives the very bytes back when the manifest is in that format already", () => {
    for (const format of ["docker", "oci"] as const) {
      const parsed = parseManifest(encode(image(format, (manifest) => (manifest["annotations"] = { a: "b" }))));
      assert.ok(parsed.kind === "image");
      assert.equal(convertImageManifest(parsed, format), parsed.raw);
    }
  });

  void it("refuses by its path whatever docker's format cannot say, and nothing that says nothing", () => {
    const oci = (change: Parameters<typeof image>[1]): Json => image("oci", change);
    const cases: readonly (readonly [path: string, manifest: Json])[] = [
      ["annotations", oci((one) => (one["annotations"] = { "org.opencontainers.image.title": "x" }))],
      ["artifactType", oci((one) => (one["artifactType"] = "application/x"))],
      ["subject", oci((one) => (one["subject"] = { mediaType: "x", size: 1, digest: hex("e") }))],
      ["anything", oci((one) => (one["anything"] = 0))],
      ["config.mediaType", oci((one) => (one.config["mediaType"] = "application/vnd.oci.empty.v1+json"))],
      ["config.data", oci((one) => (one.config["data"] = "e30="))],
      ["layers[0].annotations", oci((one) => (one.layers[0]!["annotations"] = { a: "b" }))],
      ["layers[0].mediaType", oci((one) => (one.layers[0]!["mediaType"] = `${types.oci.layer}+encrypted`))],
      ["layers[0].mediaType", oci((one) => (one.layers[0]!["mediaType"] = types.oci.layer.replace("gzip", "zstd")))],
    ];
    for (const [path, manifest] of cases)
      assert.equal(
        refusedPath(() => convertImage(manifest, "docker")),
        path,
      );
    const silent = image("oci", (one) => {
      Object.assign(one, { annotations: {}, subject: null, artifactType: "" });
      Object.assign(one.layers[0]!, { annotations: null, urls: [] });
    });
    assert.deepEqual(
      convertImage(silent, "docker"),
      image("docker", () => {}),
    );
  });

  void it("refuses docker's plugins, and reads the type of zstd layers that some builders write", () => {
    const plugin = image("docker", (one) => (one.config["mediaType"] = "application/vnd.docker.plugin.v1+json"));
    assert.equal(
      refusedPath(() => convertImage(plugin, "oci")),
      "config.mediaType",
    );
    const zstd = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    assert.equal(convertLayerType(zstd, "oci"), "application/vnd.oci.image.layer.v1.tar+zstd");
    assert.equal(convertLayerType(zstd, "docker"), undefined);
  });
});

void describe("convertManifestList", () => {
  void it("names the instances by their new digests and keeps all of the platform", () => {
    const platform = {
      architecture: "arm",
      os: "linux",
      "os.version": "10.0.1",
      "os.features": ["win32k"],
      variant: "v7",
    };
    for (const format of ["docker", "oci"] as const) {
      const from = list(other(format), (one) => (one.manifests[0]!["platform"] = platform));
      assert.deepEqual(
        convertList(from, format),
        list(format, (one) => Object.assign(one.manifests[0]!, { digest: hex("d"), size: 10, platform })),
      );
    }
  });

  void it("gives the very bytes back when nothing changes, and writes a list of the same format anew when an instance did", () => {
    const document = list("oci", (one) => {
      one["annotations"] = { b: "2", a: "<1>" };
      one.manifests[0]!["annotations"] = { note: "x" };
    });
    const parsed = parseManifest(encode(document));
    assert.ok(parsed.kind === "list");
    const same: ConvertedInstance = { mediaType: types.oci.manifest, digest: hex("c") as Digest, size: 9 };
    assert.equal(convertManifestList(parsed, "oci", new Map([[same.digest, same]])), parsed.raw);
    const changed = convertList(document, "oci");
    assert.deepEqual(changed["annotations"], document["annotations"]);
    assert.deepEqual((changed["manifests"] as Json[])[0]!["annotations"], { note: "x" });
    assert.equal((changed["manifests"] as Json[])[0]!["digest"], hex("d"));
  });

  void it("refuses by its path whatever the other format cannot say", () => {
    const cases: readonly (readonly [path: string, document: Json, format: ManifestFormat])[] = [
      ["annotations", list("oci", (one) => (one["annotations"] = { a: "b" })), "docker"],
      ["manifests[0].annotations", list("oci", (one) => (one.manifests[0]!["annotations"] = { a: "b" })), "docker"],
      ["manifests[0].artifactType", list("oci", (one) => (one.manifests[0]!["artifactType"] = "a/b")), "docker"],
      ["manifests[0]", list("oci", (one) => delete one.manifests[0]!["platform"]), "docker"],
      [
        "manifests[0].platform.features",
        list("docker", (one) => Object.assign(one.manifests[0]!["platform"] as Json, { features: ["sse4"] })),
        "oci",
      ],
      [
        "manifests[0].platform.new",
        list("docker", (one) => Object.assign(one.manifests[0]!["platform"] as Json, { new: 1 })),
        "oci",
      ],
    ];
    for (const [path, document, format] of cases)
      assert.equal(
        refusedPath(() => convertList(document, format)),
        path,
      );
  });
});

void describe("skopeo", () => {
  void it("writes the same bytes, for images and lists in both directions, wherever it leaves the config as it is", async (t) => {
    if (requireTool(t, "skopeo") === undefined) return;
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    for (const from of ["docker", "oci"] as const) {
      const to = other(from);
      const built = await Promise.all([
        buildTestImage({ format: from, layers: 2 }),
        buildTestImage({ format: from, seed: 2, architecture: "arm", variant: "v7" }),
      ]);
      writeDirImage(dir.join(from), buildTestIndex(built, from));
      const flags = ["--insecure-policy", "-q", "--all", "--format"];
      await runChecked(
        "skopeo",
        [
          "copy",
          ...flags,
          from === "docker" ? "oci" : "v2s2",
          `dir:${dir.join(from)}`,
          `dir:${dir.join(`${from}-converted`)}`,
        ],
        { env: { HOME: dir.path } },
      );
      const read = (name: string): Uint8Array => readFileSync(dir.join(`${from}-converted`, name));
      const theirs = parseManifest(read("manifest.json"));
      assert.ok(theirs.kind === "list");
      const instances = new Map<Digest, ConvertedInstance>();
      for (const [index, one] of built.entries()) {
        const parsed = parseManifest(one.manifest);
        assert.ok(parsed.kind === "image");
        const ours = convertImageManifest(parsed, to);
        const theirInstance: UntrustedInstance = theirs.instances[index]!;
        const theirBytes = read(`${theirInstance.digest.slice("sha256:".length)}.manifest.json`);
        // From docker's format skopeo writes the config anew, whose digest and size differ then.
        const expected =
          from === "oci"
            ? theirBytes
            : withConfig(theirBytes, { digest: one.config.digest, size: one.config.bytes.length });
        assert.equal(new TextDecoder().decode(ours), new TextDecoder().decode(expected));
        const { mediaType, digest, size } = theirInstance;
        instances.set(one.digest as Digest, { mediaType, digest, size });
        if (from === "oci") assert.equal(sha256Digest(ours, nodeEngine), digest);
      }
      const ourList = parseManifest(buildTestIndex(built, from).manifest);
      assert.ok(ourList.kind === "list");
      assert.equal(
        new TextDecoder().decode(convertManifestList(ourList, to, instances)),
        new TextDecoder().decode(read("manifest.json")),
      );
    }
  });
});

function withConfig(manifest: Uint8Array, config: { readonly digest: string; readonly size: number }): Uint8Array {
  const document = decode(manifest) as { config: Json };
  Object.assign(document.config, config);
  return encode(document);
}
