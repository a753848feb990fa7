/** Groups of accounts. Who leaves one loses what it gave at once (CVE-2025-23208 was a registry where that waited for the next log-in). */
import { StoreError } from "@signet/core";
import type { Database, Reader, Writer } from "../db/database.ts";
import { changeAccess } from "./access-change.ts";
import { unbindSubject } from "./account-bindings.ts";
import { checkAccountName } from "./account-names.ts";
import { findAccount } from "./accounts.ts";

export interface Group {
  readonly name: string;
  /** Names of its accounts, sorted. */
  readonly members: readonly string[];
}

/** @throws UsageError `access-name-malformed`, StoreError `access-entry-exists` */
export async function createGroup(database: Database, name: string, now: number): Promise<void> {
  checkAccountName(name, "group");
  await changeAccess(database, async (writer) => {
    const taken = await writer.selectFrom("account_group").select("id").where("name", "=", name).executeTakeFirst();
    if (taken !== undefined)
      throw new StoreError("access-entry-exists", `there is a group ${JSON.stringify(name)} already`);
    await writer.insertInto("account_group").values({ name, created_at: now }).execute();
  });
}

/**
 * Removes a group with its roles; its accounts stay.
 * @throws StoreError `access-entry-missing`; UsageError `last-admin`
 */
export async function removeGroup(database: Database, name: string): Promise<void> {
  await changeAccess(database, async (writer) => {
    const id = await findGroup(writer, name);
    await unbindSubject(writer, "group", id);
    await writer.deleteFrom("account_group").where("id", "=", id).execute();
  });
}

/**
 * Puts an account into a group; nothing happens when it is there.
 * @throws StoreError `access-entry-missing`
 */
export async function addMember(database: Database, group: string, account: string): Promise<void> {
  await changeAccess(database, async (writer) => {
    const row = { group_id: await findGroup(writer, group), account_id: (await findAccount(writer, account)).id };
    await writer
      .insertInto("group_member")
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
}

/**
 * Takes an account out of a group.
 * @throws StoreError `access-entry-missing`, also when it was not in it; UsageError `last-admin`
 */
export async function removeMember(database: Database, group: string, account: string): Promise<void> {
  await changeAccess(database, async (writer) => {
    const { numDeletedRows } = await writer
      .deleteFrom("group_member")
      .where("group_id", "=", await findGroup(writer, group))
      .where("account_id", "=", (await findAccount(writer, account)).id)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw new StoreError("access-entry-missing", `${account} is not in group ${group}`);
  });
}

/** All groups by name. */
export async function listGroups(reader: Reader): Promise<readonly Group[]> {
  const rows = await reader
    .selectFrom("account_group")
    .leftJoin("group_member", "group_member.group_id", "account_group.id")
    .leftJoin("account", "account.id", "group_member.account_id")
    .select(["account_group.name as group", "account.name as member"])
    .orderBy("account_group.name")
    .orderBy("account.name")
    .execute();
  const groups = new Map<string, string[]>();
  for (const { group, member } of rows) {
    const members = groups.get(group) ?? [];
    if (member !== null) members.push(member);
    groups.set(group, members);
  }
  return [...groups].map(([name, members]) => ({ name, members }));
}

/** @throws StoreError `access-entry-missing` */
export async function findGroup(reader: Reader | Writer, name: string): Promise<number> {
  const row = await reader.selectFrom("account_group").select("id").where("name", "=", name).executeTakeFirst();
  if (row !== undefined) return row.id;
  throw new StoreError("access-entry-missing", `no group ${JSON.stringify(name.slice(0, 150))}`);
}
