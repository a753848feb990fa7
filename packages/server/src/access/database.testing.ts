/** Databases for tests of access: each suite gets a function that opens an empty one, and closes it with the test. */
import type { TestContext } from "node:test";
import { makeTempDir } from "@signet/testkit";
import type { Database } from "../db/database.ts";
import { openSqlite } from "../db/sqlite.ts";

export async function openTestSqlite(t: TestContext): Promise<Database> {
  const dir = makeTempDir("signet-access-");
  const database = await openSqlite(dir.join("signet.db"));
  t.after(async () => {
    await database.close();
    dir.dispose();
  });
  return database;
}
