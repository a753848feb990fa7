/**
 * Keys, digests and names are compared by their bytes on PostgreSQL, too. Two columns of different collations cannot be joined by an index, and the keys of `membership` were of another than the digests
 * that they are; and a list that is continued after a name must have the same order on every server. SQLite compares text so by itself.
 */
import type { Kysely } from "kysely";
import { sql } from "kysely";
import type { DatabaseKind } from "../database.ts";

/** All that is joined, sorted by or referred to, by table. Tables with foreign keys come after those that they refer to. */
export const byteOrdered: Readonly<Record<string, readonly string[]>> = {
  blob: ["digest"],
  manifest: ["digest", "config_digest", "subject_digest"],
  manifest_blob: ["manifest_digest", "blob_digest"],
  manifest_child: ["manifest_digest", "child_digest"],
  tag: ["name", "manifest_digest"],
  signature: ["digest", "manifest_digest", "claimed_key_id", "claimed_fingerprint"],
  signature_arrival: ["signature_digest", "name"],
  signature_carrier: ["signature_digest", "image_digest", "carrier_digest"],
  verification: ["signature_digest"],
  tombstone: ["subject"],
  trusted_key: ["fingerprint"],
  repository: ["name"],
  account: ["name"],
  account_group: ["name"],
  access_token: ["name"],
};

/** Changes the collations, which builds the indexes of these columns anew; rows and foreign keys stay. Also makes the indexes by which a repository's paths and uploads are found. */
export async function orderByBytes(db: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  if (kind === "postgresql") {
    for (const [table, names] of Object.entries(byteOrdered)) {
      // One statement a table: each of its indexes is built once.
      const changes = names.map((name) => sql`alter column ${sql.ref(name)} type text collate "C"`);
      await sql`alter table ${sql.table(table)} ${sql.join(changes)}`.execute(db);
    }
  }
  for (const table of ["distribution", "upload"])
    await db.schema.createIndex(`${table}_repository_id`).on(table).columns(["repository_id"]).execute();
  // What was known of the columns' values is gone with the collation: without it the first requests would be planned for empty tables.
  if (kind === "postgresql") await sql.raw(`analyze ${Object.keys(byteOrdered).join(", ")}`).execute(db);
}
