/** SQLite through node:sqlite: one connection that writes, one that reads beside it (write-ahead log), so that no reader sees half a transaction. */
import { type FileHandle, open as openFile } from "node:fs/promises";
import { dirname } from "node:path";
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
  type SqliteDialectConfig,
  type SqliteStatement,
  sql,
} from "kysely";
import { StoreError } from "@signet/core";
import type { Database } from "./database.ts";
import { migrate } from "./migrate.ts";
import type { Schema } from "./schema.ts";
import { SharedFlush } from "./shared-flush.ts";
import { TurnMark } from "./turn-mark.ts";

/** Milliseconds that a writer waits for another process to finish its transaction; those are short, so this is a process that hangs. */
const BUSY_TIMEOUT_MS = 10_000;
/** Milliseconds between two tries; waiting inside SQLite would stop every other request of this process. */
const BUSY_RETRY_MS = 1;
/** Bytes of pages that each of the three connections keeps to itself: most of an index of a million rows. The system keeps the file besides. */
const CACHE_BYTES = 16 * 1024 * 1024;
/** Prepared statements kept by connection: about as many as the server has queries. */
const MAX_STATEMENTS = 500;

/**
 * Opens the database in a file, makes it and its tables where they are missing, and brings older ones up to date.
 *
 * @param path of the file; its folder must exist. Only for this machine's own file systems: the log needs shared memory
 * @throws StoreError `database-unusable` when the file is no database, is newer than this program, or cannot be opened
 */
export async function openSqlite(path: string): Promise<Database> {
  const opened: DatabaseSync[] = [];
  const open = async (): Promise<DatabaseSync> => {
    const database = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: true });
    opened.push(database);
    // The file is locked as a whole while another process turns it to the log, recovers it after a crash, or closes it last.
    await retryWhileBusy(() => database.exec("pragma journal_mode = wal; select count(*) from sqlite_schema"));
    // NORMAL: what goes from the log into the file is flushed in the right order, and commits are left to us.
    database.exec(
      `pragma synchronous = normal; pragma cache_size = -${CACHE_BYTES / 1_024}; pragma temp_store = memory`,
    );
    return database;
  };
  let log: FileHandle | undefined;
  try {
    const writer = kyselyOn(await open(), (options) => new ImmediateDriver(options));
    await migrate(writer, "sqlite");
    const reading = await open();
    const read = kyselyOn(reading, (options) => new SqliteDriver(options));
    // A connection of its own: while it stays in one state, the others must not.
    const looker = kyselyOn(await open(), (options) => new SqliteDriver(options));
    // Tells of commits by every connection but its own, and this one never writes.
    const dataVersion = reading.prepare("pragma data_version");
    // Asked often: no object for each answer.
    dataVersion.setReturnArrays(true);
    const mark = new TurnMark(() => (dataVersion.get() as unknown as [version: number])[0]);
    const file = await openLog(path);
    log = file;
    const flush = new SharedFlush(() => file.datasync());
    await flush.wait();
    const checkFlush = (): void => {
      if (flush.failure !== undefined) throw flushFailed(path, flush.failure);
    };
    // Kysely lets the next transaction wait for the connection.
    const note: Database["note"] = async (change) => {
      checkFlush();
      try {
        return await writer.transaction().execute(change);
      } finally {
        mark.forget();
      }
    };
    return {
      kind: "sqlite",
      read,
      /*
       * SQLite would flush inside its commit, in this thread, while every other request stands still. Here the next transactions go on meanwhile and share the flush
       * that follows. A log is durable up to some transaction, so that whatever this one has read is durable with it.
       */
      write: async (change) => {
        const value = await note(change);
        await flush.wait().catch((error: unknown) => {
          throw flushFailed(path, error);
        });
        return value;
      },
      note,
      snapshot: (look) => looker.transaction().execute(look),
      mark: () => mark.renew(),
      turnMark: () => mark.get(),
      ping: async () => {
        checkFlush();
        await sql`select 1`.execute(read);
      },
      close: async () => {
        for (const connection of [read, looker, writer]) await connection.destroy();
        await file.close();
      },
    };
  } catch (error) {
    for (const database of opened) if (database.isOpen) database.close();
    await log?.close();
    if (error instanceof StoreError) throw error;
    throw new StoreError("database-unusable", `the database ${path} cannot be opened: ${(error as Error).message}`, {
      cause: error,
      hint: "name a folder that this user may write to; a damaged file is restored from a backup",
    });
  }
}

/**
 * The log beside the database, whose name is on disk as well. It stays the same file while a connection is open, and SQLite's locks are on other files, so that closing
 * ours takes none of them away: https://www.sqlite.org/walformat.html.
 */
async function openLog(path: string): Promise<FileHandle> {
  const folder = await openFile(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
  return await openFile(`${path}-wal`, "r");
}

function flushFailed(path: string, cause: unknown): StoreError {
  return new StoreError(
    "database-unusable",
    `the log of the database ${path} could not be flushed: ${(cause as Error).message}`,
    {
      cause,
      hint: "look after the disk, then start again; what was not acknowledged may be there or not",
    },
  );
}

function kyselyOn(database: DatabaseSync, driver: (options: SqliteDialectConfig) => SqliteDriver): Kysely<Schema> {
  const adapted = adapt(database);
  const dialect = new SqliteDialect({ database: adapted });
  return new Kysely<Schema>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => driver({ database: adapted }),
      createIntrospector: (db) => dialect.createIntrospector(db),
      createQueryCompiler: () => dialect.createQueryCompiler(),
    },
  });
}

/** Takes the write lock at the start, so that a transaction that read first cannot fail half-way because another process wrote meanwhile. */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await retryWhileBusy(() => connection.executeQuery(CompiledQuery.raw("begin immediate")));
  }
}

/** @throws StoreError `database-busy` when another process holds its lock for {@link BUSY_TIMEOUT_MS} */
async function retryWhileBusy(act: () => unknown): Promise<void> {
  const deadline = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      await act();
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
