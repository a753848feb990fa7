import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { buildTestImage, httpPushTarget, pushTestImage } from "@signet/testkit";
import { bindRole, listRoleBindings } from "../access/role-bindings.ts";
import { serveRegistry } from "../registry/serve.testing.ts";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { checkContent } from "./check.ts";
import { DEFAULT_GRACE_MS, collectGarbage } from "./collection.ts";
import { deleteRepository } from "./repository-deletion.ts";
import { Uploads } from "./uploads.ts";

const later = DEFAULT_GRACE_MS + 60_000;

forEachStorage(
  (make) => {
    test("what no other repository holds goes with the next collection, and nothing else", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const { database, blobs } = storage;
      await using registry = await serveRegistry(undefined, {}, storage);
      const target = httpPushTarget(registry.url);
      const [shared, own] = await Promise.all([buildTestImage({ seed: 1 }), buildTestImage({ seed: 2, layers: 2 })]);
      await pushTestImage(target, "a:shared", shared);
      await pushTestImage(target, "a:own", own);
      await pushTestImage(target, "b:shared", shared);
      // Read before, so that an answer is kept.
      assert.equal((await registry.request("GET", `/v2/a/manifests/${own.digest}`)).status, 200);
      const deleted = await deleteRepository(database, blobs, "a", "tester", registry.now());
      assert.deepEqual(deleted, { tags: 2, manifests: 2, signatures: 0, roles: 0, uploads: 0 });
      assert.equal((await registry.request("GET", `/v2/a/manifests/${own.digest}`)).code, "NAME_UNKNOWN");
      for (const table of ["membership", "repository_version", "pending", "distribution"] as const) {
        const rows = await database.read.selectFrom(table).select("repository_id").distinct().execute();
        assert.ok(rows.length <= 1, table);
      }
      const now = registry.now() + later;
      const collected = await collectGarbage(database, blobs, { now, withStrays: true });
      assert.deepEqual([collected.manifests, collected.blobs], [1, 3]);
      assert.equal((await registry.request("GET", "/v2/b/manifests/shared")).status, 200);
      const options = { withContent: true, straysBefore: registry.now() + 1_000 };
      for await (const finding of checkContent(database, blobs, options)) assert.fail(JSON.stringify(finding));
    });

    test("every path under which it is served goes, with the roles on each; those on namespaces stay", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const { database, blobs } = storage;
      await using registry = await serveRegistry(undefined, {}, storage);
      await pushTestImage(httpPushTarget(registry.url), "a/b:1", await buildTestImage());
      const { id } = await database.read.selectFrom("repository").select("id").executeTakeFirstOrThrow();
      const pinned = { path: "a/b-1.0", repository_id: id, version: 1, created_at: 0 };
      await database.write(async (writer) => void (await writer.insertInto("distribution").values(pinned).execute()));
      assert.equal((await registry.request("GET", "/v2/a/b-1.0/tags/list")).status, 200);
      const reader = { subject: { kind: "anonymous" }, role: "reader" } as const;
      for (const path of ["a/b", "a/b-1.0", "a/c"])
        await bindRole(database, { ...reader, targetKind: "repository", target: path }, 0);
      await bindRole(database, { ...reader, targetKind: "namespace", target: "a" }, 0);
      assert.equal((await deleteRepository(database, blobs, "a/b", "tester", 0)).roles, 2);
      assert.equal((await registry.request("GET", "/v2/a/b-1.0/tags/list")).status, 404);
      const left = (await listRoleBindings(database.read)).map(({ targetKind, target }) => `${targetKind} ${target}`);
      assert.deepEqual(left, ["repository a/c", "namespace a"]);
    });

    test("an upload whose bytes are coming in meanwhile ends, and leaves nothing that collection does not find", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const { database, blobs } = storage;
      const uploads = new Uploads(database, blobs);
      const upload = await uploads.begin("a", "tester", 0);
      const arrived = Promise.withResolvers<void>();
      const isDeleted = Promise.withResolvers<void>();
      async function* chunks(): AsyncGenerator<Uint8Array> {
        yield Buffer.from("first");
        arrived.resolve();
        await isDeleted.promise;
        yield Buffer.from("second");
      }
      const appended = uploads.append(upload, chunks(), 1);
      await arrived.promise;
      assert.equal((await deleteRepository(database, blobs, "a", "tester", 2)).uploads, 1);
      isDeleted.resolve();
      await assert.rejects(appended, { name: "ContentError", problem: "upload-conflict" });
      await assert.rejects(uploads.find("a", upload.id), { problem: "upload-unknown" });
      assert.equal((await database.read.selectFrom("repository").select("id").execute()).length, 0);
      const threeDays = 3 * 24 * 60 * 60 * 1_000;
      await collectGarbage(database, blobs, { now: Date.now() + threeDays, withStrays: true });
      const options = { withContent: true, straysBefore: Date.now() + 1_000 };
      for await (const finding of checkContent(database, blobs, options)) assert.fail(JSON.stringify(finding));
    });

    test("beside pushes to it no request fails in the server, and what was acknowledged last is whole", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const { database, blobs } = storage;
      await using registry = await serveRegistry(undefined, {}, storage);
      const images = await Promise.all([3, 4, 5].map((seed) => buildTestImage({ seed })));
      const target = httpPushTarget(registry.url);
      let isPushing = true;
      const pushes = images.map(async (image, index) => {
        for (let count = 0; count < 8; count += 1)
          // A repository that goes in the middle is a client's matter: it pushes again.
          await pushTestImage(target, `a:${index}`, image).catch((error: unknown) =>
            assert.match((error as Error).message, /: 40[49] /),
          );
      });
      const deleting = (async () => {
        while (isPushing) {
          await deleteRepository(database, blobs, "a", "tester", registry.now()).catch((error: unknown) =>
            assert.match((error as Error).message, /there is no repository/),
          );
          // SQLite answers without ever going through the event loop: requests must come between.
          await setImmediate();
        }
      })();
      await Promise.all(pushes);
      isPushing = false;
      await deleting;
      assert.deepEqual(registry.failures, []);
      for (const [index, image] of images.entries()) await pushTestImage(target, `a:${index}`, image);
      assert.equal((await registry.request("GET", "/v2/a/manifests/2")).status, 200);
    });
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "s3"],
  ],
);
