/** PostgreSQL through `pg`. */
import { setTimeout as delay } from "node:timers/promises";
import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import { StoreError } from "@signet/core";
import type { Database, Writer } from "./database.ts";
import { migrate } from "./migrate.ts";
import type { Schema } from "./schema.ts";

/** Connections of one process: PostgreSQL serves some tens well, and several processes share its hundred. */
const MAX_CONNECTIONS = 20;
/** Milliseconds until a connection that does not come about is an error. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Milliseconds for one statement: the longest, of garbage collection, take seconds. */
const STATEMENT_TIMEOUT_MS = 60_000;
/** Tries of one transaction that others made impossible. The first follows at once, since the others have committed. */
const MAX_TRIES = 12;
/** Milliseconds by which each further wait may be longer, by chance: what keeps getting into each other's way must get out of step. */
const RETRY_STEP_MS = 10;

/**
 * Serialization failure and deadlock (PostgreSQL, appendix A, class 40), and a foreign key whose row went meanwhile, such as a repository that was deleted (23503): nothing was done, and doing it
 * again may succeed.
 */
const transientStates: ReadonlySet<string> = new Set(["23503", "40001", "40P01"]);

// Whole numbers of 64 bits arrive as text, since JavaScript cannot hold them all; ours (bytes, milliseconds, counters) stay below 2^53.
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, (text) => Number(text));

/**
 * Opens a database and brings its tables up to date.
 *
 * @param url `postgresql://user:password@host:port/database`; never logged
 * @throws StoreError `database-unusable` when it cannot be reached, refuses the account, or is newer than this program
 */
export async function openPostgresql(url: string): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: url,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    types,
  });
  // A connection that breaks while idle is replaced at the next query; without a listener it would end the process.
  pool.on("error", () => undefined);
  const read = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  try {
    await sql`select 1`.execute(read);
    await migrate(read, "postgresql");
  } catch (error) {
    await read.destroy();
    if (error instanceof StoreError) throw error;
    throw new StoreError("database-unusable", `PostgreSQL cannot be used: ${(error as Error).message}`, {
      cause: error,
      hint: "check host, port, database, account and password of the URL",
    });
  }
  const write = async <T>(change: (writer: Writer) => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await read.transaction().execute(change);
      } catch (error) {
        if (attempt === MAX_TRIES || !transientStates.has((error as { code?: string }).code ?? "")) throw error;
        if (attempt > 1) await delay(Math.random() * RETRY_STEP_MS * attempt);
      }
    }
  };
  return {
    kind: "postgresql",
    read,
    write,
    note: (change) =>
      write(async (writer) => {
        await sql`set local synchronous_commit = off`.execute(writer);
        return await change(writer);
      }),
    snapshot: (look) =>
      read.transaction().setIsolationLevel("repeatable read").setAccessMode("read only").execute(look),
    mark: () => undefined,
    turnMark: () => undefined,
    ping: async () => {
      await sql`select 1`.execute(read);
    },
    close: () => read.destroy(),
  };
}
