import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import {
  type TempDir,
  type TestRegistry,
  type TestRelease,
  buildTestImage,
  buildTestRelease,
  makeTempDir,
  pushTestImage,
  startLoopbackServer,
  startTestRegistry,
} from "@signet/testkit";
import { runSignet } from "../signet-process.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/openshift");
const genuine = "sha256=0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363";
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const made = await generateKey({
  engine,
  now: Date.now(),
  userIds: ["Release <release@example.com>"],
  algorithm: "ed25519",
});

interface Stage {
  readonly registry: TestRegistry;
  readonly dir: TempDir;
  readonly release: TestRelease;
  readonly name: string;
  readonly verify: (...args: readonly string[]) => ReturnType<typeof runSignet>;
}

/** A release in a registry, its signature in a store, and every image that it refers to except those in `absent`. */
async function makeStage(
  t: TestContext,
  options: {
    readonly count?: number;
    readonly absent?: readonly number[];
    readonly special?: Readonly<Record<number, object>>;
  } = {},
): Promise<Stage> {
  const registry = await startTestRegistry();
  t.after(() => registry.dispose());
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  const release = await buildTestRelease({
    repository: `${registry.host}/dev/components`,
    count: options.count ?? 12,
    ...(options.special === undefined ? {} : { special: options.special }),
  });
  for (const [index, component] of release.components.entries()) {
    if (options.absent?.includes(index) !== true)
      await pushTestImage(registry, `dev/components@${component.digest}`, component);
  }
  await pushTestImage(registry, `dev/release:4.99.0`, release.image);
  const signer = await openSecretKey(encode(made.secretKey), { engine, now: Date.now() });
  const name = `${registry.host}/dev/release@${release.image.digest}`;
  const signature = await createSignature(release.image.manifest, `${registry.host}/dev/release:4.99.0`, signer, {
    engine,
    now: Date.now(),
  });
  const folder = dir.join("store", release.image.digest.replace(":", "="));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "signature-1"), signature.bytes);
  writeFileSync(dir.join("release.pub"), made.publicKey);
  const verify: Stage["verify"] = (...args) =>
    runSignet(
      [
        "release",
        "verify",
        name,
        "--key",
        dir.join("release.pub"),
        "--store",
        `file://${dir.join("store")}`,
        "--tls-verify=false",
        ...args,
      ],
      { env: { HOME: dir.path } },
    );
  return { registry, dir, release, name, verify };
}

interface Report {
  readonly verdict: string;
  readonly summary: Readonly<Record<string, number>>;
  readonly components: readonly { readonly name: string; readonly outcome: string; readonly message: string }[];
}

describe("release verify", () => {
  test("verifies a release whole: signature, then every image by its digest", async (t) => {
    const { verify, registry } = await makeStage(t);
    const { status, stdout, stderr } = await verify();
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^accepted /);
    assert.match(stdout, /signed by [0-9A-F]{40} \(Release <release@example\.com>\)/);
    assert.match(stdout, /release {4}4\.99\.0, linux\/amd64, 12 images/);
    assert.match(stdout, /images {5}12 equal\n$/);
    const manifests = registry.log.filter(({ path }) => path.includes("/dev/components/manifests/"));
    assert.equal(manifests.length, 12);
  });

  test("finds and names a tampered image, an absent one and one for another platform", async (t) => {
    const { verify, registry, release } = await makeStage(t, {
      absent: [3],
      special: { 5: { architecture: "arm64" } },
    });
    registry.tamper("dev/components", release.components[1]!.digest, (bytes) =>
      encode(`${new TextDecoder().decode(bytes)} `),
    );
    const { status, stdout } = await verify("-o", "json");
    assert.equal(status, 1);
    const report = JSON.parse(stdout) as Report;
    assert.equal(report.verdict, "rejected");
    const bad = report.components
      .filter(({ outcome }) => outcome !== "equal")
      .map(({ name, outcome }) => [name, outcome]);
    assert.deepEqual(bad, [
      ["component-1", "different"],
      ["component-3", "absent"],
      ["component-5", "wrong-platform"],
    ]);
    assert.equal(report.summary["equal"], 9);
    const text = await verify();
    assert.equal(text.status, 1);
    assert.match(text.stdout, /different {6}component-1 /);
    assert.match(text.stdout, /the image is for linux\/arm64, the release for linux\/amd64/);
  });

  test("cannot tell, and never accepts, when an image cannot be asked for", async (t) => {
    const { verify, registry, release } = await makeStage(t);
    registry.addFaults({ path: new RegExp(release.components[2]!.digest), status: 403, times: Infinity });
    const { status, stdout, stderr } = await verify();
    assert.equal(status, 2);
    assert.match(stdout, /^undetermined /);
    assert.match(stderr, /^error: 1 image of the release could not be looked at/m);
    // An image that is known to be wrong outranks it.
    registry.tamper("dev/components", release.components[4]!.digest, (bytes) =>
      encode(`${new TextDecoder().decode(bytes)} `),
    );
    const both = await verify();
    assert.deepEqual([both.status, both.stdout.match(/^(?:rejected|undetermined) /)?.[0]], [1, "rejected "]);
    assert.match(both.stdout, /unknown .*component-2 /);
  });

  test("stops at a missing or wrong signature, before anything else of the image is fetched", async (t) => {
    const { verify, registry, dir, release } = await makeStage(t);
    const stranger = await generateKey({
      engine,
      now: Date.now(),
      userIds: ["S <s@example.com>"],
      algorithm: "ed25519",
    });
    writeFileSync(dir.join("stranger.pub"), stranger.publicKey);
    const both = await verify("--key", dir.join("stranger.pub"));
    assert.equal(both.status, 1);
    assert.match(both.stdout, /keyring {4}.*stranger\.pub: no signature/);
    assert.ok(!registry.log.some(({ path }) => path.includes("/blobs/")));
    const folder = dir.join("store", release.image.digest.replace(":", "="));
    writeFileSync(join(folder, "signature-1"), "not a signature");
    assert.equal((await verify()).status, 1);
    mkdirSync(join(folder, "signature-2"));
    const unreadable = await verify();
    assert.equal(unreadable.status, 2);
    assert.match(unreadable.stderr, /could not be asked/);
  });

  test("takes the genuine release signature from a store and from ConfigMaps of each dialect, and writes what the operator reads", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const shallow = (...args: readonly string[]): ReturnType<typeof runSignet> =>
      runSignet(["release", "verify", "--shallow", genuine, ...args], { env: { HOME: dir.path } });
    const nowhere = ["--store", `file://${dir.join("nothing")}`];
    for (const [name, args] of [
      ["store", ["--store", `file://${join(vectors, "signatures")}`]],
      ["oc", [...nowhere, "--configmap", join(vectors, "configmaps/signature-sha256-0da6316466d60a3a.json")]],
      ["oc-mirror", [...nowhere, "--configmap", join(vectors, "configmaps/oc-mirror-v2-signature-configmap.yaml")]],
      ["folder", [...nowhere, "--configmap", join(vectors, "configmaps")]],
    ] as const) {
      const { status, stdout, stderr } = await shallow(...args, "--write-configmap", dir.join(name));
      assert.equal(status, 0, stderr);
      assert.match(stdout, /signed by 567E347AD0044ADE55BA8A5F199E2F91FD431D51/);
      assert.deepEqual(readdirSync(dir.join(name)), ["signature-sha256-0da6316466d60a3a.json"]);
      const written = JSON.parse(
        readFileSync(dir.join(name, "signature-sha256-0da6316466d60a3a.json"), "utf8"),
      ) as unknown;
      const expected = JSON.parse(
        readFileSync(join(vectors, "configmaps/signature-sha256-0da6316466d60a3a.json"), "utf8").replace(
          '"creationTimestamp":null,',
          "",
        ),
      ) as unknown;
      assert.deepEqual(written, expected, name);
    }
    mkdirSync(dir.join("empty"));
    const empty = await shallow(...nowhere, "--configmap", dir.join("empty"));
    assert.deepEqual([empty.status, /empty holds no mirrored signature/.test(empty.stderr)], [1, true]);
    const none = await shallow(...nowhere);
    assert.equal(none.status, 1);
    assert.match(none.stdout, /no signature in any of the stores/);
  });

  test("does not wait for a store that hangs when another one has the signature, and tells a failing one apart from an empty one", async (t) => {
    const server = await startLoopbackServer((request, response) => {
      if (request.url?.startsWith("/broken") === true) response.writeHead(403).end();
      else if (request.url?.startsWith("/empty") === true) response.writeHead(404).end();
    });
    t.after(() => server.dispose());
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const shallow = (...args: readonly string[]): ReturnType<typeof runSignet> =>
      runSignet(["release", "verify", "--shallow", genuine, ...args], { env: { HOME: dir.path } });
    const store = ["--store", `file://${join(vectors, "signatures")}`];
    const hanging = await shallow("--store", `${server.url}/hangs`, ...store);
    assert.equal(hanging.status, 0, hanging.stderr);
    assert.match(hanging.stdout, /hangs: not waited for/);
    const broken = await shallow("--store", `${server.url}/broken`, "--store", `${server.url}/empty`);
    assert.equal(broken.status, 2);
    assert.match(broken.stderr, /HTTP 403/);
    assert.equal((await shallow("--store", `${server.url}/empty`)).status, 1);
  });

  test("refuses nonsense with a clear error", async (t) => {
    const { registry, dir } = await makeStage(t, { count: 1 });
    const run = (...args: readonly string[]): ReturnType<typeof runSignet> =>
      runSignet(["release", "verify", "--tls-verify=false", ...args], { env: { HOME: dir.path } });
    assert.equal((await run(genuine)).status, 64);
    assert.equal((await run("--shallow", "UPPER/x")).status, 64);
    writeFileSync(
      dir.join("map.yaml"),
      "kind: ConfigMap\nmetadata: {name: x}\nbinaryData: {sha256-" + "a".repeat(64) + '-1: "%%"}\n',
    );
    const map = await run("--shallow", genuine, "--configmap", dir.join("map.yaml"));
    assert.deepEqual([map.status, /the value is not base64/.test(map.stderr)], [2, true]);
    const plain = await buildTestImage({ seed: 77 });
    await pushTestImage(registry, "dev/plain:1", plain);
    const signer = await openSecretKey(encode(made.secretKey), { engine, now: Date.now() });
    const signature = await createSignature(plain.manifest, `${registry.host}/dev/plain:1`, signer, {
      engine,
      now: Date.now(),
    });
    const folder = dir.join("store", plain.digest.replace(":", "="));
    mkdirSync(folder);
    writeFileSync(join(folder, "signature-1"), signature.bytes);
    const none = await run(
      `${registry.host}/dev/plain:1`,
      "--key",
      dir.join("release.pub"),
      "--store",
      `file://${dir.join("store")}`,
    );
    assert.deepEqual([none.status, /is no release image/.test(none.stderr)], [2, true], none.stderr);
  });
});
