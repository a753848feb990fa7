/**
 * Lock-out: wrong passwords make an account wait, each longer than the one before, up to a bound.
 *
 * Two counts, so that nobody can keep an account's owner out by guessing. One is by account and network: it stops whoever guesses from one place. The other is by
 * account alone, for guesses from everywhere, and it binds only networks from which the account has not logged in lately: its owner comes in from the usual place
 * while strangers wait. Access tokens are 256 random bits, need no lock-out and have none; what was verified before an attack stays verified (`authenticate.ts`).
 */
import { createHash } from "node:crypto";
import type { Database, Reader, Writer } from "../db/database.ts";
import { LRUCache } from "lru-cache";

/** Wrong passwords in a row from one network before it waits: a person's typing errors. */
export const NETWORK_FREE_FAILURES = 5;
/** The same from all unknown networks together: more, since they are many people's, and one botnet's. */
export const ACCOUNT_FREE_FAILURES = 50;
/** The first wait; each further failure doubles it. */
const FIRST_LOCK_MS = 1_000;
/** The longest wait: at most 96 guesses a day go on, and whoever was locked out by mistake is back after a coffee. */
export const MAX_LOCK_MS: number = 15 * 60_000;
/** After so long without a wrong password, earlier ones are forgotten. */
const FORGET_MS = 24 * 3_600_000;
/** So long a network stays known after the last right password. */
const KNOWN_MS = 90 * 24 * 3_600_000;
/** A right password is written down at most so often: most log-ins write nothing. */
const SUCCESS_WRITTEN_MS = 24 * 3_600_000;
/** Networks kept by account; the least telling one is forgotten. */
const MAX_NETWORKS = 200;
/** Names without an account that are counted, in this process's memory: about 10 MB. */
const MAX_UNKNOWN_NAMES = 50_000;

/** Wrong passwords so far, and until when the next try must wait; in the past: when the last one came. */
export interface FailureCount {
  readonly failures: number;
  readonly lockedUntil: number | null;
}

const noFailure: FailureCount = { failures: 0, lockedUntil: null };

/** The count after one more wrong password. */
export function countFailure(count: FailureCount, freeFailures: number, now: number): FailureCount {
  const isForgotten = count.lockedUntil !== null && now - count.lockedUntil > FORGET_MS;
  const failures = isForgotten ? 1 : count.failures + 1;
  const wait = failures < freeFailures ? 0 : Math.min(MAX_LOCK_MS, FIRST_LOCK_MS * 2 ** (failures - freeFailures));
  return { failures, lockedUntil: now + wait };
}

/** Milliseconds that a try must still wait; never more than the bound, whatever another machine's clock wrote. */
function waitOf(count: FailureCount, now: number): number {
  return Math.min(MAX_LOCK_MS, Math.max(0, (count.lockedUntil ?? 0) - now));
}

/** Counts log-ins. An account is named by its id; a name without an account is counted alike, so that a wait does not tell which names exist. */
export interface LockOut {
  /** Milliseconds that a password from there must wait; 0: it may be tried. */
  wait(account: number | string, network: string, now: number): Promise<number>;
  fail(account: number | string, network: string, now: number): Promise<void>;
  /** After a right password: the network's failures are forgiven, and it is known. */
  succeed(account: number, network: string, now: number): Promise<void>;
}

export function makeLockOut(database: Database): LockOut {
  const unknownNames = new LRUCache<string, FailureCount>({ max: MAX_UNKNOWN_NAMES });
  // Hashed, since such names are as long as a client likes.
  const keyOf = (...parts: readonly string[]): string =>
    createHash("sha256").update(JSON.stringify(parts)).digest("base64");
  const keysOf = (name: string, network: string): readonly [string, string] => [keyOf(name, network), keyOf(name)];
  return {
    async wait(account, network, now) {
      if (typeof account === "number") return await readWait(database.read, account, network, now);
      const [own, all] = keysOf(account, network).map((key) => waitOf(unknownNames.get(key) ?? noFailure, now));
      return Math.max(own ?? 0, all ?? 0);
    },
    async fail(account, network, now) {
      if (typeof account === "number") return await writeFailure(database, account, network, now);
      const [own, all] = keysOf(account, network);
      unknownNames.set(own, countFailure(unknownNames.get(own) ?? noFailure, NETWORK_FREE_FAILURES, now));
      unknownNames.set(all, countFailure(unknownNames.get(all) ?? noFailure, ACCOUNT_FREE_FAILURES, now));
    },
    succeed: (account, network, now) => writeSuccess(database, account, network, now),
  };
}

/** Inside a transaction: forgets the wrong passwords of an account, so that it is let in again from everywhere. */
export async function forgiveFailures(writer: Writer, accountId: number): Promise<void> {
  const none = { failed_logins: 0, locked_until: null };
  await writer.updateTable("account").set(none).where("id", "=", accountId).execute();
  await writer.updateTable("login_network").set(none).where("account_id", "=", accountId).execute();
}

async function readWait(reader: Reader, accountId: number, network: string, now: number): Promise<number> {
  const row = await reader
    .selectFrom("account")
    .leftJoin("login_network", (join) =>
      join.onRef("login_network.account_id", "=", "account.id").on("login_network.network", "=", network),
    )
    .select([
      "account.failed_logins as accountFailures",
      "account.locked_until as accountLock",
      "login_network.failed_logins as networkFailures",
      "login_network.locked_until as networkLock",
      "login_network.succeeded_at as succeededAt",
    ])
    .where("account.id", "=", accountId)
    .executeTakeFirst();
  if (row === undefined) return 0;
  const own = waitOf({ failures: row.networkFailures ?? 0, lockedUntil: row.networkLock }, now);
  if (isKnown(row.succeededAt, now)) return own;
  return Math.max(own, waitOf({ failures: row.accountFailures, lockedUntil: row.accountLock }, now));
}

function isKnown(succeededAt: number | null, now: number): boolean {
  return succeededAt !== null && now - succeededAt < KNOWN_MS;
}

async function writeFailure(database: Database, accountId: number, network: string, now: number): Promise<void> {
  await database.write(async (writer) => {
    // A change of nothing locks the row on PostgreSQL: two wrong passwords at once are two.
    await writer
      .updateTable("account")
      .set((e) => ({ failed_logins: e.ref("failed_logins") }))
      .where("id", "=", accountId)
      .execute();
    const account = await writer
      .selectFrom("account")
      .select(["failed_logins", "locked_until"])
      .where("id", "=", accountId)
      .executeTakeFirst();
    if (account === undefined) return;
    const known = await writer
      .selectFrom("login_network")
      .selectAll()
      .where("account_id", "=", accountId)
      .where("network", "=", network)
      .executeTakeFirst();
    const own = countFailure(
      { failures: known?.failed_logins ?? 0, lockedUntil: known?.locked_until ?? null },
      NETWORK_FREE_FAILURES,
      now,
    );
    const counted = { failed_logins: own.failures, locked_until: own.lockedUntil, updated_at: now };
    if (known === undefined) {
      await makeRoom(writer, accountId);
      await writer
        .insertInto("login_network")
        .values({ account_id: accountId, network, succeeded_at: null, ...counted })
        .execute();
    } else {
      await writer
        .updateTable("login_network")
        .set(counted)
        .where("account_id", "=", accountId)
        .where("network", "=", network)
        .execute();
    }
    // Wrong passwords from a known network are its own affair.
    if (isKnown(known?.succeeded_at ?? null, now)) return;
    const all = countFailure(
      { failures: account.failed_logins, lockedUntil: account.locked_until },
      ACCOUNT_FREE_FAILURES,
      now,
    );
    await writer
      .updateTable("account")
      .set({ failed_logins: all.failures, locked_until: all.lockedUntil })
      .where("id", "=", accountId)
      .execute();
  });
}

async function writeSuccess(database: Database, accountId: number, network: string, now: number): Promise<void> {
  const known = await database.read
    .selectFrom("login_network")
    .select(["failed_logins", "succeeded_at"])
    .where("account_id", "=", accountId)
    .where("network", "=", network)
    .executeTakeFirst();
  const isWritten = now - (known?.succeeded_at ?? -Infinity) < SUCCESS_WRITTEN_MS;
  if (isWritten && known?.failed_logins === 0) return;
  const counted = { failed_logins: 0, locked_until: null, succeeded_at: now, updated_at: now };
  await database.write(async (writer) => {
    // The account's row first, as a failure does: two of them never wait for each other.
    const { numUpdatedRows } = await writer
      .updateTable("account")
      .set((e) => ({ failed_logins: e.ref("failed_logins") }))
      .where("id", "=", accountId)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) return;
    if (known === undefined) await makeRoom(writer, accountId);
    await writer
      .insertInto("login_network")
      .values({ account_id: accountId, network, ...counted })
      .onConflict((conflict) => conflict.columns(["account_id", "network"]).doUpdateSet(counted))
      .execute();
  });
}

/** Forgets the network that says least when there are as many as may be: one without a right password before one with, the oldest first. */
async function makeRoom(writer: Writer, accountId: number): Promise<void> {
  const networks = await writer
    .selectFrom("login_network")
    .select(["network", "succeeded_at", "updated_at"])
    .where("account_id", "=", accountId)
    .execute();
  if (networks.length < MAX_NETWORKS) return;
  const [least] = networks.sort(
    (one, other) => (one.succeeded_at ?? -1) - (other.succeeded_at ?? -1) || one.updated_at - other.updated_at,
  );
  if (least === undefined) return;
  await writer
    .deleteFrom("login_network")
    .where("account_id", "=", accountId)
    .where("network", "=", least.network)
    .execute();
}
