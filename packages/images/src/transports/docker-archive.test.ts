import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { parseDigest } from "@signet/core";
import { buildTestImage, makeTempDir, runChecked, writeDirImage } from "@signet/testkit";
import { archivedContractImage, contractBlob, contractImage, storeContractImage } from "@signet/testkit/contract-image";
import { type Header, type Pack, pack } from "tar-stream";
import { copyImage } from "../copy/copy-image.ts";
import type { CopyOptions } from "../copy/copy-options.ts";
import { parseImageName } from "./image-name.ts";
import { openImageDestination, openImageSource } from "./open.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

function makeFolder(t: TestContext): string {
  const folder = makeTempDir("signet-docker-archive-");
  t.after(() => folder.dispose());
  return folder.path;
}

/** A file of an archive: its content, or a link. */
type Member = readonly [name: string, content: Uint8Array | string | { readonly linkTo: string; readonly hard?: true }];

async function writeArchive(path: string, members: readonly Member[]): Promise<string> {
  const packer: Pack = pack();
  for (const [name, content] of members) {
    if (typeof content === "string" || content instanceof Uint8Array) packer.entry({ name }, Buffer.from(content));
    else {
      const header: Partial<Header> & Pick<Header, "name"> = {
        name,
        type: content.hard === true ? "link" : "symlink",
        linkname: content.linkTo,
      };
      packer.entry(header);
    }
  }
  packer.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of packer as AsyncIterable<Uint8Array>) parts.push(part);
  await writeFile(path, Buffer.concat(parts));
  return `docker-archive:${path}`;
}

/** A well-formed image: its config's file name and bytes. */
function configOf(...layers: readonly (Uint8Array | string)[]): { readonly file: string; readonly bytes: string } {
  const diffIds = layers.map((layer) => `sha256:${sha256(layer)}`);
  const bytes = JSON.stringify({ os: "linux", rootfs: { type: "layers", diff_ids: diffIds } });
  return { file: `${sha256(bytes)}.json`, bytes };
}

const manifestOf = (...images: readonly object[]): Member => ["manifest.json", JSON.stringify(images)];

interface ReadImage {
  readonly digest: string;
  readonly layers: readonly string[];
  readonly manifest: {
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string; readonly size: number }[];
  };
}

/** Everything of an image, read to the end. */
async function readAll(text: string): Promise<ReadImage> {
  await using source = await openImageSource(await parseImageName(text));
  const { bytes, digest } = await source.manifest();
  const manifest = JSON.parse(new TextDecoder().decode(bytes)) as ReadImage["manifest"];
  const layers: string[] = [];
  for (const { digest: layer, size } of manifest.layers) {
    const parts: Uint8Array[] = [];
    for await (const part of source.blob({ digest: parseDigest(layer), size })) parts.push(part);
    layers.push(Buffer.concat(parts).toString());
  }
  for await (const _ of source.blob({ digest: parseDigest(manifest.config.digest) }));
  return { digest, layers, manifest };
}

async function refused(text: string, code: string, message: RegExp): Promise<void> {
  await assert.rejects(readAll(text), (error: Error & { code?: string }) => {
    assert.equal(error.code, code, String(error));
    assert.match(error.message, message);
    return true;
  });
}

async function copy(from: string, to: string, options: CopyOptions = {}): Promise<void> {
  await using source = await openImageSource(await parseImageName(from));
  await using destination = await openImageDestination(await parseImageName(to));
  await copyImage(source, destination, options);
}

void describe("docker-archive: sources", () => {
  void it("read what docker of old wrote: folders, and a repeated layer as a link to the first", async (t) => {
    const folder = makeFolder(t);
    const config = configOf("one", "two", "one");
    const name = await writeArchive(join(folder, "a.tar"), [
      ["aaa/VERSION", "1.0"],
      ["aaa/layer.tar", "one"],
      ["bbb/layer.tar", "two"],
      ["ccc/layer.tar", { linkTo: "../aaa/layer.tar" }],
      [config.file, config.bytes],
      manifestOf({ Config: config.file, RepoTags: null, Layers: ["aaa/layer.tar", "bbb/layer.tar", "ccc/layer.tar"] }),
      ["repositories", "not even JSON"],
    ]);
    assert.deepEqual((await readAll(name)).layers, ["one", "two", "one"]);
  });

  void it("read what docker 25 and newer write: blobs of an OCI layout, named by their digest", async (t) => {
    const folder = makeFolder(t);
    const config = configOf("one");
    const [configFile, layer] = [config.file.slice(0, 64), sha256("one")].map((hex) => `blobs/sha256/${hex}`);
    const name = await writeArchive(join(folder, "a.tar"), [
      [layer!, "one"],
      [configFile!, config.bytes],
      ["index.json", "{}"],
      manifestOf({ Config: configFile, RepoTags: ["a:1"], Layers: [layer], LayerSources: {} }),
      ["oci-layout", "{}"],
    ]);
    assert.deepEqual((await readAll(name)).layers, ["one"]);
  });

  void it("unpack gzip and zstd layers, which the config knows by what they unpack to", async (t) => {
    const folder = makeFolder(t);
    const config = configOf("one", "two");
    const name = await writeArchive(join(folder, "a.tar"), [
      ["1.tar", gzipSync("one")],
      ["2.tar", zstdCompressSync("two")],
      [config.file, config.bytes],
      manifestOf({ Config: config.file, Layers: ["1.tar", "./2.tar"] }),
    ]);
    const { layers, manifest } = await readAll(name);
    assert.deepEqual(layers, ["one", "two"]);
    assert.deepEqual(
      manifest.layers.map(({ size }) => size),
      [3, 3],
    );
  });

  void it("choose by name or position, and list what there is when the choice is open", async (t) => {
    const folder = makeFolder(t);
    const [one, two] = [configOf("one"), configOf("two")];
    const name = await writeArchive(join(folder, "a.tar"), [
      ["1.tar", "one"],
      ["2.tar", "two"],
      [one.file, one.bytes],
      [two.file, two.bytes],
      manifestOf(
        { Config: one.file, RepoTags: ["busybox:1", "\u001b[2Jhostile tag"], Layers: ["1.tar"] },
        { Config: two.file, RepoTags: ["example.com/app:2"], Layers: ["2.tar"] },
      ),
    ]);
    for (const [choice, layer] of [
      [":busybox:1", "one"],
      [":docker.io/library/busybox:1", "one"],
      [":example.com/app:2", "two"],
      [":@0", "one"],
      [":@1", "two"],
    ] as const) {
      assert.deepEqual((await readAll(`${name}${choice}`)).layers, [layer], choice);
    }
    for (const choice of ["", ":@2", ":busybox:2", ":example.com/app"]) {
      await assert.rejects(readAll(`${name}${choice}`), {
        code: "image-missing",
        hint: /:@0 busybox:1, :@1 example\.com\/app:2/,
      });
    }
  });

  void it("refuse a name that stands for two different images", async (t) => {
    const folder = makeFolder(t);
    const [one, two] = [configOf("one"), configOf("two")];
    const name = await writeArchive(join(folder, "a.tar"), [
      ["1.tar", "one"],
      ["2.tar", "two"],
      [one.file, one.bytes],
      [two.file, two.bytes],
      manifestOf(
        { Config: one.file, RepoTags: ["a:1"], Layers: ["1.tar"] },
        { Config: two.file, RepoTags: ["docker.io/library/a:1"], Layers: ["2.tar"] },
      ),
    ]);
    await refused(`${name}:a:1`, "image-malformed", /several different images/);
  });

  void it("hold no signatures, and are judged by the scope of the whole transport", async (t) => {
    const folder = makeFolder(t);
    await copyContractImage(`docker-archive:${folder}/a.tar:a:1`);
    await using source = await openImageSource(await parseImageName(`docker-archive:${folder}/a.tar:a:1`));
    assert.deepEqual((await source.signatures((await source.manifest()).digest)).signatures, []);
    assert.deepEqual(source.name.policyIdentity, { transport: "docker-archive", identity: "", namespaces: [] });
  });
});

async function copyContractImage(text: string): Promise<void> {
  await using destination = await openImageDestination(await parseImageName(text));
  await storeContractImage(destination, archivedContractImage());
}

void describe("docker-archive: hostile archives (T17)", () => {
  const config = configOf("one");
  const good: readonly Member[] = [
    ["1.tar", "one"],
    [config.file, config.bytes],
    manifestOf({ Config: config.file, Layers: ["1.tar"] }),
  ];
  const replaced = (name: string, ...members: readonly Member[]): readonly Member[] => [
    ...good.filter(([file]) => file !== name),
    ...members,
  ];
  const manifest = (more: object): readonly Member[] =>
    replaced("manifest.json", manifestOf({ Config: config.file, Layers: ["1.tar"], ...more }));

  const cases: readonly (readonly [title: string, members: readonly Member[], code: string, message: RegExp])[] = [
    ["names that climb", [...good, ["../evil", "x"]], "image-malformed", /climbs out/],
    ["absolute names", [...good, ["/etc/evil", "x"]], "image-malformed", /absolute/],
    ["a name twice", [...good, ["1.tar", "two"]], "image-malformed", /"1\.tar" appears twice/],
    ["a link where a file is", [...good, ["1.tar", { linkTo: "2.tar" }]], "image-malformed", /appears twice/],
    ["manifest.json twice", [...good, ["./manifest.json", "[]"]], "image-malformed", /appears twice/],
    ["a link to an absolute path", [...good, ["x", { linkTo: "/etc/passwd" }]], "image-malformed", /symbolic link to/],
    ["a link out of the archive", [...good, ["a/x", { linkTo: "../../y" }]], "image-malformed", /leads out/],
    ["a hard link", [...good, ["x", { linkTo: "1.tar", hard: true }]], "image-malformed", /hard link/],
    [
      "a layer that is a link to a link",
      replaced("1.tar", ["1.tar", { linkTo: "2.tar" }], ["2.tar", { linkTo: "1.tar" }]),
      "image-missing",
      /no layer "1\.tar"/,
    ],
    [
      "a config that is a link",
      replaced(config.file, [config.file, { linkTo: "1.tar" }]),
      "image-malformed",
      /no file/,
    ],
    ["no manifest.json", replaced("manifest.json"), "image-malformed", /it is no docker archive/],
    ["a missing config", replaced(config.file), "image-malformed", /no file "/],
    ["a missing layer", replaced("1.tar"), "image-missing", /no layer "1\.tar"/],
    ["a config under another's name", replaced(config.file, [config.file, "{}"]), "digest-mismatch", /hash to/],
    ["a layer that the config does not name", replaced("1.tar", ["1.tar", "two"]), "digest-mismatch", /hash to/],
    [
      "a compressed layer that the config does not name",
      replaced("1.tar", ["1.tar", gzipSync("two")]),
      "digest-mismatch",
      /hash to/,
    ],
    [
      "a damaged gzip layer",
      replaced("1.tar", ["1.tar", gzipSync("one").subarray(0, 15)]),
      "compression-malformed",
      /damaged/,
    ],
    [
      "an xz layer",
      replaced("1.tar", ["1.tar", Uint8Array.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2])]),
      "image-malformed",
      /compressed with xz/,
    ],
    ["fewer layers than the config", manifest({ Layers: [] }), "image-malformed", /0 layers, the config 1/],
    ["a layer outside", manifest({ Layers: ["../1.tar"] }), "image-malformed", /no name inside/],
    ["an absolute config", manifest({ Config: "/etc/passwd" }), "image-malformed", /no name inside/],
    [
      "ten thousand layers",
      manifest({ Layers: Array.from({ length: 10_000 }, () => "1.tar") }),
      "input-too-large",
      /10000/,
    ],
    ["layers that are no list", manifest({ Layers: "1.tar" }), "json-malformed", /array expected/],
    ["tags that are no texts", manifest({ RepoTags: [1] }), "json-malformed", /string expected/],
    ["a manifest.json that is no list", replaced("manifest.json", ["manifest.json", "{}"]), "json-malformed", /array/],
    [
      "a member twice",
      replaced("manifest.json", ["manifest.json", `[{"Config":"a","Config":"b","Layers":[]}]`]),
      "json-malformed",
      /duplicate/,
    ],
    [
      "an endless manifest.json",
      replaced("manifest.json", ["manifest.json", " ".repeat(2_000_000)]),
      "input-too-large",
      /limit/,
    ],
    ["an endless config", replaced(config.file, [config.file, " ".repeat(5_000_000)]), "input-too-large", /limit/],
  ];
  for (const [title, members, code, message] of cases) {
    void it(`refuse ${title}`, async (t) => {
      await refused(await writeArchive(join(makeFolder(t), "a.tar"), members), code, message);
    });
  }

  void it("refuse one place for two layers, a config without layers and one of another kind", async (t) => {
    const path = join(makeFolder(t), "a.tar");
    for (const [text, code] of [
      [
        JSON.stringify({ rootfs: { diff_ids: [`sha256:${"1".repeat(64)}`, `sha256:${"2".repeat(64)}`] } }),
        "image-malformed",
      ],
      [JSON.stringify({ os: "linux" }), "image-malformed"],
      [JSON.stringify({ rootfs: { diff_ids: ["sha256:../../x", "y"] } }), "digest-malformed"],
      ["[]", "json-malformed"],
      ["nothing", "json-malformed"],
    ] as const) {
      const name = await writeArchive(path, [
        ["1.tar", "one"],
        ["config", text],
        manifestOf({ Config: "config", Layers: ["1.tar", "1.tar"] }),
      ]);
      await refused(name, code, /./);
    }
  });

  void it("refuse truncated and compressed archives, with the command that unpacks the latter", async (t) => {
    const folder = makeFolder(t);
    const name = await writeArchive(join(folder, "a.tar"), good);
    const bytes = await readFile(join(folder, "a.tar"));
    await writeFile(join(folder, "b.tar"), gzipSync(bytes, { level: 0 }));
    await assert.rejects(readAll(`docker-archive:${folder}/b.tar`), { code: "image-malformed", hint: /gunzip </ });
    for (const length of [0, 511, 700, bytes.length - 1024]) {
      await writeFile(join(folder, "a.tar"), bytes.subarray(0, length));
      await refused(name, "image-malformed", /./);
    }
  });

  void it("stop at a decompression bomb, in memory of a few chunks, from an archive and into one", async (t) => {
    const folder = makeFolder(t);
    // Streams of gzip may follow one another; together they unpack to 640 MiB.
    const part = gzipSync(Buffer.alloc(32 * 1024 * 1024), { level: 9 });
    const bomb = Buffer.concat(Array.from({ length: 20 }, () => part));
    const file = configOf("what it unpacks to does not matter");
    const name = await writeArchive(join(folder, "bomb.tar"), [
      ["1.tar", bomb],
      [file.file, file.bytes],
      manifestOf({ Config: file.file, Layers: ["1.tar"] }),
    ]);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers - before)), 20);
    try {
      await refused(name, "input-too-large", /decompression bomb/);
      const layer = contractBlob(bomb, "application/vnd.docker.image.rootfs.diff.tar.gzip");
      const image = contractImage({
        format: "docker",
        layers: [layer],
        config: contractBlob(encode(file.bytes), "application/vnd.docker.container.image.v1+json"),
      });
      await using destination = await openImageDestination(await parseImageName(`docker-archive:${folder}/out.tar`));
      await assert.rejects(storeContractImage(destination, image), { code: "input-too-large", message: /bomb/ });
    } finally {
      clearInterval(watch);
    }
    assert.ok(most < 64 * 1024 * 1024, `${most} bytes`);
    assert.deepEqual(await readdir(folder), ["bomb.tar"]);
  });
});

void describe("docker-archive: destinations", () => {
  void it("hold the unpacked layers of any image, by tar's own reading too", async (t) => {
    const folder = makeFolder(t);
    for (const format of ["docker", "oci"] as const) {
      const image = await buildTestImage({ format, layers: 3 });
      writeDirImage(join(folder, format), image);
      await copy(`dir:${folder}/${format}`, `docker-archive:${folder}/${format}.tar:example.com/app:1`);
      const { manifest } = await readAll(`docker-archive:${folder}/${format}.tar:example.com/app:1`);
      assert.equal(manifest.config.digest, image.config.digest);
      await mkdir(join(folder, `${format}-out`));
      await runChecked("tar", ["-xf", `${folder}/${format}.tar`, "-C", `${folder}/${format}-out`]);
      for (const { digest } of manifest.layers) {
        const file = `${digest.slice(7)}.tar`;
        assert.equal(sha256(await readFile(join(folder, `${format}-out`, file))), digest.slice(7));
      }
    }
  });

  void it("are the same octet for octet when the same image is written again", async (t) => {
    const folder = makeFolder(t);
    for (const file of ["a.tar", "b.tar"]) await copyContractImage(`docker-archive:${folder}/${file}:a:1`);
    assert.deepEqual(await readFile(join(folder, "a.tar")), await readFile(join(folder, "b.tar")));
  });

  void it("do not change an archive that is there, fill an empty file, and refuse a folder", async (t) => {
    const folder = makeFolder(t);
    await writeFile(join(folder, "a.tar"), "");
    await copyContractImage(`docker-archive:${folder}/a.tar`);
    const before = await readFile(join(folder, "a.tar"));
    await symlink("a.tar", join(folder, "link"));
    for (const file of ["a.tar", "link", ""]) {
      await assert.rejects(copyContractImage(`docker-archive:${folder}/${file}`), {
        code: "destination-unsuitable",
        hint: /does not exist yet/,
      });
    }
    assert.deepEqual(await readFile(join(folder, "a.tar")), before);
    assert.deepEqual((await readdir(folder)).sort(), ["a.tar", "link"]);
  });

  void it("refuse before anything is written what they cannot hold: lists, signatures, positions, a digest to preserve", async (t) => {
    const folder = makeFolder(t);
    const to = `docker-archive:${folder}/a.tar`;
    const image = await buildTestImage();
    writeDirImage(join(folder, "signed"), image, [encode("\u00a3signature")]);
    writeDirImage(join(folder, "plain"), image);
    const unsuitable = (message: RegExp): object => ({ code: "destination-unsuitable", message });
    await assert.rejects(copy(`dir:${folder}/signed`, to), unsuitable(/cannot copy signatures/));
    await assert.rejects(copy(`dir:${folder}/plain`, to, { preserveDigests: true }), unsuitable(/preserve its digest/));
    await assert.rejects(copy(`dir:${folder}/plain`, `${to}:@0`), { code: "image-name-malformed" });
    const sign = async (): Promise<Uint8Array> => encode("s");
    await assert.rejects(copy(`dir:${folder}/plain`, to, { sign, signIdentity: "a.b/c:1" }), unsuitable(/cannot sign/));
    await rm(join(folder, "signed", "version"));
    await copy(`dir:${folder}/signed`, to, { removeSignatures: true });
    assert.deepEqual((await readdir(folder)).sort(), ["a.tar", "plain", "signed"]);
  });

  void it("refuse images that contradict themselves, and leave nothing", async (t) => {
    const folder = makeFolder(t);
    const layer = contractBlob(gzipSync("one"), "application/vnd.oci.image.layer.v1.tar+gzip");
    const type = "application/vnd.oci.image.config.v1+json";
    for (const [config, code] of [
      [configOf("two").bytes, "digest-mismatch"],
      [configOf("one", "two").bytes, "destination-unsuitable"],
      ["{}", "destination-unsuitable"],
      ["no JSON", "destination-unsuitable"],
    ] as const) {
      await using destination = await openImageDestination(await parseImageName(`docker-archive:${folder}/a.tar`));
      const image = contractImage({ layers: [layer], config: contractBlob(encode(config), type) });
      await assert.rejects(storeContractImage(destination, image), { code }, config);
    }
    assert.deepEqual(await readdir(folder), []);
  });
});
