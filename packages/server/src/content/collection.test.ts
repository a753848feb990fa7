import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { buildTestImage, buildTestIndex, httpPushTarget, pushTestImage } from "@signet/testkit";
import { type ServedRegistry, serveRegistry } from "../registry/serve.testing.ts";
import { type Finding, checkContent } from "./check.ts";
import { type Collected, DEFAULT_GRACE_MS, collectGarbage } from "./collection.ts";
import { repairFinding } from "./repair.ts";

async function collect(registry: ServedRegistry, ahead: number): Promise<Collected> {
  const { database, blobs } = registry;
  return await collectGarbage(database, blobs, { now: Date.now() + ahead, withStrays: true });
}

async function check(registry: ServedRegistry, straysBefore: number = Date.now() + 1_000): Promise<Finding[]> {
  const { database, blobs } = registry;
  const findings: Finding[] = [];
  for await (const finding of checkContent(database, blobs, { withContent: true, straysBefore }))
    findings.push(finding);
  return findings;
}

async function countPlaces(registry: ServedRegistry): Promise<number> {
  let count = 0;
  for await (const place of registry.blobs.list()) count += place.size < 0 ? 0 : 1;
  return count;
}

const later = DEFAULT_GRACE_MS + 60_000;

void describe("garbage collection", () => {
  void it("removes what a deleted image leaves, after its grace time, and nothing else", async () => {
    await using registry = await serveRegistry();
    const [kept, gone] = await Promise.all([buildTestImage({ seed: 1 }), buildTestImage({ seed: 2, layers: 3 })]);
    await pushTestImage(httpPushTarget(registry.url), "a:kept", kept);
    await pushTestImage(httpPushTarget(registry.url), "a:gone", gone);
    await pushTestImage(httpPushTarget(registry.url), "b:gone", gone);
    assert.equal((await registry.request("DELETE", `/v2/a/manifests/${gone.digest}`)).status, 202);
    assert.deepEqual(
      { ...(await collect(registry, later)), committedManifests: 0 },
      { committedManifests: 0, expiredUploads: 0, manifests: 0, signatures: 0, blobs: 0, bytes: 0, strays: 0 },
    );
    assert.equal((await registry.request("DELETE", `/v2/b/manifests/${gone.digest}`)).status, 202);
    assert.equal((await collect(registry, 0)).blobs, 0);
    const collected = await collect(registry, later);
    assert.deepEqual([collected.manifests, collected.blobs], [1, 4]);
    assert.equal(await countPlaces(registry), 1 + kept.layers.length);
    assert.equal((await registry.request("GET", "/v2/a/manifests/kept")).status, 200);
    assert.deepEqual(await check(registry), []);
    // What was collected can be pushed again.
    await pushTestImage(httpPushTarget(registry.url), "a:gone", gone);
    assert.deepEqual(await check(registry), []);
  });

  void it("commits what was pushed by digest alone, and gives up blobs that nothing names", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestImage({ seed: 3 });
    await pushTestImage(httpPushTarget(registry.url), `a@${image.digest}`, image);
    const stray = "nobody names me";
    await httpPushTarget(registry.url).putBlob("a", Buffer.from(stray));
    const collected = await collect(registry, later);
    assert.deepEqual([collected.committedManifests, collected.blobs, collected.bytes], [1, 1, stray.length]);
    await collect(registry, later * 100);
    assert.equal((await registry.request("GET", `/v2/a/manifests/${image.digest}`)).status, 200);
    for (const layer of image.layers)
      assert.equal((await registry.request("GET", `/v2/a/blobs/${layer.digest}`)).status, 200);
    assert.deepEqual(await check(registry), []);
  });

  void it("spares what an upload in flight is about to use", async () => {
    await using registry = await serveRegistry();
    const [first, second] = await Promise.all([buildTestImage({ seed: 4 }), buildTestImage({ seed: 5 })]);
    await pushTestImage(httpPushTarget(registry.url), "a:v1", first);
    await registry.request("DELETE", `/v2/a/manifests/${first.digest}`);
    // Long after, a client pushes the same blobs again, and its manifest only after a collection.
    registry.advance(later);
    for (const blob of [first.config, ...first.layers]) await httpPushTarget(registry.url).putBlob("a", blob.bytes);
    await collect(registry, later);
    await httpPushTarget(registry.url).putManifest("a", "v1", first.manifest, first.mediaType);
    await pushTestImage(httpPushTarget(registry.url), "a:v2", buildTestIndex([first, second]));
    assert.equal((await registry.request("GET", `/v2/a/blobs/${first.layers[0]!.digest}`)).status, 200);
    assert.deepEqual(await check(registry), []);
  });

  void it("spares the blobs of an image of which another one is still being sent, however long that takes", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestImage({ seed: 6, layers: 2 });
    const [large, ...others] = image.layers;
    assert.ok(large);
    const target = httpPushTarget(registry.url);
    for (const blob of [image.config, ...others]) await target.putBlob("a", blob.bytes);
    const location = (await registry.request("POST", "/v2/a/blobs/uploads/")).headers.get("location")!;
    assert.equal((await collect(registry, 5 * later)).blobs, 0);
    assert.equal((await registry.request("PUT", `${location}?digest=${large.digest}`, large.bytes)).status, 201);
    await target.putManifest("a", "v1", image.manifest, image.mediaType);
    assert.deepEqual(await check(registry), []);
    // For a day: on a repository that is always busy, too, what was given up goes.
    const stray = "nobody names me";
    await target.putBlob("a", Buffer.from(stray));
    await registry.request("POST", "/v2/a/blobs/uploads/");
    assert.equal((await collect(registry, 5 * later)).bytes, 0);
    assert.equal((await collect(registry, 26 * 60 * 60 * 1_000)).bytes, stray.length);
  });

  void it("spares a blob that a client found where another one had given up", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestImage({ seed: 7 });
    const [layer] = image.layers;
    assert.ok(layer);
    const target = httpPushTarget(registry.url);
    await target.putBlob("a", layer.bytes);
    registry.advance(later);
    assert.equal((await registry.request("HEAD", `/v2/a/blobs/${layer.digest}`)).status, 200);
    await target.putBlob("a", image.config.bytes);
    assert.equal((await collect(registry, later)).blobs, 0);
    await target.putManifest("a", "v1", image.manifest, image.mediaType);
    assert.deepEqual(await check(registry), []);
  });

  void it("ends uploads that nobody goes on with, and removes what a crash left", async () => {
    await using registry = await serveRegistry();
    const location = (await registry.request("POST", "/v2/a/blobs/uploads/")).headers.get("location")!;
    await registry.request("PATCH", location, "half");
    // Finished in the store, and the process killed before its row was written.
    const state = await registry.blobs.append(await registry.blobs.begin(), [Buffer.from("whole")] as never);
    await registry.blobs.finish(state);
    assert.deepEqual(
      (await check(registry)).map((one) => one.fault),
      ["stray-bytes"],
    );
    assert.equal((await collect(registry, later)).strays, 0);
    assert.equal((await registry.request("GET", location)).status, 204);
    const collected = await collect(registry, 26 * 60 * 60 * 1_000);
    assert.deepEqual([collected.expiredUploads, collected.strays], [1, 1]);
    assert.equal((await registry.request("GET", location)).status, 404);
    assert.equal(await countPlaces(registry), 0);
  });

  void it("may run again and again while clients push and delete", async () => {
    await using registry = await serveRegistry();
    const images = await Promise.all([1, 2, 3, 4].map((seed) => buildTestImage({ seed })));
    const { database, blobs } = registry;
    for (let round = 0; round < 12; round += 1) {
      // What earlier rounds left is old now, and what this one brings is young.
      registry.advance(later);
      let isDone = false;
      const clients = images.map(async (image, index) => {
        const path = `r${(index + round) % 2}`;
        await pushTestImage(httpPushTarget(registry.url), `${path}:t${index}`, image);
        assert.equal((await registry.request("GET", `/v2/${path}/manifests/t${index}`)).status, 200);
        const { status } = await registry.request("DELETE", `/v2/${path}/manifests/${image.digest}`);
        assert.equal(status, 202);
      });
      const collector = (async () => {
        while (!isDone) await collectGarbage(database, blobs, { now: registry.now(), withStrays: false });
      })();
      await Promise.all(clients).finally(() => (isDone = true));
      await collector;
    }
    registry.advance(later);
    await collectGarbage(database, blobs, { now: registry.now(), withStrays: true });
    assert.equal(await countPlaces(registry), 0);
    assert.deepEqual(await check(registry), []);
    assert.deepEqual(registry.failures, []);
  });
});

void describe("the check of what is stored", () => {
  async function breakAndCheck(
    damage: (registry: ServedRegistry) => Promise<void>,
    expected: readonly string[],
    afterRepair: readonly string[],
  ): Promise<void> {
    await using registry = await serveRegistry();
    const image = await buildTestImage({ layers: 2 });
    await pushTestImage(httpPushTarget(registry.url), "a:v1", image);
    assert.deepEqual(await check(registry), []);
    await damage(registry);
    const findings = await check(registry);
    assert.deepEqual(findings.map((one) => one.fault).toSorted(), expected);
    for (const finding of findings) await repairFinding(registry.database, registry.blobs, finding, Date.now());
    assert.deepEqual((await check(registry)).map((one) => one.fault).toSorted(), afterRepair);
    // A push of the same image heals all that it brings.
    await pushTestImage(httpPushTarget(registry.url), "a:v1", image);
    assert.equal((await registry.request("GET", `/v2/a/blobs/${image.layers[1]!.digest}`)).status, 200);
    assert.deepEqual(await check(registry), []);
  }

  const firstBlob = async ({ database }: ServedRegistry) =>
    await database.read.selectFrom("blob").selectAll().orderBy("digest").executeTakeFirstOrThrow();

  void it("finds bytes that are gone; a push brings them again", async () => {
    await breakAndCheck(
      async (registry) => await registry.blobs.remove((await firstBlob(registry)).location),
      ["blob-bytes-missing"],
      ["unit-missing"],
    );
  });

  void it("finds bytes that are others, of another size or the same", async () => {
    for (const change of [(size: number) => size, (size: number) => size + 1]) {
      await breakAndCheck(
        async (registry) => {
          const { digest, size, location } = await firstBlob(registry);
          const other = Buffer.alloc(change(size), "x");
          const state = await registry.blobs.append(await registry.blobs.begin(), [other] as never);
          const place = await registry.blobs.finish(state);
          await registry.database.write((writer) =>
            writer.updateTable("blob").set({ location: place }).where("digest", "=", digest).execute(),
          );
          await registry.blobs.remove(location);
        },
        ["blob-bytes-wrong"],
        ["unit-missing"],
      );
    }
  });

  void it("finds tags without their manifest, and versions without their row", async () => {
    await breakAndCheck(
      async ({ database }) =>
        await database.write(async (writer) => {
          await writer.deleteFrom("membership").where("unit_kind", "=", "manifest").execute();
          await writer.deleteFrom("repository_version").execute();
        }),
      ["reference-dangling", "version-missing"],
      [],
    );
  });

  void it("finds manifests with other bytes, which no repair invents", async () => {
    await using registry = await serveRegistry();
    await pushTestImage(httpPushTarget(registry.url), "a:v1", await buildTestImage());
    await registry.database.write((writer) =>
      writer
        .updateTable("manifest")
        .set({ bytes: Buffer.from("{}") })
        .execute(),
    );
    const [finding] = await check(registry);
    assert.equal(finding?.fault, "manifest-wrong");
    const outcome = await repairFinding(registry.database, registry.blobs, finding, Date.now());
    assert.equal(outcome.repaired, false);
  });
});
