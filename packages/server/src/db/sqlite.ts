/** SQLite through node:sqlite: one connection that writes, one that reads beside it (write-ahead log), so that no reader sees half a transaction. */
import { setTimeout as delay } from "node:timers/promises";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import {
  CompiledQuery,
  type DatabaseConnection,
  Kysely,
  SqliteAdapter,
  SqliteDialect,
  SqliteDriver,
  type SqliteDatabase,
  type SqliteStatement,
  sql,
} from "kysely";
import { StoreError } from "@signet/core";
import type { Database } from "./database.ts";
import { migrate } from "./migrate.ts";
import type { Schema } from "./schema.ts";

/** Milliseconds that a writer waits for another process to finish its transaction; those are short, so this is a process that hangs. */
const BUSY_TIMEOUT_MS = 10_000;
/** Milliseconds between two tries; waiting inside SQLite would stop every other request of this process. */
const BUSY_RETRY_MS = 5;
/** Prepared statements kept by connection: about as many as the server has queries. */
const MAX_STATEMENTS = 500;

/**
 * Opens the database in a file, makes it and its tables where they are missing, and brings older ones up to date.
 *
 * @param path of the file; its folder must exist. Only for this machine's own file systems: the log needs shared memory
 * @throws StoreError `database-unusable` when the file is no database, is newer than this program, or cannot be opened
 */
export async function openSqlite(path: string): Promise<Database> {
  let writing: DatabaseSync;
  let reading: DatabaseSync;
  try {
    writing = connect(path);
    reading = connect(path);
  } catch (error) {
    throw new StoreError("database-unusable", `the database ${path} cannot be opened: ${(error as Error).message}`, {
      cause: error,
      hint: "name a folder that this user may write to; a damaged file is restored from a backup",
    });
  }
  const writer = kyselyOn(writing);
  const read = kyselyOn(reading);
  const close = async (): Promise<void> => {
    await read.destroy();
    await writer.destroy();
  };
  try {
    await migrate(writer, "sqlite");
  } catch (error) {
    await close();
    throw error;
  }
  // Tells of commits by every connection but its own, and this one never writes.
  const dataVersion = reading.prepare("pragma data_version");
  return {
    kind: "sqlite",
    read,
    // Kysely lets the next transaction wait for the connection.
    write: (change) => writer.transaction().execute(change),
    mark: () => dataVersion.get()!["data_version"] as number,
    ping: async () => {
      await sql`select 1`.execute(read);
    },
    close,
  };
}

function connect(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: true });
  // FULL: what is acknowledged survives a power cut, also the last transactions of the log.
  database.exec(
    "pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -65536; pragma temp_store = memory",
  );
  return database;
}

function kyselyOn(database: DatabaseSync): Kysely<Schema> {
  const adapted = adapt(database);
  const dialect = new SqliteDialect({ database: adapted });
  return new Kysely<Schema>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new ImmediateDriver({ database: adapted }),
      createIntrospector: (db) => dialect.createIntrospector(db),
      createQueryCompiler: () => dialect.createQueryCompiler(),
    },
  });
}

/** Takes the write lock at the start, so that a transaction that read first cannot fail half-way because another process wrote meanwhile. */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    const deadline = performance.now() + BUSY_TIMEOUT_MS;
    for (;;) {
      try {
        await connection.executeQuery(CompiledQuery.raw("begin immediate"));
        return;
      } catch (error) {
        if (!isBusy(error)) throw error;
        if (performance.now() > deadline) {
          throw new StoreError(
            "database-busy",
            `another process has been writing to the database for ${BUSY_TIMEOUT_MS / 1_000} s`,
            {
              cause: error,
              hint: "look for a process that hangs with the database open",
            },
          );
        }
        await delay(BUSY_RETRY_MS);
      }
    }
  }
}

function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode;
  // SQLITE_BUSY with its extended codes, such as SQLITE_BUSY_RECOVERY right after a crash of another process.
  return code !== undefined && (code & 0xff) === 5;
}

/** node:sqlite in the shape that Kysely knows, with prepared statements kept. */
function adapt(database: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>();
  return {
    close: () => database.close(),
    prepare: (text) => {
      const known = statements.get(text);
      if (known !== undefined) return known;
      const statement = adaptStatement(database.prepare(text));
      if (statements.size >= MAX_STATEMENTS) statements.clear();
      statements.set(text, statement);
      return statement;
    },
  };
}

function adaptStatement(statement: StatementSync): SqliteStatement {
  const bind = (parameters: readonly unknown[]): SQLInputValue[] => parameters as SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...bind(parameters)),
    run: (parameters) => statement.run(...bind(parameters)),
    iterate: (parameters) => statement.iterate(...bind(parameters)),
  };
}
