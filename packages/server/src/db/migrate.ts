/** Migrations, forward only: each runs once, in order, in a transaction of its own with the row that says so. */
import type { Kysely } from "kysely";
import { sql } from "kysely";
import { StoreError } from "@signet/core";
import type { DatabaseKind } from "./database.ts";
import { createRegistryTables } from "./migrations/0001-registry.ts";
import { separateSignatureArrivals } from "./migrations/0002-signature-arrivals.ts";
import { listSignatureCarriers } from "./migrations/0003-signature-carriers.ts";
import { orderByBytes } from "./migrations/0004-byte-order.ts";
import { keepRecordedVerifications } from "./migrations/0005-recorded-verifications.ts";
import type { Schema } from "./schema.ts";

interface Migration {
  readonly name: string;
  readonly run: (db: Kysely<unknown>, kind: DatabaseKind) => Promise<void>;
}

/** In the order in which they run. Never changed once released: a database remembers them by name. */
const migrations: readonly Migration[] = [
  { name: "0001-registry", run: createRegistryTables },
  { name: "0002-signature-arrivals", run: separateSignatureArrivals },
  { name: "0003-signature-carriers", run: listSignatureCarriers },
  { name: "0004-byte-order", run: orderByBytes },
  { name: "0005-recorded-verifications", run: keepRecordedVerifications },
];

/** Any number, the same for every process: the advisory lock under which PostgreSQL's tables change. */
const MIGRATION_LOCK = 7_253_011;
/**
 * Milliseconds for one statement of a migration, and for the wait until another process has done its own: an index of a hundred million rows is built in less. The limit of
 * requests would leave a large database without a way forward.
 */
const MIGRATION_TIMEOUT_MS = 60 * 60 * 1_000;

/**
 * Brings the tables up to date; safe when several processes start at once.
 * @throws StoreError `database-unusable` when the database was last used by a newer program, or its list of migrations is not a beginning of ours
 */
export async function migrate(db: Kysely<Schema>, kind: DatabaseKind): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const writer = transaction as unknown as Kysely<unknown>;
    if (kind === "postgresql") {
      await sql.raw(`set local statement_timeout = ${MIGRATION_TIMEOUT_MS}`).execute(writer);
      await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(writer);
    }
    await sql`create table if not exists migration (position integer primary key, name text not null)`.execute(writer);
    const done = await sql<{ name: string }>`select name from migration order by position`.execute(writer);
    done.rows.forEach(({ name }, position) => {
      const own = migrations[position]?.name;
      if (own === name) return;
      throw new StoreError(
        "database-unusable",
        own === undefined
          ? `the database was used by a newer program: it has migration ${JSON.stringify(name)}, which this one does not know`
          : `the database has migration ${JSON.stringify(name)} where this program has ${JSON.stringify(own)}`,
        { hint: "run the program that used this database last, or restore a backup made before" },
      );
    });
    for (const [position, { name, run }] of migrations.entries()) {
      if (position < done.rows.length) continue;
      await run(writer, kind);
      await sql`insert into migration (position, name) values (${position}, ${name})`.execute(writer);
    }
  });
}
