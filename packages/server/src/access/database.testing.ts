/** Runs the suites of access on both engines. For tests only. */
import test, { type TestContext } from "node:test";
import { findTool } from "@signet/testkit";
import type { Database } from "../db/database.ts";
import { forEachDatabase } from "../db/databases.testing.ts";

/** Opens an empty database, closed with the test. */
export type OpenDatabase = (t: TestContext) => Promise<Database>;

/** Declares `suite` once for each engine; where PostgreSQL is missing, one test says so and is skipped. */
export function forEachAccessDatabase(suite: (open: OpenDatabase) => void): void {
  forEachDatabase((make, kind) => {
    if (kind === "postgresql" && findTool("postgres") === undefined) {
      test("access", async (t) => {
        await make(t);
      });
      return;
    }
    suite(async (t) => {
      const place = await make(t);
      if (place === undefined) throw new Error("the database is missing");
      return await place.open();
    });
  });
}
