import assert from "node:assert/strict";
import { test } from "node:test";
import { buildTestImage, httpPushTarget, pushTestImage } from "@signet/testkit";
import type { Database } from "../db/database.ts";
import { serveRegistry } from "../registry/serve.testing.ts";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { deleteBlob, deleteManifest } from "./deletion.ts";
import { addPending } from "./pending.ts";
import { findServed } from "./repositories.ts";
import { changeRepositorySettings } from "./repository-settings.ts";

/** What a deletion may change. */
async function readContent({ read }: Database): Promise<unknown> {
  return [
    await read.selectFrom("membership").selectAll().orderBy("unit_key").execute(),
    await read.selectFrom("pending").selectAll().orderBy("unit_key").execute(),
    await read.selectFrom("repository").select(["latest_version", "change_number"]).execute(),
  ];
}

forEachStorage((make) => {
  test("a manifest whose tag a rule fixes is not deleted, and nothing of the attempt is left", async (t) => {
    const storage = await (await make(t))?.open();
    if (storage === undefined) return;
    const { database } = storage;
    await using registry = await serveRegistry(undefined, {}, storage);
    const image = await buildTestImage();
    for (const tag of ["latest", "v1"]) await pushTestImage(httpPushTarget(registry.url), `a:${tag}`, image);
    await changeRepositorySettings(database, "a", { immutableTags: ["v*"] }, "tester", registry.now());
    const served = (await findServed(database.read, "a"))!;
    // As after a push by digest of what is there already.
    const add = (kind: "blob" | "manifest", key: string): Promise<void> =>
      database.write((writer) => addPending(writer, served.repositoryId, kind, key, registry.now()));
    await add("manifest", image.digest);
    const before = await readContent(database);
    await assert.rejects(deleteManifest(database, served, image.digest, "tester", registry.now()), {
      problem: "tag-immutable",
    });
    assert.deepEqual(await readContent(database), before);

    await changeRepositorySettings(database, "a", { immutableTags: [] }, "tester", registry.now());
    await deleteManifest(database, served, image.digest, "tester", registry.now());
    assert.equal((await registry.request("GET", "/v2/a/manifests/v1")).status, 404);
    const pending = await database.read.selectFrom("pending").select("unit_key").execute();
    assert.deepEqual(pending, [], "what is deleted is not pending either");
  });

  test("a blob goes from the version and from what is pending, and stays while a manifest names it", async (t) => {
    const storage = await (await make(t))?.open();
    if (storage === undefined) return;
    const { database } = storage;
    await using registry = await serveRegistry(undefined, {}, storage);
    const image = await buildTestImage();
    await pushTestImage(httpPushTarget(registry.url), "a:1", image);
    const served = (await findServed(database.read, "a"))!;
    const remove = (digest: string): Promise<void> => deleteBlob(database, served, digest, "tester", registry.now());
    const before = await readContent(database);
    await assert.rejects(remove(image.config.digest), { problem: "blob-in-use" });
    assert.deepEqual(await readContent(database), before);
    const digest = "sha256:cfba3c1ba2d7e10bf6d4b6d2f7a2d3a1c1e4f2fcb04d3ab0f1b2f1b5e9f3f7e0";
    await assert.rejects(remove(digest), { problem: "blob-unknown" });
    const other = await buildTestImage({ seed: 2 });
    await registry.request("POST", `/v2/a/blobs/uploads/?digest=${other.config.digest}`, other.config.bytes);
    await remove(other.config.digest);
    await assert.rejects(remove(other.config.digest), { problem: "blob-unknown" });
    assert.equal((await registry.request("HEAD", `/v2/a/blobs/${other.config.digest}`)).status, 404);
  });
});
