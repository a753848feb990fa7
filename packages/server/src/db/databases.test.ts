import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import test from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { sql } from "kysely";
import { makeTempDir, runChecked } from "@signet/testkit";
import type { Database } from "./database.ts";
import { forEachDatabase } from "./databases.testing.ts";
import { openPostgresql } from "./postgresql.ts";
import { openSqlite } from "./sqlite.ts";

const blob = { digest: "sha256:aa", size: 3_000_000_000, location: "x", created_at: 1_790_000_000_000, touched_at: 1 };

forEachDatabase((make, kind) => {
  test("what is committed is read, what is not is not, and another process sees the same", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const [database, other] = [await place.open(), await place.open()];
    assert.equal(database.kind, kind);
    await database.ping();
    await database.write(async (writer) => {
      await writer.insertInto("blob").values(blob).execute();
      assert.equal(await countBlobs(database), 0);
      assert.equal(await countBlobs(other), 0);
      assert.equal((await writer.selectFrom("blob").selectAll().execute()).length, 1);
    });
    await assert.rejects(
      database.write(async (writer) => {
        await writer.deleteFrom("blob").execute();
        throw new Error("stop");
      }),
      /^Error: stop$/,
    );
    assert.deepEqual({ ...(await other.read.selectFrom("blob").selectAll().executeTakeFirstOrThrow()) }, blob);
  });

  test("a mark tells of every commit at once, that of a turn of its own process' commits at once and of others' in the next turn", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const [database, other] = [await place.open(), await place.open()];
    if (kind === "postgresql") {
      assert.deepEqual([database.mark(), database.turnMark()], [undefined, undefined]);
      return;
    }
    const insert = ({ read }: Pick<Database, "read">, digest: string): Promise<unknown> =>
      read
        .insertInto("blob")
        .values({ ...blob, digest, location: digest })
        .execute();
    const commit = (one: Database, digest: string): Promise<unknown> =>
      one.note((writer) => insert({ read: writer }, digest));
    const before = database.turnMark();
    assert.equal(database.mark(), before);
    await commit(database, "sha256:01");
    const own = database.turnMark();
    assert.notEqual(own, before);
    await commit(other, "sha256:02");
    await nextTurn();
    const others = database.turnMark();
    assert.notEqual(others, own);
    // In the middle of the turn, as a process beside this one may commit.
    const seen: (number | undefined)[] = [];
    await insert(other, "sha256:03").then(() => seen.push(database.turnMark(), database.mark(), database.turnMark()));
    assert.deepEqual(seen.slice(0, 1), [others]);
    assert.notEqual(seen[1], others);
    assert.equal(seen[2], seen[1]);
  });

  test("a statement that fails leaves nothing of its transaction, and the next one works", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const database = await place.open();
    const twice = database.write(async (writer) => {
      await writer.insertInto("blob").values(blob).execute();
      await writer.insertInto("blob").values(blob).execute();
    });
    await assert.rejects(twice);
    assert.equal(await countBlobs(database), 0);
    await database.write(async (writer) => void (await writer.insertInto("blob").values(blob).execute()));
    assert.equal(await countBlobs(database), 1);
  });

  test("numbers, flags, text and bytes come back as they were", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const database = await place.open();
    const manifest = {
      digest: "sha256:bb",
      media_type: "application/vnd.oci.image.manifest.v1+json",
      artifact_type: null,
      bytes: new Uint8Array([0, 1, 0x7f, 0x80, 0xff]),
      size: 5,
      config_digest: null,
      subject_digest: "sha256:'\"\\é\u{1f511}",
      os: "",
      architecture: null,
      variant: null,
      annotations: "{}",
      total_size: Number.MAX_SAFE_INTEGER,
      created_at: -1,
      touched_at: 0,
    };
    await database.write(async (writer) => void (await writer.insertInto("manifest").values(manifest).execute()));
    const found = await database.read.selectFrom("manifest").selectAll().executeTakeFirstOrThrow();
    assert.deepEqual({ ...found, bytes: new Uint8Array(found.bytes) }, manifest);
  });

  test("writers of two processes take turns, and no change of theirs is lost", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const databases = [await place.open(), await place.open()];
    await databases[0]!.write(
      async (writer) =>
        void (await writer
          .insertInto("blob")
          .values({ ...blob, size: 0 })
          .execute()),
    );
    await Promise.all(
      databases.flatMap((database, part) =>
        Array.from({ length: 20 }, (_, index) =>
          database.write(async (writer) => {
            await writer
              .updateTable("blob")
              .set((e) => ({ size: e("size", "+", 1) }))
              .where("digest", "=", blob.digest)
              .execute();
            const digest = `sha256:${part}-${index}`;
            await writer
              .insertInto("blob")
              .values({ ...blob, digest, location: digest })
              .execute();
          }),
        ),
      ),
    );
    const { size } = await databases[1]!.read
      .selectFrom("blob")
      .select("size")
      .where("digest", "=", blob.digest)
      .executeTakeFirstOrThrow();
    assert.deepEqual([size, await countBlobs(databases[0]!)], [40, 41]);
  });

  test("processes that open and close databases, new and old, at the same time make the tables once", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const places = [place];
    while (places.length < 10) places.push((await make(t))!);
    const opener = kind === "sqlite" ? "openSqlite" : "openPostgresql";
    // Each database is new once, then old beside the others; the first process to close one meets those that open it.
    const program = `
      import { ${opener} } from ${JSON.stringify(import.meta.resolve(`./${kind}.ts`))};
      const places = ${JSON.stringify(places.map((each) => each.place))};
      let blobs = 0;
      for (const place of places.flatMap((each) => [each, places[0], each])) {
        const database = await ${opener}(place);
        blobs += (await database.read.selectFrom("blob").selectAll().execute()).length;
        await database.close();
      }
      console.log(blobs);`;
    const processes = Array.from({ length: 4 }, () =>
      runChecked(process.execPath, ["--conditions=@signet/source", "--input-type=module", "-e", program]),
    );
    assert.deepEqual(
      (await Promise.all(processes)).map(({ stdout }) => stdout.trim()),
      ["0", "0", "0", "0"],
    );
    // And connections of one process.
    await Promise.all(Array.from({ length: 6 }, () => places[1]!.open()));
    const database = await place.open();
    const { rows } = await sql<{ position: number; name: string }>`select * from migration order by position`.execute(
      database.read,
    );
    assert.deepEqual(
      rows.map(({ position }) => position),
      rows.map((_, index) => index),
    );
    assert.ok(rows.length > 0);
  });

  test("a database that a newer or another program has used is refused, and left as it is", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const database = await place.open();
    await database.write(
      async (writer) => void (await sql`insert into migration values (1000, '1000-future')`.execute(writer)),
    );
    await assert.rejects(place.open(), {
      code: "database-unusable",
      message: /newer program: it has migration "1000-future"/,
      hint: /./,
    });
    await database.write(async (writer) => {
      await sql`delete from migration where position = 1000`.execute(writer);
      await sql`update migration set name = 'other' where position = 0`.execute(writer);
    });
    await assert.rejects(place.open(), {
      code: "database-unusable",
      message: /migration "other" where this program has "0001-/,
    });
    assert.equal(await countBlobs(database), 0);
  });

  if (kind === "postgresql") {
    test("transactions that lock rows crosswise are both done, one of them at its second try", async (t) => {
      const place = await make(t);
      if (place === undefined) return;
      const database = await place.open();
      await database.write(async (writer) => {
        await writer
          .insertInto("blob")
          .values([blob, { ...blob, digest: "sha256:cc", location: "y" }])
          .execute();
      });
      const locks = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      let attempts = 0;
      const lock = (own: number): Promise<void> =>
        database.write(async (writer) => {
          attempts += 1;
          const digests = ["sha256:aa", "sha256:cc"];
          for (const [step, digest] of (own === 0 ? digests : digests.toReversed()).entries()) {
            await writer
              .updateTable("blob")
              .set((e) => ({ size: e("size", "+", 1) }))
              .where("digest", "=", digest)
              .execute();
            if (step > 0) continue;
            locks[own]!.resolve();
            await locks[1 - own]!.promise;
          }
        });
      await Promise.all([lock(0), lock(1)]);
      // On a busy machine both may have been given up, and both tried again.
      assert.ok(attempts >= 3);
      const sizes = await database.read.selectFrom("blob").select("size").execute();
      assert.deepEqual(
        sizes.map(({ size }) => size - blob.size),
        [2, 2],
      );
    });

    test("what others made impossible is tried anew, twelve times at most; what fails by itself is not", async (t) => {
      const place = await make(t);
      if (place === undefined) return;
      const database = await place.open();
      for (const [state, failures, tries] of [
        ["40001", 1, 2],
        ["40P01", 1, 2],
        ["23503", 1, 2],
        ["40001", 11, 12],
        ["40001", 12, 12],
        ["23505", 1, 1],
        ["22000", 1, 1],
      ] as const) {
        let tried = 0;
        const change = database.write(async (writer) => {
          tried += 1;
          await writer
            .insertInto("blob")
            .values({ ...blob, digest: `sha256:${tried}`, location: String(tried) })
            .execute();
          if (tried <= failures)
            await sql`do ${sql.raw(`$$ begin raise exception 'made for the test' using errcode = '${state}'; end $$`)}`.execute(
              writer,
            );
        });
        const isDone = failures < tries;
        if (isDone) await change;
        else await assert.rejects(change, { code: state, message: "made for the test" });
        assert.equal(tried, tries);
        // Of the tries that failed nothing is left.
        const left = await database.read.selectFrom("blob").select("location").execute();
        assert.deepEqual(
          left.map(({ location }) => location),
          isDone ? [String(tries)] : [],
        );
        await database.write(async (writer) => void (await writer.deleteFrom("blob").execute()));
      }
    });

    test("a change whose row another removed meanwhile is tried anew, and sees that it is gone", async (t) => {
      const place = await make(t);
      if (place === undefined) return;
      const database = await place.open();
      await database.write(async (writer) => {
        await sql`create table held (digest text not null references blob (digest))`.execute(writer);
        await writer.insertInto("blob").values(blob).execute();
      });
      const seen: boolean[] = [];
      const hold = database.write(async (writer) => {
        const found = await writer.selectFrom("blob").select("digest").executeTakeFirst();
        seen.push(found !== undefined);
        if (found === undefined) return;
        await database.write(async (other) => void (await other.deleteFrom("blob").execute()));
        await sql`insert into held values (${found.digest})`.execute(writer);
      });
      await hold;
      assert.deepEqual(seen, [true, false]);
      assert.equal((await sql`select * from held`.execute(database.read)).rows.length, 0);
    });

    test("as many as there are tries, that all change one row at a time as they first saw it, are all done", async (t) => {
      const place = await make(t);
      if (place === undefined) return;
      const database = await place.open();
      await database.write(async (writer) => void (await writer.insertInto("blob").values(blob).execute()));
      // Each failure of one is the success of another, which then is done: nobody can fail more often than there are others.
      const writers = 12;
      const begun = Promise.withResolvers<void>();
      let tries = 0;
      const add = (): Promise<void> =>
        database.write(async (writer) => {
          await sql`set transaction isolation level repeatable read`.execute(writer);
          const { size } = await writer.selectFrom("blob").select("size").executeTakeFirstOrThrow();
          tries += 1;
          // All see the row before anybody has changed it.
          if (tries === writers) begun.resolve();
          await begun.promise;
          await writer
            .updateTable("blob")
            .set({ size: size + 1 })
            .execute();
        });
      await Promise.all(Array.from({ length: writers }, add));
      const { size } = await database.read.selectFrom("blob").select("size").executeTakeFirstOrThrow();
      assert.equal(size - blob.size, writers);
      assert.ok(tries >= writers + 11, String(tries));
    });
  }
});

test("what is no database is refused with the reason", async () => {
  using dir = makeTempDir("signet-db-");
  writeFileSync(dir.join("text"), "no database at all, but long enough to be looked at ".repeat(100));
  await assert.rejects(openSqlite(dir.join("text")), { code: "database-unusable", hint: /./ });
  await assert.rejects(openSqlite(dir.join("none", "signet.db")), { code: "database-unusable", hint: /./ });
  const url = `postgresql://somebody:secret-word@localhost/signet?host=${encodeURIComponent(dir.path)}`;
  await assert.rejects(openPostgresql(url), (error: Error & { code?: string }) => {
    assert.equal(error.code, "database-unusable");
    assert.doesNotMatch(JSON.stringify([error.message, String(error.cause)]), /secret-word/);
    return true;
  });
});

async function countBlobs({ read }: Database): Promise<number> {
  const { count } = await read
    .selectFrom("blob")
    .select((e) => e.fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  return count;
}
