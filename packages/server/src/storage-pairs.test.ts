import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { collect } from "./blobs/blob-store-contract.testing.ts";
import type { BlobStore, UploadState } from "./blobs/blob-store.ts";
import { makeBytes } from "./blobs/test-blob.testing.ts";
import type { Database } from "./db/database.ts";
import { forEachStorage } from "./storage-pairs.testing.ts";

forEachStorage((make) => {
  test("an upload whose state is in the database is gone on with and finished by other processes, and its blob is read by all", async (t) => {
    const storage = await make(t);
    if (storage === undefined) return;
    const bytes = makeBytes(9_000_000, 1);
    const begun = await (await storage.open()).blobs.begin();
    let saved = JSON.stringify(begun);
    for (let start = 0; start < bytes.length; start += 3_000_000) {
      const { database, blobs } = await storage.open();
      const state = await blobs.append(JSON.parse(saved) as UploadState, one(bytes.subarray(start, start + 3_000_000)));
      await saveSetting(database, JSON.stringify(state));
      saved = await loadSetting(database);
    }
    const finisher = await storage.open();
    const location = await finisher.blobs.finish(JSON.parse(saved) as UploadState);
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    const row = { digest, size: bytes.length, location, created_at: 1, touched_at: 1 };
    await finisher.database.write(async (writer) => void (await writer.insertInto("blob").values(row).execute()));
    const reader = await storage.open();
    const found = await reader.database.read.selectFrom("blob").selectAll().executeTakeFirstOrThrow();
    assert.deepEqual({ ...found }, row);
    assert.deepEqual(await readBlob(reader.blobs, found.location), Buffer.from(bytes));
  });

  test("each test has storage of its own", async (t) => {
    const storage = await make(t);
    if (storage === undefined) return;
    const { database, blobs } = await storage.open();
    assert.deepEqual(await database.read.selectFrom("blob").selectAll().execute(), []);
    for await (const { location } of blobs.list()) assert.fail(`${location} is another test's`);
  });
});

async function saveSetting(database: Database, value: string): Promise<void> {
  await database.write(async (writer) => {
    await writer
      .insertInto("setting")
      .values({ name: "upload", value })
      .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
      .execute();
  });
}

async function loadSetting({ read }: Database): Promise<string> {
  return (await read.selectFrom("setting").select("value").where("name", "=", "upload").executeTakeFirstOrThrow())
    .value;
}

async function readBlob(blobs: BlobStore, location: string): Promise<Buffer> {
  return collect(await blobs.open(location));
}

async function* one(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
