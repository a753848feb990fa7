/** Runs a suite on both engines. For tests only. */
import { type TestContext, after, describe } from "node:test";
import { type Postgresql, makeTempDir, requireTool, startPostgresql } from "@signet/testkit";
import type { Database, DatabaseKind } from "./database.ts";
import { openPostgresql } from "./postgresql.ts";
import { openSqlite } from "./sqlite.ts";

/** An empty database for one test. */
export interface DatabaseUnderTest {
  readonly kind: DatabaseKind;
  /** A file's path, or a URL: what another process opens it by. */
  readonly place: string;
  /** Opens it, as another process would; closed when the test ends. */
  open(): Promise<Database>;
}

/** Makes an empty database, or skips the test where PostgreSQL is missing (with CI=true it fails) and returns undefined. Removed when the test ends. */
export type MakeDatabase = (t: TestContext, options?: DatabaseOptions) => Promise<DatabaseUnderTest | undefined>;

export interface DatabaseOptions {
  /** How PostgreSQL sorts text where nothing else is said, such as `en-US`; default: by bytes. */
  readonly icuLocale?: string;
}

/**
 * Declares `suite` twice, once for each engine. PostgreSQL is started at the first test that asks for it, once a file.
 *
 *     forEachDatabase((make) => {
 *       test("…", async (t) => {
 *         const place = await make(t);
 *         if (place === undefined) return;
 *         const database = await place.open();
 *
 * @param suite declares tests; what it declares is in a `describe` named after the engine
 */
export function forEachDatabase(suite: (make: MakeDatabase, kind: DatabaseKind) => void): void {
  for (const kind of ["sqlite", "postgresql"] as const)
    describe(kind === "sqlite" ? "on SQLite" : "on PostgreSQL", () => suite(databaseMaker(kind), kind));
}

/** For helpers that combine databases with other things. Called where tests are declared. */
export function databaseMaker(kind: DatabaseKind): MakeDatabase {
  let server: Promise<Postgresql> | undefined;
  after(async () => (await server)?.dispose());
  return async (t, { icuLocale } = {}) => {
    if (kind === "postgresql" && requireTool(t, "postgres") === undefined) return undefined;
    const dir = makeTempDir("signet-db-");
    const opened: Database[] = [];
    t.after(async () => {
      for (const database of opened) await database.close();
      dir.dispose();
    });
    const place =
      kind === "sqlite" ? dir.join("signet.db") : await (await (server ??= startPostgresql())).makeDatabase(icuLocale);
    return {
      kind,
      place,
      open: async () => {
        const database = await (kind === "sqlite" ? openSqlite(place) : openPostgresql(place));
        opened.push(database);
        return database;
      },
    };
  };
}
