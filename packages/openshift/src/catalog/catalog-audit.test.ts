import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { FormatError, parsePolicy } from "@signet/core";
import { openImageSource, parseImageName } from "@signet/images";
import { type TestImageOptions, buildTestImage, writeDirImage } from "@signet/testkit";
import { stringify } from "yaml";
import { assembleCatalog } from "./catalog.ts";
import { type CatalogAudit, type CatalogAuditOptions, auditCatalog } from "./catalog-audit.ts";
import { CatalogFiles } from "./catalog-files.ts";
import { readCatalogFolder } from "./catalog-folder.ts";
import { readCatalogImage } from "./catalog-image.ts";

const vectors = join(import.meta.dirname, "../../../../vectors");
const genuine = readFileSync(join(vectors, "openshift/catalogs/aws-load-balancer-operator/catalog.json"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "signet-catalog-"));
after(() => rmSync(folder, { recursive: true }));
const hex = (digit: string): string => `sha256:${digit.repeat(64)}`;
const pinned = (name: string, digit = "a"): string => `registry.example.com/${name}@${hex(digit)}`;

async function* stream(text: string): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}

async function audit(
  files: string | Readonly<Record<string, string>>,
  options: CatalogAuditOptions = {},
): Promise<CatalogAudit> {
  const reader = new CatalogFiles();
  for (const [name, text] of Object.entries(typeof files === "string" ? { "catalog.json": files } : files))
    await reader.add(name, stream(text));
  return auditCatalog(assembleCatalog(reader.finish()), options);
}

/** Rules that fired, with what they are about. */
const fired = ({ findings }: CatalogAudit): readonly string[] =>
  findings.map(({ rule, image, package: owner, channel }) =>
    rule.startsWith("image") ? `${rule} ${image?.replace(/@.*/, "")}` : `${rule} ${channel ?? owner}`,
  );

const lines = (...objects: readonly object[]): string => objects.map((object) => JSON.stringify(object)).join("\n");
const pack = { schema: "olm.package", name: "op", defaultChannel: "stable" };
const channel = (...entries: readonly object[]): object => ({
  schema: "olm.channel",
  name: "stable",
  package: "op",
  entries,
});
const bundle = (name: string, ...related: readonly string[]): object => ({
  schema: "olm.bundle",
  name,
  package: "op",
  image: pinned("op-bundle", "b"),
  relatedImages: [pinned("op-bundle", "b"), ...related].map((image) => ({ name: "", image })),
});

interface SomeObject {
  readonly relatedImages?: readonly { readonly name: string }[];
}

/** The objects of a catalog whose closing braces stand at the beginning of their lines. */
const objectsOf = (text: string): readonly SomeObject[] =>
  text
    .split(/(?<=^\})/m)
    .filter((part) => part.trim() !== "")
    .map((part) => JSON.parse(part) as SomeObject);

const refuses = (run: () => Promise<unknown>, code: string, message: RegExp): Promise<void> =>
  assert.rejects(run, (error: unknown) => {
    assert.ok(error instanceof FormatError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });

void describe("auditing genuine catalogs", () => {
  void it("finds every image of a real operator, with all the ways in which each is named, and nothing wrong", async () => {
    const { verdict, images, packages, auditedImages } = await audit(genuine);
    assert.deepEqual([verdict, images], ["clean", 4]);
    assert.deepEqual(
      auditedImages.map(({ uses }) => uses.map(({ role, name }) => `${role} ${name}`.slice(0, 35)).sort()),
      [
        ["env RELATED_IMAGE_CONTROLLER", "related controller"],
        ["bundle ", "related "],
        ["annotation containerImage", "container manager", "related aws-load-balancer-rhel8-ope", "related manager"],
        ["container kube-rbac-proxy", "related kube-rbac-proxy"],
      ],
    );
    assert.deepEqual(
      packages[0]?.channels.map(({ name, heads }) => [name, ...heads]),
      [
        ["alpha", "aws-load-balancer-operator.v0.0.1"],
        ["stable-v0.1", "aws-load-balancer-operator.v0.0.1"],
      ],
    );
  });

  void it("finds the same in YAML, and in a file of its own for each document", async () => {
    const objects = objectsOf(genuine);
    const yaml = objects.map((object) => stringify(object)).join("---\n");
    const split = Object.fromEntries(objects.map((object, index) => [`op/${index}.yaml`, stringify(object)]));
    const simple = ({ packages, auditedImages }: CatalogAudit): unknown => [packages, auditedImages];
    const expected = simple(await audit(genuine));
    assert.deepEqual(simple(await audit({ "catalog.yaml": yaml })), expected);
    assert.deepEqual(simple(await audit(split)), expected);
  });

  void it("reads a genuine bundle image by its labels", async () => {
    const path = join(folder, "bundle");
    mkdirSync(path);
    const [blobs, image] = [join(vectors, "openshift/albo-bundle-blobs"), join(vectors, "redhat/albo-bundle")];
    for (const name of ["version", "manifest.json"]) writeFileSync(join(path, name), readFileSync(join(image, name)));
    const parsed = JSON.parse(readFileSync(join(image, "manifest.json"), "utf8")) as {
      readonly config: { readonly digest: string };
      readonly layers: readonly { readonly digest: string }[];
    };
    for (const { digest } of [parsed.config, ...parsed.layers]) {
      const name = digest.slice("sha256:".length);
      writeFileSync(join(path, name), readFileSync(join(blobs, name)));
    }
    await using source = await openImageSource(await parseImageName(`dir:${path}`));
    const read = await readCatalogImage(source, { os: "linux", architecture: "amd64" });
    const found = await auditCatalog(assembleCatalog(read.content, read.bundle), {});
    assert.deepEqual([read.kind, found.kind, found.verdict, found.images], ["bundle", "bundle", "clean", 3]);
    assert.deepEqual(
      found.packages.map(({ name, channels }) => [name, ...channels.map((each) => each.name)]),
      [["aws-load-balancer-operator", "alpha", "stable-v0.1"]],
    );
    const last = parsed.layers[0]!.digest.slice("sha256:".length);
    writeFileSync(join(path, last), "x".repeat(readFileSync(join(path, last)).length));
    await using damaged = await openImageSource(await parseImageName(`dir:${path}`));
    await assert.rejects(readCatalogImage(damaged, { os: "linux", architecture: "amd64" }));
  });
});

void describe("what an audit finds", () => {
  void it("is every image that is not named by digest, with a registry, once for all its places", async () => {
    const found = await audit(
      lines(
        pack,
        channel({ name: "op.v1" }, { name: "op.v2", replaces: "op.v1" }),
        bundle(
          "op.v1",
          "registry.example.com/a:1",
          pinned("b"),
          "registry.example.com/c",
          "busybox",
          `quay.io/d:1@${hex("d")}`,
          "UPPER",
        ),
        bundle("op.v2", "registry.example.com/a:1", ""),
      ),
    );
    assert.deepEqual(fired(found), [
      "image-malformed ",
      "image-malformed UPPER",
      "image-by-tag busybox",
      "image-unqualified busybox",
      "image-by-tag registry.example.com/a:1",
      "image-by-tag registry.example.com/c",
      "image-tag-and-digest quay.io/d:1",
    ]);
    assert.deepEqual([found.verdict, found.errors], ["findings", 6]);
    const [stable] = found.packages[0]!.channels;
    assert.deepEqual(
      [stable?.verdict, stable?.errors, stable?.heads, stable?.head.errors],
      ["findings", 6, ["op.v2"], 2],
    );
  });

  void it("is what a mirror would leave out: images of containers and variables that no list names", async () => {
    const without = objectsOf(genuine).map(({ relatedImages, ...rest }) => ({
      ...rest,
      relatedImages: relatedImages?.filter(({ name }) => name !== "controller"),
    }));
    assert.deepEqual(fired(await audit(lines(...without))), [
      "image-unlisted registry.redhat.io/albo/aws-load-balancer-controller-rhel8",
    ]);
    const csv = (related: readonly object[]): string =>
      stringify({
        apiVersion: "operators.coreos.com/v1alpha1",
        kind: "ClusterServiceVersion",
        metadata: { name: "op.v1", annotations: { containerImage: "registry.example.com/op:latest" } },
        spec: {
          relatedImages: related,
          install: {
            strategy: "deployment",
            spec: {
              deployments: [
                {
                  name: "op",
                  spec: {
                    template: {
                      spec: {
                        initContainers: [{ name: "init", image: pinned("init") }],
                        containers: [
                          {
                            name: "op",
                            image: pinned("op"),
                            env: [
                              { name: "RELATED_IMAGE_DB", value: "registry.example.com/db:9" },
                              { name: "SIDECAR_IMAGE", value: "registry.example.com/sidecar:1" },
                              { name: "ANY", value: pinned("any") },
                              { name: "IMAGE_PULL_POLICY", value: "Always" },
                              { name: "URL", value: "https://registry.example.com/x:1" },
                              { name: "FROM_FIELD", valueFrom: { fieldRef: {} } },
                            ],
                          },
                        ],
                      },
                    },
                  },
                },
              ],
            },
          },
        },
      });
    assert.deepEqual(fired(await audit({ "csv.yaml": csv([{ name: "any", image: pinned("any") }]) })), [
      "image-unlisted registry.example.com/db:9",
      "image-unlisted registry.example.com/sidecar:1",
      "image-by-tag registry.example.com/db:9",
      "image-by-tag registry.example.com/op:latest",
      "image-by-tag registry.example.com/sidecar:1",
      "annotation-unlisted ",
    ]);
  });

  void it("is how the policy governs each image, before any signature is looked at", async () => {
    const policy = parsePolicy(
      Buffer.from(
        JSON.stringify({
          default: [{ type: "reject" }],
          transports: {
            docker: {
              "registry.example.com": [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/key" }],
              "registry.example.com/open": [{ type: "insecureAcceptAnything" }],
            },
          },
        }),
      ),
    );
    const found = await audit(
      lines(pack, channel({ name: "op.v1" }), bundle("op.v1", pinned("open/a"), pinned("b"), `quay.io/x@${hex("c")}`)),
      { policy },
    );
    assert.deepEqual(
      found.auditedImages.map(({ coverage }) => [coverage?.demand, coverage?.scope]),
      [
        ["rejects", "default"],
        ["signatures", "docker: registry.example.com"],
        ["signatures", "docker: registry.example.com"],
        ["accepts-anything", "docker: registry.example.com/open"],
      ],
    );
    assert.deepEqual(
      found.findings.map(({ rule, severity }) => [rule, severity]),
      [
        ["policy-rejects", "error"],
        ["policy-accepts-anything", "warning"],
      ],
    );
  });

  void it("is a catalog that hangs together badly: duplicates, loops, missing bundles and heads", async () => {
    const entries = Array.from({ length: 5000 }, (_, index) => ({
      name: `v${index}`,
      replaces: `v${(index + 1) % 5000}`,
    }));
    const found = await audit(
      lines(
        pack,
        pack,
        channel({ name: "op.v1" }, { name: "op.v2" }, { name: "op.v9", replaces: "op.v1" }),
        { ...channel(...entries), name: "loop" },
        { ...channel({ name: "op.v1", replaces: "op.v1" }), name: "self" },
        bundle("op.v1"),
        bundle("op.v1"),
        bundle("op.v2"),
        { ...bundle("x"), package: "nowhere", image: "" },
      ),
    );
    assert.deepEqual(fired(found), [
      "bundle-image-missing nowhere",
      "package-duplicate op",
      "package-missing nowhere",
      "package-duplicate op",
      "channel-entry-missing stable",
      "channel-head stable",
      "channel-entry-missing loop",
      "channel-loop loop",
      "channel-head loop",
      "channel-loop self",
      "channel-head self",
    ]);
    assert.match(found.findings.map(({ message }) => message).join("\n"), /v0, v1, v2, v3, v4 and 4995 more/);
  });
});

void describe("what an audit tells beside", () => {
  void it("is what opm refuses of packages, what their makers give up, and bundles that do not list themselves", async () => {
    const related = bundle("op.v1", pinned("a"), pinned("a").replace("registry.", "quay."));
    const deprecations = {
      schema: "olm.deprecations",
      package: "op",
      entries: [
        { reference: { schema: "olm.package" }, message: "gone" },
        { reference: { schema: "olm.channel", name: "stable" }, message: "x".repeat(5000) },
        { reference: { schema: "olm.bundle", name: "op.v1" } },
        { reference: { schema: "olm.else", name: "op.v1" }, message: "passed over" },
      ],
    };
    const found = await audit(
      lines(
        { ...pack, defaultChannel: "fast" },
        channel({ name: "op.v1" }),
        related,
        deprecations,
        { schema: "olm.package", name: "empty", defaultChannel: "" },
        { ...bundle("other.v1"), package: "empty", relatedImages: [] },
      ),
    );
    assert.equal(found.verdict, "clean");
    assert.deepEqual(
      found.findings.map(({ severity, rule, message }) => `${severity} ${rule}: ${message.slice(0, 60)}`),
      [
        "warning default-channel: package empty: it has no channel",
        "warning default-channel: package op: no channel fast",
        "warning bundle-unlisted: it is not among the bundle's relatedImages",
        "info deprecated: package op is deprecated: gone",
        `info deprecated: channel stable is deprecated: ${"x".repeat(30)}`,
        "info deprecated: bundle op.v1 is deprecated",
        "info several-registries: a is named in quay.example.com, registry.example.com",
      ],
    );
    assert.ok(found.findings.every(({ message }) => message.length < 400));
  });
});

void describe("catalogs that are refused", () => {
  void it("say two things at once, or are not as their schemas say", async () => {
    for (const [text, message] of [
      ['{"schema":"olm.bundle","Schema":"olm.package","name":"x"}', /"schema" stands twice/],
      [`{"schema":"olm.bundle","name":"x","image":"${pinned("a")}","IMAGE":"evil:1"}`, /"image" stands twice/],
      ['{"schema":"olm.bundle","name":"x","relatedImages":[{"image":"a","image":"b"}]}', /"image" stands twice/],
      ['{"schema":"olm.bundle","name":"x","image":5}', /image is a number where a text is expected/],
      ['{"schema":"olm.bundle","name":"x","relatedImages":{}}', /relatedImages is an object where a list/],
      ['{"schema":"olm.bundle","name":"x","relatedImages":["a"]}', /relatedImages is a string where an object/],
      ['{"schema":"olm.bundle"}', /the name is missing/],
      ['{"schema":""}', /the schema is empty/],
      ['{"name":"x"}', /it has no schema/],
      [
        '{"schema":"olm.bundle","name":"x","properties":[{"type":"olm.bundle.object","value":{"data":"%"}}]}',
        /not base64/,
      ],
      [`{"schema":"olm.bundle","name":"${"n".repeat(1025)}"}`, /name is longer than 1024 characters/],
      ['{"schema":"olm.package","name":"x"}', /neither a bundle nor a ClusterServiceVersion/],
      ['{"schema":"olm.bundle"]', /expected , or }/],
      ["", /neither a bundle/],
    ] as const)
      await refuses(() => audit(text), "catalog-malformed", message);
    await refuses(
      () => audit({ "c.yaml": "schema: olm.bundle\nname: x\nname: y\n" }),
      "catalog-malformed",
      /c\.yaml:3: a key stands twice/,
    );
    await refuses(() => audit({ "c.yaml": "a: 1\n---\nb: [1\n" }), "catalog-malformed", /c\.yaml:1: it is no document/);
    await refuses(
      () => audit({ "c.yaml": `schema: x\n---\n- ${"- ".repeat(300_000)}` }),
      "input-too-large",
      /more than 200000 values/,
    );
    await refuses(() => audit(`{"schema":"x","a":[${"0,".repeat(600_000)}0]}`), "input-too-large", /too many values/);
  });

  void it("unless .indexignore passes the broken file over, wherever it stands", async () => {
    const good = lines(pack, channel({ name: "op.v1" }), bundle("op.v1"));
    const files = { "a/broken.json": "{", "b/catalog.json": good, ".indexignore": "broken.json\n" };
    const found = await audit(files);
    assert.deepEqual([found.verdict, found.files, found.ignored], ["clean", 1, ["a/broken.json"]]);
    await refuses(() => audit({ ...files, ".indexignore": "other.json" }), "catalog-malformed", /^a\/broken\.json:1: /);
  });

  void it("lead out of their folder by links; links inside are followed", async () => {
    const root = join(folder, "links");
    mkdirSync(join(root, "data"), { recursive: true });
    writeFileSync(join(root, "data/catalog.json"), lines(pack, channel({ name: "op.v1" }), bundle("op.v1")));
    symlinkSync("../links/data/catalog.json", join(root, "again.json"));
    assert.equal((await readCatalogFolder(root)).documents.length, 6);
    symlinkSync("/etc/passwd", join(root, "out.json"));
    await assert.rejects(readCatalogFolder(root), /leads out of the catalog's folder/);
    const circle = join(folder, "circle");
    mkdirSync(join(circle, "a/b"), { recursive: true });
    symlinkSync("..", join(circle, "a/b/up"));
    await assert.rejects(readCatalogFolder(circle), /leads back to a folder that it is in/);
    symlinkSync("itself", join(folder, "itself"));
    await assert.rejects(readCatalogFolder(join(folder, "itself")), { code: "file-unreadable" });
    // Twenty folders, and a million ways through them.
    const fan = join(folder, "fan");
    for (let level = 0; level < 20; level++) {
      mkdirSync(join(fan, `${level}`), { recursive: true });
      for (const name of ["x", "y"]) symlinkSync(`../${level + 1}`, join(fan, `${level}/${name}`));
    }
    mkdirSync(join(fan, "20"));
    await assert.rejects(readCatalogFolder(fan), /more than 20000 folders/);
  });
});

void describe("catalogs in images", () => {
  const index = { "operators.operatorframework.io.index.configs.v1": "/configs" };
  const catalogOf = (...names: readonly string[]): string =>
    lines(pack, channel({ name: "op.v1" }), bundle("op.v1", ...names));
  let count = 0;

  async function read(options: TestImageOptions): Promise<readonly string[]> {
    const path = join(folder, `image-${count++}`);
    mkdirSync(dirname(path), { recursive: true });
    writeDirImage(path, await buildTestImage(options));
    await using source = await openImageSource(await parseImageName(`dir:${path}`));
    const { content } = await readCatalogImage(source, { os: "linux", architecture: "amd64" });
    const { auditedImages } = await auditCatalog(assembleCatalog(content), {});
    return auditedImages.map(({ image }) => image.replace(/^registry\.example\.com\/|@.*/g, ""));
  }

  void it("are read as a container sees them: upper layers hide lower ones, and nothing outside the folder counts", async () => {
    const lower = { "configs/op/catalog.json": catalogOf(pinned("old")), "configs/gone/catalog.json": "{" };
    const upper = { "configs/op/catalog.json": catalogOf(pinned("new")), "tmp/cache/catalog.json": "{" };
    const labels = index;
    assert.deepEqual(
      await read({ labels, layers: 2, lowerFiles: { 0: lower }, files: { ...upper, "configs/.wh.gone": "" } }),
      ["new", "op-bundle"],
    );
    assert.deepEqual(
      await read({ labels, layers: 2, lowerFiles: { 0: lower }, files: { ...upper, "configs/.wh..wh..opq": "" } }),
      ["new", "op-bundle"],
    );
    assert.deepEqual(
      await read({ labels, layers: 2, lowerFiles: { 0: lower }, files: { ...upper, ".wh.configs": "" } }),
      ["new", "op-bundle"],
    );
    await refuses(
      () => read({ labels, layers: 2, lowerFiles: { 0: lower }, files: upper }),
      "catalog-malformed",
      /gone/,
    );
  });

  void it("are refused where a container would see something else", async () => {
    await refuses(() => read({ labels: index, files: { configs: "x" } }), "image-malformed", /is no plain file/);
    await refuses(
      () => read({ labels: index, files: { "x/../configs/c.json": catalogOf() } }),
      "image-malformed",
      /climbs/,
    );
    await refuses(
      () => read({ files: { "configs/c.json": catalogOf() } }),
      "catalog-malformed",
      /neither an operator catalog/,
    );
    await refuses(
      () => read({ labels: { "operators.operatorframework.io.index.database.v1": "/database/index.db" } }),
      "catalog-malformed",
      /SQLite/,
    );
    await refuses(
      () => read({ labels: { "operators.operatorframework.io.index.configs.v1": "/../etc" } }),
      "catalog-malformed",
      /names the folder/,
    );
  });
});
