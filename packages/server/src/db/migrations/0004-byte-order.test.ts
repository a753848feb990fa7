import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import { listRepositories } from "../../content/repository-settings.ts";
import { listTags } from "../../content/tags.ts";
import { findServed, listPaths } from "../../content/repositories.ts";
import { pushImage } from "../../trust/trust.testing.ts";
import { readManifestFacts } from "../../content/manifest-facts.ts";
import { putManifest } from "../../content/manifests.ts";
import { createGroup, listGroups } from "../../access/groups.ts";
import type { Database } from "../database.ts";
import { forEachDatabase } from "../databases.testing.ts";
import { fillLargeContent } from "../large-content.testing.ts";
import { undoByteOrder } from "./rollback.testing.ts";

const NOW = Date.parse("2026-06-01T00:00:00Z");
/** In an English dictionary: `a-c`, `a/b`, `ab`, … with their signs passed over or in another order. */
const paths = ["team/ab", "team-a/c", "team/a-c", "team/a.b", "team/a/b", "team1/a", "team/a_b"];
const tags = ["a", "B", "a.1", "a-1", "A", "_b", "a1", "a_1", "Z"];

forEachDatabase((make) => {
  test("a database from before keeps its rows and foreign keys, and then compares all that is joined by bytes", async (t) => {
    const place = await make(t, { icuLocale: "en-US" });
    if (place === undefined) return;
    const before = await place.open();
    await fillLargeContent(before, 400);
    const rows = await readAll(before);
    await before.write((writer) => undoByteOrder(writer, before.kind));
    if (before.kind === "postgresql") assert.notDeepEqual(await listMixedJoins(before), []);

    const after = await place.open();
    assert.deepEqual(await readAll(after), rows);
    const refused = after.write((writer) =>
      writer.insertInto("manifest_blob").values({ manifest_digest: "sha256:none", blob_digest: "b" }).execute(),
    );
    await assert.rejects(refused, /foreign key/i);
    await after.write((writer) => writer.deleteFrom("manifest").execute());
    const { count } = await after.read
      .selectFrom("manifest_blob")
      .select((e) => e.fn.countAll<number | string>().as("count"))
      .executeTakeFirstOrThrow();
    assert.equal(Number(count), 0);
    if (after.kind === "postgresql") assert.deepEqual(await listMixedJoins(after), []);
  });

  test("lists are in the order of their bytes, and continue so, in a database that sorts as a dictionary does", async (t) => {
    const place = await make(t, { icuLocale: "en-US" });
    if (place === undefined) return;
    const database = await place.open();
    for (const [seed, path] of paths.entries()) await pushImage(database, path, seed);
    const manifest = readManifestFacts(
      Buffer.from('{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'),
      "application/vnd.oci.image.index.v1+json",
      undefined,
    );
    await putManifest(database, { path: "team/tags", manifest, tags, by: "ann", now: NOW });
    const served = await findServed(database.read, "team/tags");
    const lists = {
      catalog: async (last: string) => (await listPaths(database.read, last, 2)).map((one) => one.path),
      repositories: async (last: string) => (await listRepositories(database.read, last, 2)).map((one) => one.path),
      tags: async (last: string) => await listTags(database.read, served!, last, 2),
    };
    for (const [name, page] of Object.entries(lists)) {
      const found: string[] = [];
      for (let part = await page(""); part.length > 0; part = await page(found.at(-1)!)) found.push(...part);
      const expected = name === "tags" ? tags : [...paths, "team/tags"];
      assert.deepEqual(found, expected.toSorted(), name);
    }
    for (const group of ["ab", "a-c", "a_b"]) await createGroup(database, group, NOW);
    assert.deepEqual(
      (await listGroups(database.read)).map((one) => one.name),
      ["a-c", "a_b", "ab"],
    );
  });
});

/** Every row of every table that the migration changes. */
async function readAll(database: Database): Promise<unknown> {
  const tables = [
    "blob",
    "manifest",
    "manifest_blob",
    "manifest_child",
    "tag",
    "signature",
    "signature_arrival",
  ] as const;
  const more = ["signature_carrier", "verification", "tombstone", "repository", "membership", "pending"] as const;
  const found: Record<string, unknown> = {};
  for (const table of [...tables, ...more]) {
    const rows = await database.read.selectFrom(table).selectAll().execute();
    assert.notEqual(rows.length, 0, table);
    found[table] = rows.map((row) => JSON.stringify(row)).toSorted();
  }
  return found;
}

/** Columns of digests, keys and names that are not compared by their bytes. */
async function listMixedJoins(database: Database): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select table_name || '.' || column_name as name from information_schema.columns
    where table_schema = 'public' and data_type = 'text' and collation_name is distinct from 'C'
    and (column_name like '%digest' or column_name in ('key', 'unit_key', 'name', 'path', 'subject', 'fingerprint'))
    and table_name not in ('migration', 'setting')
    order by 1`.execute(database.read);
  return rows.map((row) => row.name);
}
