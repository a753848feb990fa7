import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { parseManifest } from "@signet/core";
import {
  type TestImage,
  type TestIndex,
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
  writeDirImage,
} from "@signet/testkit";
import { type SignetRun, runSignet, signetEnvironment, signetScript } from "../signet-process.ts";

const folder = makeTempDir("signet-copy-command-");
let registry: TestRegistry;
let image: TestImage;
let list: TestIndex;

const env = { HOME: folder.path, XDG_RUNTIME_DIR: folder.path };
const copyFlags = ["--insecure-policy", "--tls-verify=false", "--registries.d", "registries.d"];

function signet(...args: readonly string[]): Promise<SignetRun> {
  return runSignet(args, { cwd: folder.path, env });
}

const copy = (...args: readonly string[]): Promise<SignetRun> => signet("copy", ...copyFlags, ...args);

const lookaside = (repository: string, digest: string): string =>
  folder.join("store", `${repository}@${digest.replace(":", "=")}`);

before(async () => {
  registry = await startTestRegistry();
  image = await buildTestImage({ layers: 2 });
  list = buildTestIndex([image, await buildTestImage({ seed: 2, architecture: "arm64" })]);
  mkdirSync(folder.join("registries.d"));
  writeFileSync(
    folder.join("registries.d/all.yaml"),
    `default-docker: {lookaside: "file://${folder.join("store")}"}\n`,
  );
  writeDirImage(folder.join("image"), image);
  writeDirImage(folder.join("list"), list);
  for (const name of ["one", "two"]) {
    const options = ["--algorithm", "ed25519", "--output-prefix", name, "--no-passphrase"];
    const made = await signet("keys", "generate", `${name} <${name}@example.com>`, ...options);
    assert.equal(made.status, 0, made.stderr);
  }
});

after(async () => {
  await registry.dispose();
  folder.dispose();
});

/** Which keys' signatures `verify` accepts for an image. */
async function acceptedKeys(name: string): Promise<readonly string[]> {
  const accepted: string[] = [];
  for (const key of ["one", "two"]) {
    const args = ["--key", `${key}.pub`, "--tls-verify=false", "--registries.d", "registries.d"];
    if ((await signet("verify", ...args, name)).status === 0) accepted.push(key);
  }
  return accepted;
}

describe("signet copy", () => {
  test("says in JSON what it did", async () => {
    const target = `docker://${registry.host}/json:1`;
    const run = await copy("-o", "json", "--quiet", "dir:image", target);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(JSON.parse(run.stdout), {
      source: `dir:${folder.join("image")}`,
      destination: target,
      digest: image.digest,
      manifests: [image.digest],
      converted: null,
      blobs: {
        moved: 3,
        present: 0,
        bytes: [image.config, ...image.layers].reduce((sum, { bytes }) => sum + bytes.length, 0),
      },
      foreignLayers: [],
      signatures: { carried: 0, kept: 0, made: 0 },
      companions: { tags: 0, referrers: 0, present: 0, leftBehind: 0, warnings: [] },
      warnings: [],
    });
  });

  test("signs by every key that --sign-by names, and by none a second time", async () => {
    const target = `docker://${registry.host}/team/app:1`;
    const keys = ["--sign-by", "one.private", "--sign-by", "two.private"];
    const first = await copy(...keys, "dir:image", target);
    assert.equal(first.status, 0, first.stderr);
    assert.match(first.stdout, /0 signatures carried along, 2 made\n/);
    assert.deepEqual(await acceptedKeys(target), ["one", "two"]);
    const again = await copy(...keys, target, target);
    assert.match(again.stdout, /2 signatures carried along, 0 made\n/);
    assert.equal(readdirSync(lookaside("team/app", image.digest)).length, 2);
  });

  test("onto itself with --sign-by adds a signature and changes nothing else", async () => {
    const target = `docker://${registry.host}/self:1`;
    await copy("--sign-by", "one.private", "dir:image", target);
    const run = await copy("-o", "json", "--sign-by", "two.private", target, target);
    const { digest, blobs, signatures } = JSON.parse(run.stdout) as Record<string, unknown>;
    assert.deepEqual(
      { digest, blobs, signatures },
      {
        digest: image.digest,
        blobs: { moved: 0, present: 3, bytes: 0 },
        signatures: { carried: 1, kept: 0, made: 1 },
      },
    );
    assert.deepEqual(await acceptedKeys(target), ["one", "two"]);
  });

  test("warns once when the signatures are for another name, with the prefixes that a policy would need", async () => {
    const origin = `docker://${registry.host}/origin/app:1`;
    await copy("--sign-by", "one.private", "--sign-identity", "vendor.example.com/app:1", "dir:image", origin);
    const run = await copy("--quiet", origin, `docker://${registry.host}/mirror/app:1`);
    const warnings = run.stderr.split("\n").filter((line) => line.includes("remapIdentity"));
    assert.equal(warnings.length, 1, run.stderr);
    assert.ok(warnings[0]!.includes(`prefix "${registry.host}/mirror" and signedPrefix "vendor.example.com"`));
  });

  test("within a registry takes blobs over, from the source's repository and those of --mount-from", async () => {
    await pushTestImage(registry, "base:1", image);
    const uploads = (): number => registry.log.filter(({ method }) => method === "PATCH").length;
    const before_ = uploads();
    await copy(`docker://${registry.host}/base:1`, `docker://${registry.host}/mounted/one:1`);
    const given = await copy(
      "--mount-from",
      `${registry.host}/base`,
      "dir:image",
      `docker://${registry.host}/mounted/two:1`,
    );
    assert.equal(given.status, 0, given.stderr);
    assert.equal(uploads(), before_);
    assert.equal(registry.manifest("mounted/two", "1")?.digest, image.digest);
    const elsewhere = await copy(
      "--mount-from",
      "other.example.com/base",
      "dir:image",
      `docker://${registry.host}/x:1`,
    );
    assert.equal(elsewhere.status, 64);
  });

  test("converts for oci: and says so on standard error and in its last line", async () => {
    const run = await copy("--all", "dir:list", "oci:layout:x");
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stderr, /^Converting to OCI: the digest becomes sha256:/m);
    assert.match(run.stdout, new RegExp(`^converted to oci from digest ${list.digest}$`, "m"));
    const { manifests } = JSON.parse(readFileSync(folder.join("layout/index.json"), "utf8")) as {
      manifests: { digest: string }[];
    };
    const top = parseManifest(readFileSync(folder.join("layout/blobs/sha256", manifests[0]!.digest.slice(7))));
    assert.ok(top.kind === "list");
    assert.equal(top.mediaType, "application/vnd.oci.image.index.v1+json");
  });

  test("refuses to convert what is signed, and signs the new digest with --remove-signatures --sign-by", async () => {
    const origin = `docker://${registry.host}/convert/app:1`;
    const target = `docker://${registry.host}/convert/app:oci`;
    await copy("--sign-by", "one.private", "dir:image", origin);
    const refused = await copy("--format", "oci", origin, target);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /error: converting .* would invalidate 1 signature\nhint: --remove-signatures/);
    const both = await copy("--format", "oci", "--sign-by", "two.private", origin, target);
    assert.equal(both.status, 2);
    assert.equal(registry.manifest("convert/app", "oci"), undefined);
    const done = await copy("--format", "oci", "--remove-signatures", "--sign-by", "two.private", origin, target);
    assert.equal(done.status, 0, done.stderr);
    assert.deepEqual(await acceptedKeys(target), ["two"]);
    assert.deepEqual(await acceptedKeys(origin), ["one"]);
  });

  test("takes the store that it is told to for each side", async () => {
    await using extension = await startTestRegistry({ signaturesExtension: true });
    const target = `docker://${extension.host}/app:1`;
    const toLookaside = await copy("--store", "lookaside", "--sign-by", "one.private", "dir:image", target);
    assert.equal(toLookaside.status, 0, toLookaside.stderr);
    assert.equal(extension.signatures("app", image.digest).length, 0);
    assert.equal(readdirSync(lookaside("app", image.digest)).length, 1);
    const converted = await copy("--src-store", "lookaside", "--store", "extension", target, target);
    assert.match(converted.stdout, /1 signatures carried along/);
    assert.equal(extension.signatures("app", image.digest).length, 1);
    const missing = await copy("--store", "extension", "dir:image", `docker://${registry.host}/app:9`);
    assert.equal(missing.status, 2);
    assert.match(missing.stderr, /does not announce the signatures API/);
  });

  test("answers wrong use with 64 and a way out", async () => {
    const cases: readonly (readonly [args: readonly string[], said: RegExp])[] = [
      [["--format", "v2s1"], /schema 1 is read and not written\nhint: /],
      [["--format", "v2s3"], /--format is one of oci, v2s1, v2s2/],
      [["--sign-by-sigstore", "x.yaml"], /--sign-by-sigstore is not available.*\nhint: sign with --sign-by/],
      [["--sign-by-sigstore-private-key", "k"], /not available/],
      [["--sign-by", "one.private", "--sign-by", "two.private", "--sign-passphrase-file", "p"], /names several/],
      [["--sign-identity", "h.example.com/a:1"], /needs --sign-by/],
      [["--remove-signature"], /did you mean --remove-signatures\?/],
      [["--mount-from", "a", "--mount-from", "b", "--mount-from", "c", "--mount-from", "d"], /may be given 3 times/],
    ];
    await Promise.all(
      cases.map(async ([args, said]) => {
        const run = await copy(...args, "dir:image", "dir:never");
        assert.equal(run.status, 64, run.stderr);
        assert.match(run.stderr, said);
      }),
    );
    assert.ok(!existsSync(folder.join("never")));
  });
});

describe("signet copy in bad weather", () => {
  /** Starts a copy whose blobs come in drops, waits until one has begun, does something to the world, and waits for the end. */
  async function disturb(
    args: readonly string[],
    disturbance: (kill: (signal: NodeJS.Signals) => void) => unknown,
  ): Promise<{ readonly status: number | null; readonly stderr: string }> {
    const child = spawn(process.execPath, [signetScript, "copy", ...copyFlags, "--retry-times", "0", ...args], {
      cwd: folder.path,
      env: signetEnvironment(env),
    });
    let stderr = "";
    const closed = once(child, "close") as Promise<[number | null]>;
    const began = new Promise<void>((resolve) => {
      child.stderr.on("data", (chunk: Buffer) => {
        stderr += chunk.toString("utf8");
        if (stderr.includes("Copying blob")) resolve();
      });
      child.once("exit", () => resolve());
    });
    await began;
    await wait(50);
    await disturbance((signal) => child.kill(signal));
    const [status] = await closed;
    return { status, stderr };
  }

  const slow = { method: "GET", path: /\/blobs\//, times: Infinity, drip: { bytes: 16, everyMs: 20 } };

  test("Ctrl-C cancels what was being uploaded, and no tag and no signature appears", async () => {
    await using source = await startTestRegistry({ faults: [slow] });
    await pushTestImage(source, "app:1", await buildTestImage({ layerBytes: 100_000 }));
    await using target = await startTestRegistry();
    const { status, stderr } = await disturb(
      ["--sign-by", "one.private", `docker://${source.host}/app:1`, `docker://${target.host}/app:1`],
      (kill) => kill("SIGINT"),
    );
    assert.equal(status, 130, stderr);
    assert.doesNotMatch(stderr, /error:/);
    assert.equal(target.manifest("app", "1"), undefined);
    const began = target.log.filter(({ method, path }) => method === "POST" && path.endsWith("/uploads/"));
    const ended = target.log.filter(({ method }) => method === "DELETE" || method === "PUT");
    assert.ok(began.length > 0);
    assert.equal(ended.length, began.length);
    assert.equal(existsSync(lookaside("app-interrupted", image.digest)), false);
  });

  test("a registry that dies half-way is an error, and what was there stays", async () => {
    const source = await startTestRegistry({ faults: [slow] });
    await pushTestImage(source, "app:1", await buildTestImage({ seed: 7, layerBytes: 100_000 }));
    writeDirImage(folder.join("there"), image);
    const before_ = readdirSync(folder.join("there"));
    const { status, stderr } = await disturb([`docker://${source.host}/app:1`, "dir:there"], () => source.dispose());
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^error: .*(?:lost|closed|refused|connect)/m);
    assert.deepEqual(readdirSync(folder.join("there")), before_);
  });

  test("a source folder that vanishes half-way is an error, and nothing of it stays", async () => {
    writeDirImage(folder.join("vanishing"), await buildTestImage({ seed: 9, layers: 3 }));
    const layer = readdirSync(folder.join("vanishing")).find((name) => /^[0-9a-f]{64}$/.test(name))!;
    rmSync(folder.join("vanishing", layer));
    const run = await copy("dir:vanishing", "dir:nothing");
    assert.equal(run.status, 2);
    assert.match(run.stderr, new RegExp(`error: no blob .*${layer}\nhint: the image is not complete`));
    assert.ok(!existsSync(folder.join("nothing")));
    assert.deepEqual(
      readdirSync(folder.path).filter((name) => name.startsWith(".signet")),
      [],
    );
  });

  test("a place that cannot be written to is an error before anything is fetched", async () => {
    const log = registry.log.length;
    const run = await copy(`docker://${registry.host}/base:1`, "dir:/proc/signet-test/image");
    assert.equal(run.status, 2);
    assert.match(run.stderr, /^error: /m);
    assert.equal(registry.log.length, log);
  });

  test("a signature store that cannot be written to fails before the tag appears", async () => {
    mkdirSync(folder.join("broken.d"));
    writeFileSync(folder.join("broken.d/all.yaml"), `default-docker: {lookaside: "file:///proc/signet-test"}\n`);
    const args = ["copy", "--insecure-policy", "--tls-verify=false", "--registries.d", "broken.d"];
    const target = `docker://${registry.host}/unsigned/app:1`;
    const run = await signet(...args, "--sign-by", "one.private", "dir:image", target);
    assert.equal(run.status, 2, run.stderr);
    assert.match(run.stderr, /^error: /m);
    assert.equal(registry.manifest("unsigned/app", "1"), undefined);
  });
});
