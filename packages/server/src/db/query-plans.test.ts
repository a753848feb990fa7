import assert from "node:assert/strict";
import test from "node:test";
import { makeTempDir } from "@signet/testkit";
import { openFilesystemStore } from "../blobs/filesystem.ts";
import type { DatabaseKind } from "./database.ts";
import { forEachDatabase } from "./databases.testing.ts";
import { fillLargeContent } from "./large-content.testing.ts";
import { explainQuery, recordQueries } from "./recorded-queries.testing.ts";
import { listMaintenance, listRequests } from "./request-queries.testing.ts";

/** So many that PostgreSQL goes by indexes rather than read a table; SQLite goes by the indexes that there are, whatever the tables hold. */
const IMAGES = 25_000;

/** Tables that grow with what is stored. */
const LARGE =
  "blob|manifest|manifest_blob|manifest_child|membership|pending|signature|signature_arrival|signature_carrier|tag|tombstone|upload|verification";

/** Steps that read a whole table. */
const wholeTable: Readonly<Record<DatabaseKind, RegExp>> = {
  postgresql: new RegExp(String.raw`Seq Scan on (${LARGE})\b`),
  // There are fewer paths than fit a few pages: PostgreSQL may read them all.
  sqlite: new RegExp(String.raw`^SCAN (${LARGE}|distribution)\b`),
};
/** Steps of SQLite that read all that a repository holds of a kind. PostgreSQL knows how much that is, and does it where it is little. */
const wholeRepository =
  /^SEARCH (membership|holder|pending) .*\((repository_id=\?|unit_kind=\?|repository_id=\? AND unit_kind=\?)\)|^SEARCH signature_carrier .*\(repository_id=\?\)/;

/** Steps that are taken for each row that another step finds, and read all that a repository holds. */
const perRow: Readonly<Record<DatabaseKind, RegExp>> = {
  postgresql: /Join Filter: .*\bh\.unit_key/,
  sqlite: /^SEARCH (membership|holder|h|c|signature_carrier) .*\(repository_id=\?\)/,
};

/** What is about all of a repository, however it is asked. */
const aboutWholeRepository = /sum\(size\)|count\(\*\)/;

forEachDatabase((make, kind) => {
  test("what requests wait for goes by indexes", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const dir = makeTempDir("signet-blobs-");
    t.after(() => dir.dispose());
    const store = await openFilesystemStore(dir.join("blobs"));
    t.after(() => store.close());
    const database = await place.open();
    const content = await fillLargeContent(database, IMAGES);
    const recorded = recordQueries(database);
    const found: string[] = [];
    let explained = 0;
    for (const request of listRequests(content, store)) {
      const { name, holdsAll } = request;
      await request.run(recorded.database);
      for (const query of recorded.take()) {
        const steps: readonly string[] = await explainQuery(database, database.read, query);
        explained += 1;
        const isWrong = (step: string) =>
          holdsAll !== true &&
          (wholeTable[kind].test(step) || (!aboutWholeRepository.test(query.sql) && wholeRepository.test(step)));
        for (const step of steps.filter(isWrong)) found.push(`${name}: ${step.trim()}\n  ${query.sql}`);
      }
    }
    assert.ok(explained > 100, String(explained));
    assert.deepEqual(found, []);

    // Maintenance goes through everything once; for each row, it must not go through all that the repository holds.
    const repeated: string[] = [];
    for (const request of listMaintenance()) {
      const { name } = request;
      await request.run(recorded.database);
      const queries = new Map(recorded.take().map((query) => [query.sql, query]));
      assert.notEqual(queries.size, 0, name);
      for (const query of queries.values()) {
        const steps: readonly string[] = await explainQuery(database, database.read, query);
        for (const step of steps.filter((one) => perRow[kind].test(one)))
          repeated.push(`${name}: ${step}\n  ${query.sql}`);
      }
    }
    assert.deepEqual(repeated, []);
  });
});
