import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { type Digest, parseDigest } from "@signet/core";
import type { BlobStore } from "../blobs/blob-store.ts";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { findBlob } from "./blobs.ts";
import { findServed } from "./repositories.ts";
import { Uploads } from "./uploads.ts";

const digestOf = (text: string, algorithm = "sha256"): Digest =>
  parseDigest(`${algorithm}:${createHash(algorithm).update(text).digest("hex")}`);

async function* sent(...parts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

/** The store, with a count of what is written to it. */
function counted(store: BlobStore): { readonly store: BlobStore; readonly appends: () => number } {
  let count = 0;
  const proxy = new Proxy(store, {
    get(target, name) {
      if (name === "append") count += 1;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { store: proxy, appends: () => count };
}

forEachStorage(
  (make) => {
    test("a small blob that its repository has is not written again, under whichever algorithm; for another it is, so that time tells nothing of who has it", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const { database } = storage;
      const { store, appends } = counted(storage.blobs);
      const uploads = new Uploads(database, store);
      for (const digest of [digestOf("{}"), digestOf("{}", "sha512")]) {
        const first = await uploads.take("a", sent("{}"), digest, 1);
        const before = appends();
        const finished = await uploads.finish(await uploads.begin("a", "tester", 2), sent("{", "", "}"), digest, 2);
        const taken = await uploads.take("a", sent("{}"), digest, 3);
        assert.equal(appends(), before);
        assert.deepEqual([finished.location, taken.location], [first.location, first.location]);
        await uploads.take("b", sent("{}"), digest, 3);
        assert.equal(appends(), before + 1);
        for (const path of ["a", "b"]) {
          const blob = await findBlob(database.read, (await findServed(database.read, path))!, digest);
          assert.deepEqual([blob?.size, blob?.location], [2, first.location], path);
        }
      }
      assert.equal((await database.read.selectFrom("upload").selectAll().execute()).length, 0);
      const rows = await database.read.selectFrom("blob").select("touched_at").execute();
      assert.deepEqual(
        rows.map((row) => row.touched_at),
        [3, 3],
      );
    });

    test("one that is not here, is larger, or is not what it says to be is taken as any other", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const { database } = storage;
      const { store, appends } = counted(storage.blobs);
      const uploads = new Uploads(database, store);
      await uploads.take("a", sent("new"), digestOf("new"), 1);
      assert.equal(appends(), 1);
      const large = "x".repeat(64 * 1024 + 1);
      for (const count of [2, 3]) {
        assert.equal(
          (await uploads.take("a", sent(large.slice(0, 10), large.slice(10)), digestOf(large), 1)).size,
          65_537,
        );
        assert.equal(appends(), count);
      }
      const upload = await uploads.begin("b", "tester", 2);
      await assert.rejects(uploads.finish(upload, sent("old"), digestOf("new"), 2), { problem: "digest-mismatch" });
      await assert.rejects(uploads.take("b", sent("old"), digestOf("new"), 2), { problem: "digest-mismatch" });
      const served = (await findServed(database.read, "b"))!;
      assert.equal(await findBlob(database.read, served, digestOf("new")), undefined);
      assert.equal((await database.read.selectFrom("upload").selectAll().execute()).length, 0);
    });

    test("what another process received in the place of bytes that came here is hashed as it is, and never taken for these", async (t) => {
      const place = await make(t);
      const [here, there] = [await place?.open(), await place?.open()];
      if (here === undefined || there === undefined) return;
      const [one, other] = [new Uploads(here.database, here.blobs), new Uploads(there.database, there.blobs)];
      for (const kept of ["other bytes", "of its own length"]) {
        const upload = await one.append(await one.begin("a", "tester", 1), sent("begins "), 1);
        const [arrived, taken] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
        async function* late(): AsyncGenerator<Uint8Array> {
          yield Buffer.from("good bytes!");
          arrived.resolve();
          await taken.promise;
        }
        const lost = one.append(upload, late(), 2);
        await arrived.promise;
        await other.append(upload, sent(kept), 2);
        taken.resolve();
        await assert.rejects(lost, { problem: "upload-conflict" });
        const received = await one.find("a", upload.id);
        assert.equal(received.state.received, "begins ".length + kept.length);
        const claimed = digestOf(kept === "other bytes" ? "begins good bytes!" : `begins ${kept}`);
        const finished = one.finish(received, sent(), claimed, 3);
        if (kept === "other bytes") await assert.rejects(finished, { problem: "digest-mismatch" });
        else assert.equal((await finished).digest, claimed);
      }
    });

    test("those who add to a repository at once, through several processes, hold no more than its quota", async (t) => {
      const place = await make(t);
      const [here, there] = [await place?.open(), await place?.open()];
      if (here === undefined || there === undefined) return;
      const both = [new Uploads(here.database, here.blobs), new Uploads(there.database, there.blobs)];
      await both[0]!.begin("a", "tester", 1);
      await here.database.write((writer) => writer.updateTable("repository").set({ quota_bytes: 4_000 }).execute());
      for (let round = 0; round < 5; round += 1) {
        const texts = Array.from({ length: 12 }, (_, index) => `${round} ${index}`.padEnd(1_000));
        const taken = await Promise.allSettled(
          texts.map(async (text, index) => await both[index % 2]!.take("a", sent(text), digestOf(text), 1)),
        );
        assert.equal(taken.filter((one) => one.status === "fulfilled").length, 4);
        await here.database.write((writer) => writer.deleteFrom("pending").execute());
      }
    });

    test("it counts for the quota, and a request that hangs in it gives way to the next", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const { database, blobs } = storage;
      const uploads = new Uploads(database, blobs);
      await uploads.take("b", sent("twelve bytes"), digestOf("twelve bytes"), 1);
      const upload = await uploads.begin("b", "tester", 1);
      await database.write((writer) =>
        writer.updateTable("repository").set({ quota_bytes: 11 }).where("name", "=", "b").execute(),
      );
      const refused = uploads.finish(upload, sent("twelve bytes"), digestOf("twelve bytes"), 2);
      await assert.rejects(refused, { problem: "quota-exceeded" });
      await database.write((writer) => writer.updateTable("repository").set({ quota_bytes: 12 }).execute());
      const begun = Promise.withResolvers<void>();
      async function* hanging(): AsyncGenerator<Uint8Array> {
        yield Buffer.from("twelve");
        begun.resolve();
        await new Promise(() => undefined);
      }
      const older = uploads.finish(upload, hanging(), digestOf("twelve bytes"), 2);
      await begun.promise;
      const [first, second] = await Promise.allSettled([
        older,
        uploads.finish(upload, sent("twelve bytes"), digestOf("twelve bytes"), 3),
      ]);
      assert.equal(first.status === "rejected" && (first.reason as { problem?: string }).problem, "upload-conflict");
      assert.equal(second.status, "fulfilled");
    });
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "s3"],
  ],
);
