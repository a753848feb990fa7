/** The number that grows with every change to accounts, groups, tokens, roles and token keys: what every cache of access is checked against. */
import type { Database, Writer } from "../db/database.ts";
import { keepAdmin } from "./last-admin.ts";

/** What was read last, under which mark of the database. */
const kept = new WeakMap<Database, { readonly mark: number; readonly number: number }>();

/**
 * The present number. Read it before what it is to stand for, so that what is cached is never older than it says. The database is asked only when something has been
 * committed since, where it can tell.
 */
export async function readAccessChange(database: Database): Promise<number> {
  const mark = database.turnMark();
  const last = kept.get(database);
  if (mark !== undefined && last?.mark === mark) return last.number;
  const { number } = await database.read
    .selectFrom("change")
    .select("number")
    .where("scope", "=", "access")
    .executeTakeFirstOrThrow();
  // Read after the mark: what was committed in between is in it, and the next request sees another mark.
  if (mark !== undefined) kept.set(database, { mark, number });
  return number;
}

/** Moves the number inside a transaction that changes access among other things, such as one that removes a repository. */
export async function moveAccessChange(writer: Writer): Promise<void> {
  await writer
    .updateTable("change")
    .set((e) => ({ number: e("number", "+", 1) }))
    .where("scope", "=", "access")
    .execute();
}

/**
 * Runs a change to the tables of access in one transaction, which also moves the number.
 *
 * Such changes go one after the other on PostgreSQL too, since the number's row is locked first: what `change` reads of these tables holds until it commits.
 *
 * One that would leave the server without an admin is refused, whatever it changes; see {@link keepAdmin}.
 *
 * @param change may run again after a serialization failure; it must do nothing but read and write
 * @throws UsageError `last-admin`
 */
export async function changeAccess<T>(database: Database, change: (writer: Writer) => Promise<T>): Promise<T> {
  return await database.write(async (writer) => {
    await moveAccessChange(writer);
    return await keepAdmin(writer, () => change(writer));
  });
}
