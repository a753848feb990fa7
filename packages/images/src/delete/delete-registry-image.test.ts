import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type TestContext, describe, it } from "node:test";
import { StoreError } from "@signet/core";
import {
  type TempDir,
  type TestImage,
  type TestIndex,
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  httpPushTarget,
  makeTempDir,
  pushTestImage,
  requireTool,
  startDockerRegistry,
  startTestRegistry,
} from "@signet/testkit";
import { loadRegistriesD } from "../config/registries-d.ts";
import { RegistryClients } from "../registry/client.ts";
import { chooseSignatureStore } from "../stores/choose-store.ts";
import { parseImageName } from "../transports/image-name.ts";
import { deleteImage } from "./delete-image.ts";
import type { DeleteOptions, DeleteResult } from "./delete-options.ts";

interface Stage {
  readonly dir: TempDir;
  readonly remove: (name: string, options?: DeleteOptions) => Promise<DeleteResult>;
  /** The folder of a manifest's signatures in the lookaside store. */
  readonly folder: (repository: string, digest: string) => string;
  readonly sign: (repository: string, digest: string, count: number) => void;
}

async function makeStage(t: TestContext, section?: (dir: TempDir) => string): Promise<Stage> {
  const dir = makeTempDir("signet-delete-");
  t.after(() => dir.dispose());
  mkdirSync(dir.join("registries.d"));
  const text = section?.(dir) ?? `lookaside: "file://${dir.join("sig")}"`;
  writeFileSync(dir.join("registries.d/test.yaml"), `default-docker: {${text}}\n`);
  const host = { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" };
  const clients = new RegistryClients({ host, tlsVerify: false, retryTimes: 0 });
  t.after(() => clients.close());
  const registriesD = await loadRegistriesD({ host, directory: dir.join("registries.d") });
  const folder = (repository: string, digest: string): string =>
    dir.join("sig", `${repository}@${digest.replace(":", "=")}`);
  return {
    dir,
    folder,
    async remove(name, options = {}) {
      const open = {
        docker: {
          clients,
          chooseSignatureStore: async (
            client: Parameters<typeof chooseSignatureStore>[0],
            reference: Parameters<typeof chooseSignatureStore>[1],
          ) => (await chooseSignatureStore(client, reference, { registriesD, clients })).store,
        },
      };
      return deleteImage(await parseImageName(name), { open, ...options });
    },
    sign(repository, digest, count) {
      mkdirSync(folder(repository, digest), { recursive: true });
      for (let number = 1; number <= count; number++)
        writeFileSync(`${folder(repository, digest)}/signature-${number}`, `signature ${number}`);
    },
  };
}

async function startRegistry(t: TestContext, extension = false): Promise<TestRegistry> {
  const registry = await startTestRegistry({ signaturesExtension: extension });
  t.after(() => registry.dispose());
  return registry;
}

const deletions = (registry: TestRegistry): readonly string[] =>
  registry.log.filter(({ method }) => method === "DELETE").map(({ path }) => path);

async function makeList(): Promise<TestIndex> {
  return buildTestIndex([await buildTestImage(), await buildTestImage({ seed: 2, architecture: "arm64" })]);
}

void describe("deleteImage in a registry", () => {
  void it("deletes the manifest that the tag names, its other tags with it, then the signatures and their empty folder", async (t) => {
    const [stage, registry] = [await makeStage(t), await startRegistry(t)];
    const [image, other] = [await buildTestImage(), await buildTestImage({ seed: 2 })];
    for (const tag of ["1", "latest", "stable"]) await pushTestImage(registry, `team/app:${tag}`, image);
    await pushTestImage(registry, "team/app:other", other);
    stage.sign("team/app", image.digest, 3);
    stage.sign("team/app", other.digest, 1);
    const name = `docker://${registry.host}/team/app:1`;

    const planned = await stage.remove(name, { dryRun: true });
    assert.deepEqual(deletions(registry), []);
    assert.equal(readdirSync(stage.folder("team/app", image.digest)).length, 3);
    const done = await stage.remove(name);
    const expected = {
      image: name,
      digest: image.digest,
      manifests: [{ digest: image.digest, outcome: "deleted" }],
      otherTags: ["latest", "stable"],
      removed: [],
      warnings: [],
    };
    const store = `file://${stage.dir.join("sig")}`;
    const of = { digest: image.digest, store };
    assert.deepEqual(planned, { ...expected, dryRun: true, signatures: [{ ...of, removed: 0, left: 3 }] });
    assert.deepEqual(done, { ...expected, dryRun: false, signatures: [{ ...of, removed: 3, left: 0 }] });
    assert.deepEqual(deletions(registry), [`/v2/team/app/manifests/${image.digest}`]);
    assert.equal(registry.manifest("team/app", "stable"), undefined);
    assert.ok(!existsSync(stage.folder("team/app", image.digest)));
    assert.equal(registry.manifest("team/app", "other")?.digest, other.digest);
    assert.ok(existsSync(stage.folder("team/app", other.digest)));
    await assert.rejects(stage.remove(name), { code: "image-missing" });
  });

  void it("keeps the signatures where it is told to", async (t) => {
    const [stage, registry] = [await makeStage(t), await startRegistry(t)];
    const image = await buildTestImage();
    await pushTestImage(registry, "app:1", image);
    stage.sign("app", image.digest, 1);
    const result = await stage.remove(`docker://${registry.host}/app:1`, { keepSignatures: true });
    assert.deepEqual(result.signatures, []);
    assert.ok(existsSync(stage.folder("app", image.digest)));
  });

  void it("deletes nothing at all when the registry does not allow it, and a signed image stays signed", async (t) => {
    if (requireTool(t, "docker-registry") === undefined) return;
    const stage = await makeStage(t);
    await using registry = await startDockerRegistry({ deletion: false });
    const image = await buildTestImage();
    await pushTestImage(httpPushTarget(registry.url), "app:1", image);
    stage.sign("app", image.digest, 1);
    await assert.rejects(stage.remove(`docker://${registry.host}/app:1`), (error) => {
      assert.ok(error instanceof StoreError);
      assert.equal(error.status, 405);
      assert.match(error.message, /does not allow deleting \(HTTP 405\); nothing was deleted/);
      assert.match(error.hint!, /REGISTRY_STORAGE_DELETE_ENABLED=true/);
      return true;
    });
    assert.ok(existsSync(stage.folder("app", image.digest)));
  });

  void it("deletes from docker-registry, a list with its instances", async (t) => {
    if (requireTool(t, "docker-registry") === undefined) return;
    const stage = await makeStage(t);
    await using registry = await startDockerRegistry();
    const list = await makeList();
    await pushTestImage(httpPushTarget(registry.url), "app:1", list);
    for (const { digest } of [list, ...list.images]) stage.sign("app", digest, 2);
    const result = await stage.remove(`docker://${registry.host}/app:1`, { all: true });
    assert.deepEqual(
      result.manifests,
      [list, ...list.images].map(({ digest }) => ({ digest, outcome: "deleted" })),
    );
    for (const { digest } of [list, ...list.images]) {
      assert.ok(!existsSync(stage.folder("app", digest)));
      assert.equal((await fetch(`${registry.url}/v2/app/manifests/${digest}`)).status, 404);
    }
    assert.equal((await fetch(`${registry.url}/v2/app/manifests/1`)).status, 404);
  });

  void it("leaves instances alone without --all and says so, and those that other tags use in any case", async (t) => {
    const [stage, registry] = [await makeStage(t), await startRegistry(t)];
    const [first, second, third] = await Promise.all(
      ["amd64", "arm64", "s390x"].map((architecture, index) => buildTestImage({ seed: index + 1, architecture })),
    );
    const list = buildTestIndex([first!, second!, third!]);
    const push = async (): Promise<void> => {
      await pushTestImage(registry, "app:1", list);
      await pushTestImage(registry, "app:2", buildTestIndex([second!]));
      await pushTestImage(registry, "app:first", first!);
    };
    await push();
    const without = await stage.remove(`docker://${registry.host}/app:1`);
    assert.match(without.warnings[0]!, /the 3 instances of the list stay/);
    assert.deepEqual(deletions(registry), [`/v2/app/manifests/${list.digest}`]);
    await push();
    const result = await stage.remove(`docker://${registry.host}/app:1`, { all: true });
    assert.deepEqual(
      result.manifests.map(({ outcome }) => outcome),
      ["deleted", "shared", "shared", "deleted"],
    );
    assert.match(result.warnings.join("\n"), /instance sha256:[0-9a-f]+ stays: first uses it\n.* stays: 2 uses it/);
    assert.equal(registry.manifest("app", second!.digest)?.digest, second!.digest);
    assert.equal(registry.manifest("app", third!.digest), undefined);
  });

  void it("refuses --all when it cannot be told who uses the instances", async (t) => {
    const [stage, registry] = [await makeStage(t), await startRegistry(t)];
    const list = await makeList();
    await pushTestImage(registry, "app:1", list);
    registry.addFaults({ path: /tags\/list/, status: 403, times: Infinity });
    const name = `docker://${registry.host}/app:1`;
    await assert.rejects(stage.remove(name, { all: true }), { code: "destination-unsuitable", hint: /without --all/ });
    assert.deepEqual(deletions(registry), []);
    const result = await stage.remove(name);
    assert.match(result.warnings[0]!, /does not list its tags/);
  });

  void it("says what is left when signatures cannot be removed, and the digest completes it", async (t) => {
    const [stage, registry] = [await makeStage(t), await startRegistry(t)];
    const image = await buildTestImage();
    await pushTestImage(registry, "app:1", image);
    stage.sign("app", image.digest, 2);
    // A folder where the lock of the store should lie: nothing can be written there.
    mkdirSync(`${stage.folder("app", image.digest)}/.signet.lock`);
    const repository = `${registry.host}/app`;
    await assert.rejects(stage.remove(`docker://${repository}:1`), (error) => {
      assert.ok(error instanceof StoreError);
      assert.match(error.message, /^the manifest is deleted, its signatures are not: /);
      assert.ok(error.message.includes(image.digest));
      assert.ok(error.hint!.includes(`signet delete ${repository}@${image.digest}`));
      return true;
    });
    assert.equal(registry.manifest("app", "1"), undefined);
    rmdirSync(`${stage.folder("app", image.digest)}/.signet.lock`);
    const result = await stage.remove(`docker://${repository}@${image.digest}`);
    assert.deepEqual(result.manifests, [{ digest: image.digest, outcome: "gone" }]);
    assert.equal(result.signatures[0]!.removed, 2);
    assert.ok(!existsSync(stage.folder("app", image.digest)));
    await assert.rejects(stage.remove(`docker://${repository}@${image.digest}`), { code: "image-missing" });
  });

  void it("says what is left when an instance cannot be deleted, and how to complete it", async (t) => {
    const [stage, registry] = [await makeStage(t), await startRegistry(t)];
    const list = await makeList();
    await pushTestImage(registry, "app:1", list);
    registry.addFaults({ method: "DELETE", from: 2, status: 500 });
    await assert.rejects(stage.remove(`docker://${registry.host}/app:1`, { all: true }), (error) => {
      assert.ok(error instanceof StoreError);
      const [first, second] = list.images.map(({ digest }) => digest);
      assert.ok(error.message.includes(`deleted are ${list.digest}; left are ${first}, ${second}`), error.message);
      assert.ok(error.hint!.includes(`signet delete ${registry.host}/app@${second}`));
      return true;
    });
  });

  void it("says honestly what became of signatures behind the signatures API", async (t) => {
    const [stage, registry] = [await makeStage(t), await startRegistry(t, true)];
    const image = await buildTestImage();
    await pushTestImage(registry, "app:1", image);
    const { digest } = image;
    const content = Buffer.from([0xa3, 1]).toString("base64");
    const put = await fetch(`${registry.url}/extensions/v2/app/signatures/${digest}`, {
      method: "PUT",
      body: JSON.stringify({ schemaVersion: 2, name: `${digest}@${"1".repeat(32)}`, type: "atomic", content }),
    });
    assert.equal(put.status, 201);
    const planned = await stage.remove(`docker://${registry.host}/app:1`, { dryRun: true });
    assert.match(planned.warnings[0]!, /1 signatures of .* cannot be removed through the API/);
    const result = await stage.remove(`docker://${registry.host}/app:1`);
    assert.deepEqual(
      result.signatures.map(({ removed, left }) => [removed, left]),
      [[1, 0]],
    );
  });

  void it("deletes nothing when there are signatures that can only be read, unless they are to stay", async (t) => {
    const registry = await startRegistry(t);
    const image = await buildTestImage();
    await pushTestImage(registry, "app:1", image);
    const server = createServer((request, response) => {
      response.statusCode = request.url!.endsWith("signature-1") ? 200 : 404;
      response.end(Buffer.from([0xa3, 1]));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const { port } = server.address() as { port: number };
    const stage = await makeStage(t, () => `lookaside: "http://127.0.0.1:${port}/s"`);
    await assert.rejects(stage.remove(`docker://${registry.host}/app:1`), {
      code: "signature-store-unwritable",
      message: /nothing was deleted/,
      hint: /--keep-signatures/,
    });
    assert.deepEqual(deletions(registry), []);
    await stage.remove(`docker://${registry.host}/app:1`, { keepSignatures: true });

    // Written elsewhere than read: what is still served is said.
    await pushTestImage(registry, "app:1", image);
    const staging = await makeStage(
      t,
      (dir) => `lookaside: "http://127.0.0.1:${port}/s", lookaside-staging: "file://${dir.join("sig")}"`,
    );
    staging.sign("app", image.digest, 1);
    const result = await staging.remove(`docker://${registry.host}/app:1`);
    assert.match(result.warnings[0]!, /still serves 1 signatures .*publish/);
    assert.deepEqual(
      result.signatures.map(({ removed, left }) => [removed, left]),
      [[1, 1]],
    );
  });

  void it("takes along what lies beside the image, tells of it in a dry run, and finishes a deletion that was cut short", async (t) => {
    const [stage, registry] = [await makeStage(t), await startRegistry(t)];
    const image: TestImage = await buildTestImage();
    await pushTestImage(registry, "app:1", image);
    const tag = `${image.digest.replace(":", "-")}.sig`;
    const encode = (value: object): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
    const config = encode({});
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const attachment = encode({
      schemaVersion: 2,
      mediaType,
      config: {
        mediaType: "application/vnd.oci.image.config.v1+json",
        size: config.length,
        digest: registry.putBlob("app", config),
      },
      layers: [],
    });
    registry.putManifest("app", tag, attachment, mediaType);
    const planned = await stage.remove(`docker://${registry.host}/app:1`, { dryRun: true });
    assert.deepEqual(planned.removed, [`tag ${tag}`]);
    assert.ok(registry.manifest("app", tag) !== undefined);

    await stage.remove(`docker://${registry.host}/app:1`, { keepSignatures: true });
    assert.ok(registry.manifest("app", tag) !== undefined);
    const result = await stage.remove(`docker://${registry.host}/app@${image.digest}`);
    assert.deepEqual(result.removed, [`tag ${tag}`]);
    assert.equal(registry.manifest("app", tag), undefined);
    await assert.rejects(stage.remove(`docker://${registry.host}/app@${image.digest}`), { code: "image-missing" });
  });

  void it("does not look at signature files of others in the folder", async (t) => {
    const [stage, registry] = [await makeStage(t), await startRegistry(t)];
    const image = await buildTestImage();
    await pushTestImage(registry, "app:1", image);
    stage.sign("app", image.digest, 1);
    writeFileSync(`${stage.folder("app", image.digest)}/README`, "ours");
    await stage.remove(`docker://${registry.host}/app:1`);
    assert.equal(readFileSync(`${stage.folder("app", image.digest)}/README`, "utf8"), "ours");
    assert.deepEqual(readdirSync(stage.folder("app", image.digest)), ["README"]);
  });
});
