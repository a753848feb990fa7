import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import {
  type TestImage,
  type TestImageOptions,
  type TestRegistry,
  buildTestImage,
  buildTestRelease,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
  writeDirImage,
} from "@signet/testkit";
import { runSignet } from "../signet-process.ts";

const payload = join(import.meta.dirname, "../../../../vectors/openshift/release-payloads/4.12.0/release-manifests");

/** An image around the description of a genuine release. */
function genuineRelease(
  changes: (references: string) => string = (text) => text,
  { files, ...options }: TestImageOptions = {},
): Promise<TestImage> {
  return buildTestImage({
    created: "2023-01-12T20:30:01.98+02:00",
    ...options,
    files: {
      ...files,
      "release-manifests/image-references": changes(readFileSync(join(payload, "image-references"), "utf8")),
      "release-manifests/release-metadata": readFileSync(join(payload, "release-metadata"), "utf8"),
      "release-manifests/0000_10_a.yaml": "kind: A\n",
      "release-manifests/0000_20_b.yaml": "kind: B\n",
    },
  });
}

async function push(
  t: TestContext,
  image: TestImage,
): Promise<{ readonly registry: TestRegistry; readonly name: string }> {
  const registry = await startTestRegistry();
  t.after(() => registry.dispose());
  await pushTestImage(registry, "ocp/release:4.12.0", image);
  return { registry, name: `${registry.host}/ocp/release:4.12.0` };
}

const info = (...args: readonly string[]): ReturnType<typeof runSignet> =>
  runSignet(["release", "info", "--tls-verify=false", ...args]);

describe("release info", () => {
  test("prints a genuine release in the form of oc", async (t) => {
    const image = await genuineRelease();
    const { registry, name } = await push(t, image);
    const { status, stdout, stderr } = await info(name);
    assert.deepEqual([status, stderr], [0, ""]);
    const lines = stdout.split("\n");
    assert.deepEqual(lines.slice(0, 8), [
      "Name:      4.12.0",
      `Digest:    ${image.digest}`,
      "Created:   2023-01-12T18:30:01Z",
      "OS/Arch:   linux/amd64",
      "Manifests: 2",
      "",
      `Pull From: ${registry.host}/ocp/release@${image.digest}`,
      "",
    ]);
    assert.equal(lines[8], "Release Metadata:");
    assert.equal(lines[9], "  Version:  4.12.0");
    assert.match(lines[10]!, /^ {2}Upgrades: 4\.11\.11, 4\.11\.12, .*4\.12\.0-rc\.0, 4\.12\.0-rc\.1, /);
    assert.match(
      stdout,
      /\nComponent Versions:\n {2}kubernetes +1\.25\.4\n {2}machine-os +412\.86\.\S+ Red Hat Enterprise Linux CoreOS\n/,
    );
    assert.match(stdout, /\nImages:\n {2}NAME {2,}DIGEST\n {2}agent-installer-api-server {2,}sha256:[0-9a-f]{64}\n/);
    assert.equal(lines.filter((line) => / sha256:[0-9a-f]{64}$/.test(line) && line.startsWith("  ")).length, 183);
  });

  test("counts manifests and other files, and aligns versions, as oc does", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const versions = (text: string, names = ""): string =>
      `"annotations": {"io.openshift.build.versions": "${text}", "io.openshift.build.version-display-names": "${names}"}`;
    const tags = [
      `{"name": "a", ${versions("kubernetes=1.27.6,kubectl=1.20.0,machine-os=414.92.1", "machine-os=CoreOS")}, "from": {"kind": "DockerImage", "name": "quay.io/x/a:latest"}}`,
      `{"name": "cli", ${versions("kubectl=1.27.4,kubernetes=1.27.10-rc.1")}, "from": {"kind": "DockerImage", "name": "quay.io/x/cli@sha256:${"c".repeat(64)}"}}`,
      '{"name": "none", "from": {"kind": "ImageStreamTag", "name": "x:y"}}',
    ];
    const image = await buildTestImage({
      os: "",
      architecture: "",
      created: "",
      files: {
        "release-manifests/image-references": `{"kind": "ImageStream", "metadata": {"name": "4.14.3", "creationTimestamp": "2023-12-01T11:00:00+01:00"}, "spec": {"tags": [${tags.join()}]}}`,
        "release-manifests/release-metadata":
          '{"kind": "cincinnati-metadata-v0", "version": "4.14.3", "metadata": {"url": ""}}',
        "release-manifests/0000_10_a.yaml": "",
        "release-manifests/0000_10_b.yml": "",
        "release-manifests/0000_10_c.json": "",
        "release-manifests/LICENSE": "",
      },
    });
    writeDirImage(dir.join("r"), image);
    const { status, stdout } = await info(`dir:${dir.join("r")}`);
    assert.equal(status, 0);
    assert.equal(
      stdout,
      [
        "Name:           4.14.3",
        `Digest:         ${image.digest}`,
        "Created:        2023-12-01T10:00:00Z",
        "OS/Arch:        unknown/unknown",
        "Manifests:      3",
        "Metadata files: 1",
        "",
        "Release Metadata:",
        "  Version:  4.14.3",
        "  Upgrades: <none>",
        "  Metadata:",
        "",
        "Component Versions:",
        "  kubectl    1.27.4",
        "  kubernetes 1.27.10-rc.1",
        "  machine-os 414.92.1     CoreOS",
        "",
        "Images:",
        "  NAME DIGEST",
        "  a    quay.io/x/a:latest",
        `  cli  sha256:${"c".repeat(64)}`,
        "",
        "Warnings:",
        "* multiple versions or display names reported for the following component(s): kubernetes",
        "",
        "",
      ].join("\n"),
    );
    const run = async (format: string) => info(`dir:${dir.join("r")}`, "-o", format);
    assert.equal((await run("name")).stdout, "a\ncli\nnone\n");
    const digests = await run("digest");
    assert.match(digests.stderr, /^error: a does not point to a digest$/m);
    assert.equal(digests.stdout, `sha256:${"c".repeat(64)}\n`);
    const { displayVersions } = JSON.parse((await run("json")).stdout) as { displayVersions: object };
    assert.deepEqual(displayVersions, {
      kubectl: { Version: "1.27.4", DisplayName: "" },
      kubernetes: { Version: "1.27.10-rc.1", DisplayName: "" },
      "machine-os": { Version: "414.92.1", DisplayName: "CoreOS" },
    });
  });

  test("prints one thing of each image, or of one image", async (t) => {
    const { name } = await push(t, await genuineRelease());
    for (const [format, pattern] of [
      ["pullspec", /^quay\.io\/openshift-release-dev\/ocp-v4\.0-art-dev@sha256:[0-9a-f]{64}$/],
      ["digest", /^sha256:[0-9a-f]{64}$/],
      ["name", /^[a-z0-9-]+$/],
    ] as const) {
      const lines = (await info(name, "-o", format)).stdout.trimEnd().split("\n");
      assert.equal(lines.length, 183);
      for (const line of lines) assert.match(line, pattern);
    }
    assert.match((await info(name, "--pullspecs")).stdout, /NAME {2,}PULL SPEC\n/);
    assert.match((await info(name, "--image-for", "etcd")).stdout, /^quay\.io\/.*@sha256:/);
    const none = await info(name, "--image-for", "nothing");
    assert.deepEqual([none.status, /no image tag "nothing" exists/.test(none.stderr)], [2, true]);
    assert.equal((await info(name, "-o", "name", "--pullspecs")).status, 64);
    const json = JSON.parse((await info(name, "-o", "json")).stdout) as {
      references: object;
      metadata: { version: string };
    };
    assert.deepEqual(json.references, JSON.parse(readFileSync(join(payload, "image-references"), "utf8")));
    assert.equal(json.metadata.version, "4.12.0");
  });

  test("reads a release from a folder, and says what changed since another one", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const old = await buildTestRelease({ repository: "registry.example.com/dev", count: 4, version: "4.98.0" });
    const more = await buildTestRelease({
      repository: "registry.example.com/dev",
      count: 5,
      special: { 1: { seed: 7 } },
    });
    writeDirImage(dir.join("old"), old.image);
    writeDirImage(dir.join("new"), more.image);
    const { status, stdout } = await info(`dir:${dir.join("new")}`, "--changes-from", `dir:${dir.join("old")}`);
    assert.equal(status, 0);
    assert.match(stdout, /^4\.98\.0 -> 4\.99\.0\n\nAdded images:\n {2}component-4 sha256:/);
    const specs = await info(`dir:${dir.join("new")}`, "--changes-from", `dir:${dir.join("old")}`, "--pullspecs");
    assert.match(specs.stdout, /\n {2}component-4 registry\.example\.com\/dev@sha256:/);
    assert.match(stdout, /Changed images:\n {2}component-1 sha256:[0-9a-f]{64} -> sha256:[0-9a-f]{64}\n/);
    assert.match(stdout, /1 added, 0 removed, 1 changed, 3 unchanged\n$/);
    const back = await info(`dir:${dir.join("old")}`, "--changes-from", `dir:${dir.join("new")}`, "-o", "json");
    const report = JSON.parse(back.stdout) as { removed: readonly { name: string }[] };
    assert.deepEqual(
      report.removed.map((image) => image.name),
      ["component-4"],
    );
    assert.doesNotMatch((await info(`dir:${dir.join("new")}`)).stdout, /Pull From/);
  });

  test("reads every form in which copies lie on a disk, a docker archive's plain layers too", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    writeDirImage(dir.join("dir"), await genuineRelease());
    const forms = ["oci:layout:r", "oci-archive:r.tar:r", "docker-archive:d.tar:ocp/release:1"];
    for (const form of forms) {
      const copied = await runSignet(["copy", "--insecure-policy", "dir:dir", form], { cwd: dir.path });
      assert.equal(copied.status, 0, copied.stderr);
      const { status, stdout, stderr } = await runSignet(["release", "info", form], { cwd: dir.path });
      assert.equal(status, 0, `${form}: ${stderr}`);
      assert.match(stdout, /^Name: {6}4\.12\.0\nDigest: {4}sha256:/);
      assert.equal(stdout.match(/^ {2}\S+ +sha256:[0-9a-f]{64}$/gm)?.length, 183);
    }
  });

  test("says what was probably meant by a version, a digest or a path", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    writeFileSync(dir.join("r.tar"), "");
    for (const [argument, hint] of [
      ["4.14.3", "ocp-release:4.14.3-x86_64"],
      ["4.14.3-aarch64", "ocp-release:4.14.3-aarch64\n"],
      ["4.16.0-rc.1", "ocp-release:4.16.0-rc.1-x86_64"],
      [`sha256:${"a".repeat(64)}`, "ocp-release@sha256:"],
      ["sha256:0da6", "ocp-release@sha256:"],
      ["r.tar", "oci-archive: or docker-archive:"],
      [".", "dir: or oci:"],
    ] as const) {
      const { status, stderr } = await runSignet(["release", "info", argument], { cwd: dir.path });
      assert.deepEqual([status, stderr.includes(hint)], [64, true], stderr);
    }
  });

  test("refuses descriptions that contradict themselves", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    for (const [what, changes, message] of [
      [
        "version",
        (text: string) => text.replace('"name": "4.12.0"', '"name": "4.12.1"'),
        /version 4\.12\.0 is not that of image-references/,
      ],
      [
        "twice",
        (text: string) => text.replace('"agent-installer-csr-approver"', '"agent-installer-api-server"'),
        /stands twice/,
      ],
      [
        "reference",
        (text: string) => text.replace("quay.io/openshift-release-dev", "QUAY/UPPER"),
        /is no image reference/,
      ],
      ["json", (text: string) => text.slice(100), /unexpected data after the end of the document/],
      ["kind", (text: string) => text.replace("ImageStream", "Stream"), /is not ImageStream/],
    ] as const) {
      writeDirImage(dir.join(what), await genuineRelease(changes));
      const { status, stderr } = await info(`dir:${dir.join(what)}`);
      assert.equal(status, 2, what);
      assert.match(stderr, message);
    }
    writeDirImage(dir.join("tag"), await genuineRelease((text) => text.replace(/@sha256:[0-9a-f]{64}/, ":latest")));
    const tagged = await info(`dir:${dir.join("tag")}`);
    assert.equal(tagged.status, 0);
    assert.match(tagged.stderr, /is referred to by tag, .*nothing vouches for it/);
  });
});
