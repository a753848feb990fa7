import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { type ServedRegistry, serveRegistry } from "../registry/serve.testing.ts";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { makeAuthor, makeSigner, pushImage, storeSignature } from "../trust/trust.testing.ts";
import { addTrustedKey, withdrawKey } from "../trust/trusted-keys.ts";
import { MAX_READABLE_HOLDERS, listReleaseSignatures } from "./release-signatures.ts";

/** All signatures of an image in the tree over all repositories, as an account finds them: one after the other, up to the first that is missing. */
async function readTree(registry: ServedRegistry, digest: string, account: string): Promise<readonly Buffer[]> {
  const found: Buffer[] = [];
  for (let index = 1; ; index += 1) {
    const path = `/signatures/${digest.replace(":", "=")}/signature-${index}`;
    const answer = await registry.request("GET", path, undefined, { "x-test-account": account });
    if (answer.status === 404) return found;
    assert.equal(answer.status, 200);
    found.push(answer.bytes);
  }
}

forEachStorage(
  (make) => {
    test("a signature is found in the one repository that may be read, however many others hold some", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const { database } = storage;
      const rights = (account: string, _action: string, path: string): boolean =>
        account === "admin" || (account === "reader" && path.startsWith("z/"));
      await using registry = await serveRegistry(rights, {}, storage);
      const signer = await makeSigner();
      const { digest, bytes: image } = await pushImage(database, "z/last", 1);
      const [theirs, shared, own, removed] = [
        await signer.sign(image, "r.example.com/a:1"),
        await signer.sign(image, "r.example.com/b:1"),
        await signer.sign(image, "r.example.com/c:1"),
        await signer.sign(image, "r.example.com/d:1"),
      ];
      for (let index = 0; index < 120; index += 1) {
        const path = `a/${String(index).padStart(3, "0")}`;
        await pushImage(database, path, 1);
        await storeSignature(database, path, digest, index === 0 ? shared : theirs);
      }
      for (const bytes of [removed, own, shared]) await storeSignature(database, "z/last", digest, bytes);
      const file = `${digest.replace(":", "=")}/signature-1`;
      const gone = await registry.request("DELETE", `/lookaside/z/last@${file}`, undefined, {
        "x-test-account": "admin",
      });
      assert.equal(gone.status, 204);
      const read = (account: string): Promise<readonly Buffer[]> => readTree(registry, digest, account);
      assert.deepEqual(await read("nobody"), []);
      assert.deepEqual(await read("reader"), [Buffer.from(own), Buffer.from(shared)]);
      // Each once, by the first path that has it.
      assert.deepEqual(await read("admin"), [Buffer.from(shared), Buffer.from(theirs), Buffer.from(own)]);
      // A path that is pinned to an older version serves what that one holds.
      await database.write(async (writer) => {
        const { id } = await writer
          .selectFrom("repository")
          .select("id")
          .where("name", "=", "z/last")
          .executeTakeFirstOrThrow();
        const { version } = await writer
          .selectFrom("membership")
          .select((expression) => expression.fn.min<number>("version_added").as("version"))
          .where("repository_id", "=", id)
          .where("unit_kind", "=", "signature")
          .executeTakeFirstOrThrow();
        await writer.deleteFrom("distribution").where("repository_id", "=", id).execute();
        for (const pinned of [1, version]) {
          const row = { path: `z/pinned-${pinned}`, repository_id: id, version: pinned, created_at: 0 };
          await writer.insertInto("distribution").values(row).execute();
        }
      });
      assert.deepEqual(await read("reader"), [Buffer.from(own)]);
      assert.deepEqual(registry.failures, []);
    });

    test("nobody can put signatures of keys that the server does not know before one that its keyring accepts", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const { database } = storage;
      const rights = (account: string, _action: string, path: string): boolean =>
        account === "admin" || path !== "secret/app";
      await using registry = await serveRegistry(rights, {}, storage);
      const [vendor, stranger] = [await makeSigner(), await makeSigner()];
      await addTrustedKey(database, vendor.publicKey, "the vendor", makeAuthor());
      const { digest, bytes: image } = await pushImage(database, "a/first", 1);
      for (const path of ["secret/app", "z/release"]) await pushImage(database, path, 1);
      const crowd: Uint8Array[] = [];
      for (let index = 0; index < 12; index += 1) crowd.push(await stranger.sign(image, `r.example.com/a:${index}`));
      for (const bytes of crowd.slice(0, 10)) await storeSignature(database, "a/first", digest, bytes);
      for (const bytes of crowd.slice(10)) await storeSignature(database, "z/release", digest, bytes);
      const [genuine, second, hidden] = [
        await vendor.sign(image, "r.example.com/release:1"),
        await vendor.sign(image, "r.example.com/release:2"),
        await vendor.sign(image, "r.example.com/secret:1"),
      ];
      for (const bytes of [genuine, second]) await storeSignature(database, "z/release", digest, bytes);
      await storeSignature(database, "secret/app", digest, hidden);
      const read = (account: string): Promise<readonly Buffer[]> => readTree(registry, digest, account);
      const inOrder = [genuine, second, ...crowd].map((bytes) => Buffer.from(bytes));
      assert.deepEqual(await read("reader"), inOrder);
      assert.deepEqual(await read("admin"), [Buffer.from(hidden), ...inOrder]);
      // With the key its signatures go.
      await withdrawKey(database, vendor.fingerprint, "stolen", makeAuthor());
      assert.deepEqual(await read("admin"), inOrder.slice(2));
      assert.deepEqual(registry.failures, []);
    });

    test("rights come before the bound, which counts what may be read", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const { database } = storage;
      const signer = await makeSigner();
      const { digest, bytes: image } = await pushImage(database, "seed", 1);
      const digests: string[] = [];
      for (const name of ["first", "last"])
        digests.push(
          await storeSignature(database, "seed", digest, await signer.sign(image, `r.example.com/${name}:1`)),
        );
      const [first, last] = digests as [string, string];
      const count = MAX_READABLE_HOLDERS + 1;
      // Repositories as pushes would make them, all but the last one with the first signature.
      await database.write(async (writer) => {
        await sql`insert into repository (name, kind, description, visibility, pull_policy_mode, immutable_tags,
            retain_versions, latest_version, change_number, created_at)
          with recursive counted(number) as (select 1 union all select number + 1 from counted where number < ${count})
          select 'r/' || (100000 + number), 'push', '', 'private', 'off', '[]', 1, 1, 1, 0 from counted`.execute(
          writer,
        );
        await sql`insert into distribution (path, repository_id, created_at)
          select name, id, 0 from repository where name like 'r/%'`.execute(writer);
        const signature = sql`case when name = ${`r/${100_000 + count}`} then ${last} else ${first} end`;
        await sql`insert into membership (repository_id, unit_kind, unit_key, version_added)
          select id, 'signature', ${signature}, 1 from repository where name like 'r/%'`.execute(writer);
        await sql`insert into signature_arrival (repository_id, signature_digest, name, arrived_at)
          select id, ${signature}, 'x', 0 from repository where name like 'r/%'`.execute(writer);
      });
      const list = async (needed: number, mayRead: (path: string) => boolean) =>
        await listReleaseSignatures(database.read, digest, { index: needed }, ({ path }) => mayRead(path));
      const isLast = (path: string): boolean => path === `r/${100_000 + count}`;
      assert.deepEqual(await list(1, isLast), [last]);
      assert.deepEqual(await list(9, (path) => path.startsWith("r/")), [first]);
      // One place more, and it is among them.
      assert.deepEqual(await list(9, (path) => path.startsWith("r/") && path !== "r/100001"), [first, last]);
      // Nobody asks further than what is needed.
      let asked = 0;
      assert.deepEqual(await list(1, (path) => path.startsWith("r/") && (asked += 1) > 0), [first]);
      assert.ok(asked < 1_000, String(asked));
    });
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "s3"],
  ],
);
