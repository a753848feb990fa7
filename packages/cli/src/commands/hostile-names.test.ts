/** Names from archives, lists, catalogs and releases that were made for the terminal that shows them, or for the reader's memory. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import {
  buildTestImage,
  makeTempDir,
  writeDirImage,
  writeTestPaxHeader as pax,
  writeTestTar as tar,
  writeTestTarEntry as entry,
} from "@signet/testkit";
import { type SignetRun, runSignet, signetEnvironment, signetScript } from "../signet-process.ts";

/** A title, a cleared screen, text that runs backwards, a line of its own, and a bell in C1. */
const hostile = "x\u001b]0;t\u0007\u001b[2J\u202e\nerror: all is well\u009b31m";

/** Everything but line breaks that a terminal would act on. */
const controls = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

function assertClean({ stdout, stderr }: SignetRun): void {
  for (const text of [stdout, stderr]) {
    assert.doesNotMatch(text, controls);
    assert.doesNotMatch(text, /^error: all is well/m);
  }
}

const digest = `sha256:${"0".repeat(64)}`;
const platformLayer = "application/vnd.docker.image.rootfs.diff.tar";

describe("nothing that others wrote reaches the terminal as it is", () => {
  test("of releases", async () => {
    using dir = makeTempDir();
    const tags = [
      {
        name: hostile,
        annotations: { "io.openshift.build.versions": `${hostile}=1,y=${hostile}` },
        from: { kind: "DockerImage", name: `example.com/a@${digest}` },
      },
    ];
    const images = {
      good: {
        "release-manifests/image-references": { kind: "ImageStream", metadata: { name: hostile }, spec: { tags } },
      },
      kind: { "release-manifests/image-references": { kind: hostile } },
      reference: {
        "release-manifests/image-references": {
          kind: "ImageStream",
          spec: { tags: [{ name: "a", from: { kind: "DockerImage", name: hostile } }] },
        },
      },
    };
    for (const [name, files] of Object.entries(images)) {
      const path = dir.join(name);
      const texts = Object.entries(files).map(([file, value]): [string, string] => [file, JSON.stringify(value)]);
      writeDirImage(
        path,
        await buildTestImage({ files: Object.fromEntries(texts), os: "linux", architecture: hostile }),
      );
      const args = ["--override-arch", "amd64"];
      for (const more of [[], ["-o", "name"], ["-o", "pullspec"], ["-o", "json"], ["--image-for", hostile]]) {
        const run = await runSignet(["release", "info", `dir:${path}`, ...args, ...more]);
        assertClean(run);
        assert.equal(run.status, name === "good" ? 0 : 2, run.stderr);
      }
    }
  });

  test("of archives", async () => {
    using dir = makeTempDir();
    const layers = [
      tar(pax({ path: `release-manifests/${Buffer.from(hostile).toString("latin1")}` }), entry("x", "", { type: "2" })),
      tar(pax({ path: `${Buffer.from(hostile).toString("latin1")}/..` }), entry("x", "y")),
      tar(pax({ [Buffer.from(hostile).toString("latin1")]: "1", path: "y" }, "g"), entry("x")),
    ];
    for (const [index, bytes] of layers.entries()) {
      const path = dir.join(`${index}`);
      writeDirImage(path, await buildTestImage({ rawLayers: [{ bytes, mediaType: platformLayer }] }));
      const run = await runSignet(["release", "info", `dir:${path}`]);
      assertClean(run);
      assert.equal(run.status, 2);
      assert.match(run.stderr, /^error: /);
    }
  });

  test("of lists of checksums, ConfigMaps and catalogs", async () => {
    using dir = makeTempDir();
    writeFileSync(dir.join("policy.json"), '{"default":[{"type":"reject"}]}');
    const bundle = {
      schema: "olm.bundle",
      package: hostile,
      name: hostile,
      image: hostile,
      relatedImages: [{ name: hostile, image: `example.com/${hostile}` }],
    };
    const map = { kind: "ConfigMap", apiVersion: "v1", metadata: { name: hostile }, binaryData: { [hostile]: "AA==" } };
    const files = {
      "catalog.json": JSON.stringify(bundle),
      "\u001b[2J.json": '{"schema":5',
      "map.json": JSON.stringify(map),
      "trust.json": JSON.stringify({ ...map, data: { [`store-${hostile}`]: hostile } }),
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(dir.join(name), text);
    for (const args of [
      ["catalog", "audit", dir.join("catalog.json"), "--policy", dir.join("policy.json")],
      ["catalog", "audit", dir.join("catalog.json"), "--policy", dir.join("policy.json"), "-o", "json"],
      ["catalog", "audit", dir.join("\u001b[2J.json"), "--policy", dir.join("policy.json")],
      ["release", "verify", "--shallow", digest, "--store", "file:///nonexistent", "--configmap", dir.join("map.json")],
      ["release", "trust", "--trust-configmap", dir.join("trust.json")],
      ["release", "trust", "--trust-from-release", `dir:${dir.join(hostile)}`],
    ]) {
      const run = await runSignet(args);
      assertClean(run);
      assert.notEqual(run.status, 0, args.join(" "));
    }
  });
});

/** MiB of the largest resident set of a catalog audit of 160 MiB: reading took 212 MB for 500 MiB of JSON when it was measured. */
const MOST_MEMORY = 450;

test("a catalog of 160 MiB is audited with no more than a document of it in memory", async () => {
  using dir = makeTempDir();
  writeFileSync(dir.join("policy.json"), '{"default":[{"type":"reject"}]}');
  const child = spawn(
    process.execPath,
    [signetScript, "catalog", "audit", "-", "--policy", dir.join("policy.json"), "--quiet", "-o", "json"],
    { env: signetEnvironment(), stdio: ["pipe", "pipe", "inherit"] },
  );
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  let peak = 0;
  const data = Buffer.from("x".repeat(700_000)).toString("base64");
  for (let index = 0; index < 180; index++) {
    const related = [{ name: "r", image: `example.com/r@sha256:${String(index).padStart(64, "0")}` }];
    const properties = [{ type: "olm.bundle.object", value: { data } }];
    const document = { schema: "olm.bundle", package: "p", name: `b.v${index}`, properties, relatedImages: related };
    if (!child.stdin.write(JSON.stringify(document)))
      await new Promise((resolve) => child.stdin.once("drain", resolve));
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    peak = Math.max(peak, Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  }
  child.stdin.end();
  assert.equal(await ended, 1);
  assert.match(stdout, /b\.v179/);
  assert.ok(peak > 20 && peak < MOST_MEMORY, `${peak} MiB`);
});
