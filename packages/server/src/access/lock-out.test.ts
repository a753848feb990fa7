import assert from "node:assert/strict";
import test from "node:test";
import type { Database } from "../db/database.ts";
import { type OpenDatabase, forEachAccessDatabase } from "./database.testing.ts";
import { createAccount, unlockAccount } from "./accounts.ts";
import { ACCOUNT_FREE_FAILURES, MAX_LOCK_MS, NETWORK_FREE_FAILURES, countFailure, makeLockOut } from "./lock-out.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const DAY = 24 * 3_600_000;

test("waits begin after the free failures, double, are bounded, and are forgotten after a day", () => {
  let count = { failures: 0, lockedUntil: null as number | null };
  const waits: number[] = [];
  for (let index = 0; index < 20; index += 1) {
    count = { ...countFailure(count, 5, NOW) };
    waits.push((count.lockedUntil ?? 0) - NOW);
  }
  assert.deepEqual(waits.slice(0, 8), [0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000]);
  assert.equal(waits.at(-1), MAX_LOCK_MS);
  assert.equal(countFailure({ failures: 1_000_000, lockedUntil: NOW }, 5, NOW).lockedUntil, NOW + MAX_LOCK_MS);
  assert.deepEqual(countFailure(count, 5, NOW + MAX_LOCK_MS + DAY + 1), {
    failures: 1,
    lockedUntil: NOW + MAX_LOCK_MS + DAY + 1,
  });
});

function testLockOut(open: OpenDatabase): void {
  const makeAnn = async (database: Database): Promise<number> =>
    (await createAccount(database, { name: "ann", kind: "user", password: null }, NOW)).id;

  test("whoever guesses from one network waits there, in every process, and nobody else does", async (t) => {
    const database = await open(t);
    const ann = await makeAnn(database);
    const [one, other] = [makeLockOut(database), makeLockOut(database)];
    for (let index = 0; index < NETWORK_FREE_FAILURES; index += 1) {
      assert.equal(await one.wait(ann, "192.0.2.1", NOW), 0);
      await one.fail(ann, "192.0.2.1", NOW);
    }
    assert.equal(await other.wait(ann, "192.0.2.1", NOW), 1_000);
    assert.equal(await other.wait(ann, "192.0.2.1", NOW + 1_000), 0);
    assert.equal(await other.wait(ann, "192.0.2.2", NOW), 0);
    await one.succeed(ann, "192.0.2.1", NOW + 1_000);
    await one.fail(ann, "192.0.2.1", NOW + 1_000);
    assert.equal(await other.wait(ann, "192.0.2.1", NOW + 1_000), 0, "a right password forgives");
  });

  test("guesses from everywhere make strangers wait, and not the owner at the usual place", async (t) => {
    const database = await open(t);
    const ann = await makeAnn(database);
    const lockOut = makeLockOut(database);
    await lockOut.succeed(ann, "198.51.100.7", NOW);
    for (let index = 0; index < ACCOUNT_FREE_FAILURES + 30; index += 1)
      await lockOut.fail(ann, `network ${index}`, NOW);
    assert.equal(await lockOut.wait(ann, "a new network", NOW), MAX_LOCK_MS);
    assert.equal(await lockOut.wait(ann, "198.51.100.7", NOW), 0, "the owner comes in");
    assert.equal(await lockOut.wait(ann, "198.51.100.7", NOW + 91 * DAY), 0, "and the lock has ended by itself");
    await unlockAccount(database, "ann");
    assert.equal(await lockOut.wait(ann, "a new network", NOW), 0);
  });

  test("parallel failures are all counted", async (t) => {
    const database = await open(t);
    const ann = await makeAnn(database);
    const lockOut = makeLockOut(database);
    await Promise.all(Array.from({ length: 10 }, () => lockOut.fail(ann, "192.0.2.1", NOW)));
    const row = await database.read.selectFrom("login_network").selectAll().executeTakeFirstOrThrow();
    const account = await database.read.selectFrom("account").selectAll().executeTakeFirstOrThrow();
    assert.deepEqual([row.failed_logins, account.failed_logins], [10, 10]);
  });

  test("rows are bounded, and known networks outlast those of strangers", async (t) => {
    const database = await open(t);
    const ann = await makeAnn(database);
    const lockOut = makeLockOut(database);
    await lockOut.succeed(ann, "home", NOW - 1_000);
    for (let index = 0; index < 210; index += 1) await lockOut.fail(ann, `network ${index}`, NOW + index);
    await lockOut.succeed(ann, "office", NOW + 500);
    const rows = await database.read.selectFrom("login_network").select("network").execute();
    const networks = rows.map(({ network }) => network);
    assert.equal(networks.length, 200);
    assert(networks.includes("home") && networks.includes("office") && networks.includes("network 209"));
    assert(!networks.includes("network 0"));
  });

  test("a clock that another machine set wrong locks no longer than the bound", async (t) => {
    const database = await open(t);
    const ann = await makeAnn(database);
    const lockOut = makeLockOut(database);
    for (let index = 0; index < 30; index += 1) await lockOut.fail(ann, "192.0.2.1", NOW + 1_000 * DAY);
    assert.equal(await lockOut.wait(ann, "192.0.2.1", NOW), MAX_LOCK_MS);
  });

  test("names without an account wait like accounts, and leave nothing in the database", async (t) => {
    const database = await open(t);
    const ann = await makeAnn(database);
    const lockOut = makeLockOut(database);
    for (let index = 0; index < 70; index += 1) {
      const network = `network ${index % 3}`;
      assert.equal(await lockOut.wait("nobody", network, NOW), await lockOut.wait(ann, network, NOW));
      await lockOut.fail("nobody", network, NOW);
      await lockOut.fail(ann, network, NOW);
    }
    assert.equal(await lockOut.wait("nobody", "new", NOW), await lockOut.wait(ann, "new", NOW));
    const rows = await database.read.selectFrom("login_network").select("account_id").execute();
    assert(rows.every(({ account_id: id }) => id === ann));
  });
}

forEachAccessDatabase(testLockOut);
