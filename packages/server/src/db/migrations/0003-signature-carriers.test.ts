import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import { buildTestImage, httpPushTarget, pushTestAttachments, pushTestImage } from "@signet/testkit";
import { PATH, bundle, bundleType, cosignPayload, isClean, list, refer } from "../../registry/carried.testing.ts";
import { serveRegistry } from "../../registry/serve.testing.ts";
import { forEachStorage } from "../../storage-pairs.testing.ts";
import { undoSignatureCarriers } from "./rollback.testing.ts";

forEachStorage(
  (make, pair) => {
    test("what carried signatures in a database from before carries them still, each as long as it is there", async (t) => {
      const storage = await make(t);
      if (storage === undefined) return;
      const image = await buildTestImage();
      const payloads = ["a", "b"].map((name) => ({ payload: cosignPayload(image.digest, `r.example.com/${name}`) }));
      const tag = `${image.digest.replace(":", "-")}.sig`;
      const before = await storage.open();
      let bundles: readonly string[] = [];
      {
        await using registry = await serveRegistry(undefined, {}, before);
        const target = httpPushTarget(registry.url);
        for (const path of [PATH, "team/other"]) {
          await pushTestImage(target, `${path}:1`, image);
          // The second one keeps what older versions held: there the tag still carries only the first.
          await before.database.write(async (writer) => {
            const retained = path === PATH ? 1 : 10;
            await writer
              .updateTable("repository")
              .set({ retain_versions: retained })
              .where("name", "=", path)
              .execute();
          });
          // The first ones are manifests that nothing names any more, and that carry nothing.
          await pushTestAttachments(target, path, image.digest, "sig", payloads.slice(0, 1));
          await pushTestAttachments(target, path, image.digest, "sig", payloads.slice(1));
          await pushTestAttachments(target, path, image.digest, "sig", payloads);
        }
        const pushed = [
          await refer(registry, image, bundleType, bundle(image.digest)),
          await refer(registry, image, bundleType, bundle(image.digest), { annotations: { again: "1" } }),
        ];
        bundles = pushed.map((one) => one.digest);
        const said = { "dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1" };
        await refer(registry, image, bundleType, bundle(image.digest), { annotations: said });
        await refer(registry, image, "application/vnd.example", bundle(image.digest));
        const jose = JSON.stringify({
          payload: Buffer.from(JSON.stringify({ targetArtifact: { digest: image.digest } })).toString("base64url"),
        });
        const layerType = "application/jose+json";
        await refer(registry, image, "application/vnd.cncf.notary.signature", jose, { layerType });
      }
      const rows = async (database: typeof before.database) =>
        await database.read
          .selectFrom("signature_carrier")
          .selectAll()
          .orderBy("repository_id")
          .orderBy("unit_key")
          .orderBy("signature_digest")
          .execute();
      const noted = await rows(before.database);
      assert.equal(noted.length, 2 + 4 + 2 + 1);
      await before.database.write((writer) => undoSignatureCarriers(writer, before.database.kind));

      const after = await storage.open();
      assert.deepEqual(await rows(after.database), noted);
      await using registry = await serveRegistry(undefined, {}, after);
      const remove = async (reference: string) => {
        const { status, text } = await registry.request("DELETE", `/v2/${PATH}/manifests/${reference}`);
        assert.equal(status, 202, text);
      };
      const formats = async (path = PATH) =>
        (await list(registry, undefined, path)).map((one) => one.format).toSorted();
      await isClean(registry);
      await remove(bundles[0]!);
      assert.deepEqual(await formats(), ["notation", "sigstore-attachment", "sigstore-attachment", "sigstore-bundle"]);
      await remove(bundles[1]!);
      assert.deepEqual(await formats(), ["notation", "sigstore-attachment", "sigstore-attachment"]);
      await remove(tag);
      assert.deepEqual(await formats(), ["notation"]);
      assert.deepEqual(await formats("team/other"), ["sigstore-attachment", "sigstore-attachment"]);
      await isClean(registry);
    });

    test("one account's uploads are counted by an index", async (t) => {
      const storage = await make(t);
      if (storage === undefined) return;
      const { database } = await storage.open();
      const isSqlite = database.kind === "sqlite";
      const indexes = isSqlite
        ? sql<{ name: string }>`select name from pragma_index_list('upload')`
        : sql<{ name: string }>`select indexname as name from pg_indexes where tablename = 'upload'`;
      const { rows } = await indexes.execute(database.read);
      assert.ok(
        rows.some((row) => row.name === "upload_account"),
        pair,
      );
      if (!isSqlite) return;
      const plan = await sql<{ detail: string }>`
        explain query plan select count(*) from upload where account = 'ann'`.execute(database.read);
      assert.match(plan.rows[0]!.detail, /INDEX upload_account/);
    });
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "filesystem"],
  ],
);
