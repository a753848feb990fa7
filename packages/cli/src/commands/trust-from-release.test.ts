import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import {
  type TempDir,
  type TestIndex,
  type TestRegistry,
  type TestRelease,
  buildTestImage,
  buildTestIndex,
  buildTestRelease,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
} from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const now = Date.now();
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const makeKey = (name: string) =>
  generateKey({ engine, now, userIds: [`${name} <${name}@example.com>`], algorithm: "ed25519" });
/** The key that is known from the beginning, and the one that the release which it signed brings in. */
const [known, carried] = await Promise.all([makeKey("known"), makeKey("carried")]);

/** A verification ConfigMap as a release carries it. */
function writeConfigMap(store: string, publicKey: Uint8Array | string): string {
  const key = Buffer.from(publicKey).toString();
  return JSON.stringify({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: "release-verification",
      namespace: "openshift-config-managed",
      annotations: { "release.openshift.io/verification-config-map": "" },
    },
    data: { "verifier-public-key-carried": key, "store-own": store },
  });
}

interface Stage {
  readonly registry: TestRegistry;
  readonly dir: TempDir;
  readonly run: (...args: readonly string[]) => Promise<SignetRun>;
  /** Pushes a release, or an index, and says by which name it is known. */
  readonly push: (
    image: TestRelease["image"] | TestIndex,
    signedBy?: { readonly secretKey: string },
  ) => Promise<string>;
  /** A release whose manifests are these. */
  readonly build: (version: string, manifests?: Readonly<Record<string, string>>) => Promise<TestRelease>;
}

async function makeStage(t: TestContext): Promise<Stage> {
  const registry = await startTestRegistry();
  t.after(() => registry.dispose());
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  writeFileSync(dir.join("known.pub"), known.publicKey);
  writeFileSync(dir.join("carried.pub"), carried.publicKey);
  return {
    registry,
    dir,
    run: (...args) => runSignet(["release", ...args, "--tls-verify=false"], { env: { HOME: dir.path } }),
    async build(version, manifests) {
      const repository = `${registry.host}/dev/components`;
      const release = await buildTestRelease({
        repository,
        count: 2,
        version,
        ...(manifests === undefined ? {} : { manifests }),
      });
      for (const component of release.components)
        await pushTestImage(registry, `dev/components@${component.digest}`, component);
      return release;
    },
    async push(image, signedBy) {
      await pushTestImage(registry, `dev/release@${image.digest}`, image);
      if (signedBy !== undefined) {
        const signer = await openSecretKey(encode(signedBy.secretKey), { engine, now });
        const { bytes } = await createSignature(image.manifest, `${registry.host}/dev/release:x`, signer, {
          engine,
          now,
        });
        const folder = dir.join("store", image.digest.replace(":", "="));
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, "signature-1"), bytes);
      }
      return `${registry.host}/dev/release@${image.digest}`;
    },
  };
}

describe("--trust-from-release", () => {
  test("judges a release by the keys and stores that another one carries, once other trust has accepted that one", async (t) => {
    const { run, build, push, dir } = await makeStage(t);
    const store = `file://${dir.join("store")}`;
    const map = writeConfigMap(store, carried.publicKey);
    // A manifest that speaks of the annotation is not the ConfigMap, and later ones do not count.
    const running = await build("4.99.0", {
      "0000_10_note.yaml":
        "# release.openshift.io/verification-config-map\nkind: Note\napiVersion: v1\nmetadata: {name: x}\n",
      "0000_90_verification_configmap.json": map,
      "0000_95_verification_configmap.json": "{}",
      "below/0000_00_verification_configmap.json": writeConfigMap("https://nowhere.example.com", known.publicKey),
    });
    const next = await build("4.99.1");
    const runningName = await push(running.image, known);
    const nextName = await push(next.image, carried);
    const base = ["--key", dir.join("known.pub"), "--store", store];

    assert.equal((await run("verify", nextName, ...base)).status, 1);
    const { status, stdout, stderr } = await run("verify", nextName, ...base, "--trust-from-release", runningName);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /trust {6}the config map openshift-config-managed\/release-verification of docker:/);
    assert.match(stdout, /which the files and stores that were named accepts/);
    assert.match(stdout, /keyring {4}carried: signed by [0-9A-F]{40} \(carried/);
    assert.match(stdout, /images {5}2 equal/);

    const json = await run("verify", "--shallow", nextName, ...base, "--trust-from-release", runningName, "-o", "json");
    const { trust } = JSON.parse(json.stdout) as {
      trust: { release: { digest: string; keyrings: readonly { satisfied: boolean }[] } };
    };
    assert.equal(trust.release.digest, running.image.digest);
    assert.deepEqual(
      trust.release.keyrings.map(({ satisfied }) => satisfied),
      [true],
    );

    const shown = await run("trust", ...base.slice(0, 2), "--store", store, "--trust-from-release", runningName);
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(shown.stdout, /carried@example\.com/);
    assert.doesNotMatch(shown.stdout, /known@example\.com/);
    // Without a store on the command line the carried one counts.
    const map2 = dir.join("base.json");
    writeFileSync(map2, writeConfigMap(store, known.publicKey));
    const own = await run("trust", "--trust-configmap", map2, "--trust-from-release", runningName, "-o", "json");
    assert.deepEqual((JSON.parse(own.stdout) as { stores: unknown }).stores, [{ name: "own", url: store }]);
  });

  test("reads nothing of a release that no other trust accepts: a release cannot vouch for itself", async (t) => {
    const { run, build, push, dir, registry } = await makeStage(t);
    const store = `file://${dir.join("store")}`;
    const impostor = await build("4.99.0", { "verification.json": writeConfigMap(store, carried.publicKey) });
    const name = await push(impostor.image, carried);
    const next = await build("4.99.1");
    const nextName = await push(next.image, carried);
    const base = ["--key", dir.join("known.pub"), "--store", store];
    for (const command of [["verify", nextName], ["trust"]]) {
      const { status, stdout, stderr } = await run(...command, ...base, "--trust-from-release", name);
      assert.equal(status, 1, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, /^error: .*whose trust is to be used, is not accepted by the files and stores/m);
      assert.match(stderr, /^hint: a release cannot vouch for itself/m);
    }
    assert.ok(!registry.log.some(({ path }) => path.includes("/blobs/")));
    // Red Hat's trust is the one that counts where none is named.
    assert.equal((await run("trust", "--store", store, "--trust-from-release", name)).status, 1);
    // Whether it is signed cannot be told.
    const folder = dir.join("store", impostor.image.digest.replace(":", "="));
    mkdirSync(join(folder, "signature-2"));
    const unknown = await run("trust", ...base, "--trust-from-release", name);
    assert.equal(unknown.status, 2);
    assert.match(unknown.stderr, /whose trust is to be used: no signature for keyring/);
  });

  test("refuses circles, also through a list, and names by tag", async (t) => {
    const { run, build, push, dir } = await makeStage(t);
    const store = `file://${dir.join("store")}`;
    const release = await build("4.99.0", { "verification.json": writeConfigMap(store, known.publicKey) });
    const name = await push(release.image, known);
    const list = buildTestIndex([release.image, await buildTestImage({ architecture: "arm64" })]);
    const listName = await push(list, known);
    const base = ["--key", dir.join("known.pub"), "--store", store];
    for (const [judged, vouching] of [
      [name, name],
      [listName, name],
      [name, listName],
      [listName, listName],
    ] as const) {
      const { status, stderr } = await run("verify", judged, ...base, "--trust-from-release", vouching);
      assert.equal(status, 64, stderr);
      assert.match(stderr, /a release cannot vouch for itself: both are sha256:/);
    }
    const shallow = await run("verify", "--shallow", release.image.digest, ...base, "--trust-from-release", listName);
    assert.equal(shallow.status, 64);
    const byTag = await run("trust", ...base, "--trust-from-release", `${name.split("@")[0]}:4.99.0`);
    assert.equal(byTag.status, 64);
    assert.match(byTag.stderr, /is named by its tag/);
  });

  test("refuses a release without the ConfigMap, and one whose first is malformed", async (t) => {
    const { run, build, push, dir } = await makeStage(t);
    const store = `file://${dir.join("store")}`;
    const good = writeConfigMap(store, known.publicKey);
    const bad = good.replace(store, "ftp://example.com");
    for (const [manifests, message] of [
      [{}, /carries no verification ConfigMap/],
      [{ "verification.txt": good }, /carries no verification ConfigMap/],
      [{ "0_verification.json": bad, "1_verification.json": good }, /must be a URL that begins with/],
      [
        { "0_verification.yaml": `a: b: release.openshift.io/verification-config-map`, "1.json": good },
        /0_verif.*:1: /,
      ],
    ] as const) {
      const { image } = await build("4.99.0", manifests);
      const { status, stderr } = await run(
        ...["trust", "--key", dir.join("known.pub"), "--store", store],
        ...["--trust-from-release", await push(image, known)],
      );
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
    }
  });
});
