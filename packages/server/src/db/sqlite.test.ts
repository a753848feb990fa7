import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { makeTempDir } from "@signet/testkit";
import { openSqlite } from "./sqlite.ts";

test("what is committed is read, what is not is not, and a second process sees it", async () => {
  using dir = makeTempDir("signet-db-");
  const path = join(dir.path, "signet.db");
  const database = await openSqlite(path);
  const insert = { digest: "sha256:aa", size: 3_000_000_000, location: "x", created_at: 1, touched_at: 1 };
  await database.write(async (writer) => {
    await writer.insertInto("blob").values(insert).execute();
    assert.deepEqual(await database.read.selectFrom("blob").selectAll().execute(), []);
  });
  await assert.rejects(
    database.write(async (writer) => {
      await writer.deleteFrom("blob").execute();
      throw new Error("stop");
    }),
    /stop/,
  );
  const second = await openSqlite(path);
  assert.deepEqual({ ...(await second.read.selectFrom("blob").selectAll().executeTakeFirstOrThrow()) }, insert);
  // Writers of two processes take turns; readers do not wait.
  await Promise.all(
    [database, second].flatMap((one, part) =>
      Array.from({ length: 20 }, (_, index) =>
        one.write(async (writer) => {
          await writer.selectFrom("blob").select("digest").execute();
          await writer
            .insertInto("blob")
            .values({ ...insert, digest: `${part}-${index}`, location: `${part}-${index}` })
            .execute();
        }),
      ),
    ),
  );
  const { count } = await second.read
    .selectFrom("blob")
    .select((e) => e.fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  assert.equal(count, 41);
  await second.close();
  await database.close();
});
