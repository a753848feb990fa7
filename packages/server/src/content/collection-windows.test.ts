import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Database } from "../db/database.ts";
import { forEachDatabase } from "../db/databases.testing.ts";
import { BLOB_BYTES, STORED_AT, fillLargeContent } from "../db/large-content.testing.ts";
import { recordQueries } from "../db/recorded-queries.testing.ts";
import { DEFAULT_GRACE_MS, collectGarbage } from "./collection.ts";

/** So many that their blobs, four each, are looked through in several transactions. */
const IMAGES = 1_500;
const now = STORED_AT + DEFAULT_GRACE_MS + 1;

forEachDatabase((make) => {
  test("a collection goes through all rows, a part at a time, and takes what nothing holds and nobody touched", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const database = await place.open();
    await fillLargeContent(database, IMAGES);
    const removed: string[] = [];
    // Remembers what is removed: the bytes of this content are nowhere.
    const store = {
      remove: (location: string) => Promise.resolve(removed.push(location)),
      abort: () => Promise.resolve(),
    } as unknown as BlobStore;
    await collectGarbage(database, store, { now, withStrays: false });
    assert.deepEqual(removed, []);

    await database.write(async (writer) => {
      await writer.deleteFrom("membership").where("repository_id", "=", 1).execute();
      // One blob and one manifest that are asked for again meanwhile.
      for (const table of ["blob", "manifest"] as const)
        await sql`update ${sql.table(table)} set touched_at = ${now} where digest = (${unheld(table)} order by digest limit 1)`.execute(
          writer,
        );
    });
    const [blobs, manifests, signatures] = [
      await count(database, "blob"),
      await count(database, "manifest"),
      await count(database, "signature"),
    ];
    assert.ok(blobs > 1_000, String(blobs));
    const recorded = recordQueries(database);
    const collected = await collectGarbage(recorded.database, store, { now, withStrays: false });
    const bytes = (blobs - 1) * BLOB_BYTES;
    const expected = { manifests: manifests - 1, signatures, blobs: blobs - 1, bytes };
    assert.deepEqual({ ...collected, ...expected }, collected);
    assert.equal(new Set(removed).size, blobs - 1);
    assert.deepEqual([await count(database, "blob"), await count(database, "manifest")], [1, 1]);
    assert.equal(await count(database, "signature"), 0);
    assert.equal(recorded.take().filter((query) => query.sql.includes('delete from "blob"')).length, 4);
  });
});

/** Digests of rows that no version and no pending list holds. */
function unheld(table: "blob" | "manifest" | "signature") {
  return sql`select digest from ${sql.table(table)} where not exists
    (select 1 from membership where unit_kind = ${table} and unit_key = digest) and not exists
    (select 1 from pending where unit_kind = ${table} and unit_key = digest)`;
}

async function count(database: Database, table: "blob" | "manifest" | "signature"): Promise<number> {
  return (await unheld(table).execute(database.read)).rows.length;
}
