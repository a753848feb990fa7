import assert from "node:assert/strict";
import { type TestContext, describe, it } from "node:test";
import { type Digest, SignetError, parseDigest, parseReference } from "@signet/core";
import {
  type TestImage,
  type TestRegistry,
  type TestRegistryOptions,
  buildTestImage,
  buildTestIndex,
  pushTestImage,
  startTestRegistry,
} from "@signet/testkit";
import { failsWith, makeRegistryClients } from "@signet/testkit/hostile-registry";
import { extensionStore } from "../stores/extension-store.ts";
import { type DockerOptions, openDockerDestination, openDockerSource } from "./docker.ts";
import { parseImageName } from "./image-name.ts";
import type { ImageName, RawManifest } from "./transport.ts";

const signature = (text: string): Uint8Array => new Uint8Array([0xa3, ...new TextEncoder().encode(text)]);

async function start(
  t: TestContext,
  options: TestRegistryOptions = {},
): Promise<{ registry: TestRegistry; docker: DockerOptions }> {
  const registry = await startTestRegistry({ signaturesExtension: true, ...options });
  t.after(() => registry.dispose());
  const clients = makeRegistryClients(t);
  return { registry, docker: { clients, chooseSignatureStore: (client) => extensionStore(client) } };
}

function rawManifest(image: {
  readonly manifest: Uint8Array;
  readonly digest: string;
  readonly mediaType: string;
}): RawManifest {
  return { bytes: image.manifest, digest: parseDigest(image.digest), declaredMediaType: image.mediaType };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** What the registry was asked to do, without reading: `METHOD last part of the path`. */
function changes(registry: TestRegistry): string[] {
  return registry.log
    .filter(({ method }) => method === "PUT" || method === "DELETE")
    .map(({ method, path }) => `${method} ${path.replace(/^.*\/team\/[^/]+\//, "")}`);
}

const hex = (digest: string): string => digest.slice("sha256:".length);

async function putAll(destination: Awaited<ReturnType<typeof openDockerDestination>>, image: TestImage): Promise<void> {
  for (const { digest, bytes } of [image.config, ...image.layers]) {
    const descriptor = { digest: parseDigest(digest), size: bytes.length };
    if (!(await destination.hasBlob(descriptor))) await destination.putBlob(descriptor, once(bytes));
  }
}

void describe("docker:// source", () => {
  void it("T1, CVE-2022-47633: looks at a tag once, whatever the registry answers the second time", async (t) => {
    const { registry, docker } = await start(t);
    const [good, evil] = [await buildTestImage({ seed: 1 }), await buildTestImage({ seed: 2 })];
    await pushTestImage(registry, "team/app:1", good);
    await using source = await openDockerSource(await parseImageName(`docker://${registry.host}/team/app:1`), docker);
    const [first, second] = await Promise.all([source.manifest(), source.manifest()]);
    await pushTestImage(registry, "team/app:1", evil);
    for (const manifest of [first, second, await source.manifest()]) assert.equal(manifest.digest, good.digest);
    assert.equal(registry.log.filter(({ path }) => path.endsWith("/manifests/1")).length, 1);
  });

  void it("asks for an image by its digest where the name has one, and refuses any other", async (t) => {
    const { registry, docker } = await start(t);
    const [good, evil] = [await buildTestImage({ seed: 1 }), await buildTestImage({ seed: 2 })];
    await pushTestImage(registry, "team/app:1", good);
    const name = await parseImageName(`docker://${registry.host}/team/app@${good.digest}`);
    assert.equal((await (await openDockerSource(name, docker)).manifest()).digest, good.digest);
    registry.tamper("team/app", good.digest, () => evil.manifest);
    const source = await openDockerSource(name, docker);
    await assert.rejects(source.manifest(), failsWith("digest-mismatch"));
  });

  void it("asks again after a failure", async (t) => {
    const { registry, docker } = await start(t);
    await pushTestImage(registry, "team/app:1", await buildTestImage());
    registry.addFaults({ path: /manifests/, status: 500 });
    const source = await openDockerSource(await parseImageName(`docker://${registry.host}/team/app:1`), docker);
    await assert.rejects(source.manifest());
    await source.manifest();
  });

  void it("refuses a name with both a tag and a digest, as the reference implementation does", async (t) => {
    const { docker } = await start(t);
    const digest = `sha256:${"1".repeat(64)}`;
    const reference = parseReference(`r.test/a:1@${digest}`);
    const name: ImageName = {
      transport: "docker",
      text: "docker://…",
      reference,
      policyIdentity: { transport: "docker", identity: "", namespaces: [] },
    };
    for (const open of [openDockerSource, openDockerDestination]) {
      await assert.rejects(
        open(name, docker),
        (error) => error instanceof SignetError && error.code === "image-name-malformed" && error.hint !== undefined,
      );
    }
  });

  void it("says what is missing when it was opened without a registry client", async () => {
    const name = await parseImageName("docker://r.test/a:1");
    await assert.rejects(openDockerSource(name, undefined), failsWith("transport-unsupported"));
  });

  void it("T12: does not take an unreachable registry for one without signatures", async (t) => {
    const { registry, docker } = await start(t);
    const source = await openDockerSource(await parseImageName(`docker://${registry.host}/team/app:1`), docker);
    await registry.dispose();
    await assert.rejects(source.signatures(parseDigest(`sha256:${"1".repeat(64)}`)), failsWith("registry-unreachable"));
  });
});

void describe("docker:// destination", () => {
  void it("puts the tag last, when blobs, instances and signatures are there", async (t) => {
    const { registry, docker } = await start(t);
    const image = await buildTestImage();
    const index = buildTestIndex([image]);
    await using destination = await openDockerDestination(
      await parseImageName(`docker://${registry.host}/team/app:1`),
      docker,
    );
    assert.equal(await destination.signaturesUnsupported(), undefined);
    await putAll(destination, image);
    await destination.putManifest(rawManifest(image), { instance: true });
    await destination.putManifest(rawManifest(index));
    await destination.putSignatures([signature("instance")], image.digest as Digest, { top: false });
    await destination.putSignatures([signature("list")], index.digest as Digest, { top: true });
    assert.equal(registry.manifest("team/app", "1"), undefined);
    await destination.commit();
    assert.deepEqual(
      changes(registry).filter((change) => !change.includes("blobs")),
      [
        `PUT manifests/sha256:${hex(image.digest)}`,
        `PUT signatures/sha256:${hex(image.digest)}`,
        `PUT manifests/sha256:${hex(index.digest)}`,
        `PUT signatures/sha256:${hex(index.digest)}`,
        "PUT manifests/1",
      ],
    );
    assert.deepEqual(Buffer.from(registry.manifest("team/app", "1")!.bytes), Buffer.from(index.manifest));
  });

  void it("adds to signatures that the registry cannot remove, so that an image can be signed and pushed again", async (t) => {
    const { registry, docker } = await start(t);
    const image = await buildTestImage();
    for (const text of ["first push", "second push", "second push"]) {
      await using destination = await openDockerDestination(
        await parseImageName(`docker://${registry.host}/team/app:1`),
        docker,
      );
      await putAll(destination, image);
      await destination.putManifest(rawManifest(image));
      await destination.putSignatures([signature(text)], image.digest as Digest, { top: true });
      await destination.commit();
    }
    assert.equal(registry.signatures("team/app", image.digest).length, 2);
  });

  void it("puts an image under its digest where the name has one, and refuses another image there", async (t) => {
    const { registry, docker } = await start(t);
    const [image, other] = [await buildTestImage({ seed: 1 }), await buildTestImage({ seed: 2 })];
    const name = await parseImageName(`docker://${registry.host}/team/app@${image.digest}`);
    await using destination = await openDockerDestination(name, docker);
    await putAll(destination, image);
    await assert.rejects(destination.putManifest(rawManifest(other)), failsWith("digest-mismatch"));
    await destination.putManifest(rawManifest(image));
    await destination.commit();
    assert.deepEqual(
      changes(registry).filter((change) => change.includes("manifests")),
      [`PUT manifests/${image.digest}`],
    );
  });

  void it("takes blobs over from other repositories of the registry instead of sending them", async (t) => {
    const { registry, docker } = await start(t);
    const image = await buildTestImage();
    await pushTestImage(registry, "team/base:1", image);
    const name = await parseImageName(`docker://${registry.host}/team/app:1`);
    await using destination = await openDockerDestination(name, {
      ...docker,
      mountFrom: ["team/app", "no/such", "team/base"],
    });
    await putAll(destination, image);
    await destination.putManifest(rawManifest(image));
    await destination.commit();
    assert.equal(registry.log.filter(({ method }) => method === "PATCH").length, 0);
    assert.ok(registry.blob("team/app", image.layers[0]!.digest) !== undefined);
  });

  void it("GHSA-qq97-vm5h-rrhg: does not pass on a manifest that could be taken for a list", async (t) => {
    const { registry, docker } = await start(t);
    const image = await buildTestImage();
    const confused = new TextEncoder().encode(
      JSON.stringify({ ...(JSON.parse(Buffer.from(image.manifest).toString()) as object), manifests: [] }),
    );
    await using destination = await openDockerDestination(
      await parseImageName(`docker://${registry.host}/team/app:1`),
      docker,
    );
    await destination.putManifest({ bytes: confused, digest: image.digest as Digest, declaredMediaType: undefined });
    await assert.rejects(destination.commit(), failsWith("manifest-malformed"));
    assert.equal(registry.manifest("team/app", "1"), undefined);
  });
});
