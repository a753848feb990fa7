/** Accounts of people and robots. Every change moves the change number of access, so that it counts at once in every process. */
import { StoreError, UsageError } from "@signet/core";
import type { Database, Reader, Writer } from "../db/database.ts";
import { changeAccess } from "./access-change.ts";
import { unbindSubject } from "./account-bindings.ts";
import { checkAccountName } from "./account-names.ts";
import { forgiveFailures } from "./lock-out.ts";
import { checkNewPassword, hashPassword, makeRandomPassword } from "./passwords.ts";

/** The account of the first start. */
const ADMIN_NAME = "admin";
/** Accounts in one answer of a list. */
const MAX_LISTED = 1_000;

export interface Account {
  readonly id: number;
  readonly name: string;
  readonly kind: "robot" | "user";
  readonly isDisabled: boolean;
  readonly hasPassword: boolean;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

export interface NewAccount {
  readonly name: string;
  readonly kind: "robot" | "user";
  /** Null: none, so that it logs in with access tokens alone. Robots have none. */
  readonly password: string | null;
}

/**
 * Makes an account that may nothing yet.
 * @param now milliseconds since 1970
 * @throws UsageError `access-name-malformed`, `password-refused`; StoreError `access-entry-exists`
 */
export async function createAccount(database: Database, account: NewAccount, now: number): Promise<Account> {
  checkAccountName(account.name, account.kind);
  if (account.kind === "robot" && account.password !== null) refuseRobotPassword();
  const hash = account.password === null ? null : await hashPassword(account.password);
  const id = await changeAccess(database, (writer) => insertAccount(writer, { ...account, hash }, now));
  return { id, name: account.name, kind: account.kind, isDisabled: false, hasPassword: hash !== null, createdAt: now };
}

/**
 * Gives an account a new password. What was proved by the old one (bearer tokens, cached log-ins) ends at once; access tokens stay.
 * @throws UsageError `password-refused`, StoreError `access-entry-missing`
 */
export async function setPassword(database: Database, name: string, password: string): Promise<void> {
  checkNewPassword(password);
  const { kind } = await findAccount(database.read, name);
  if (kind === "robot") refuseRobotPassword();
  const hash = await hashPassword(password);
  await changeAccess(database, async (writer) => {
    const { id } = await findAccount(writer, name);
    await writer
      .updateTable("account")
      .set((e) => ({ password_hash: hash, password_version: e("password_version", "+", 1) }))
      .where("id", "=", id)
      .execute();
    await forgiveFailures(writer, id);
  });
}

/**
 * Lets an account in again whose password was tried too often, from everywhere.
 * @throws StoreError `access-entry-missing`
 */
export async function unlockAccount(database: Database, name: string): Promise<void> {
  await database.write(async (writer) => {
    await forgiveFailures(writer, (await findAccount(writer, name)).id);
  });
}

/**
 * Shuts an account out, or lets it in again. Nothing of it is lost.
 * @throws StoreError `access-entry-missing`; UsageError `last-admin`
 */
export async function setDisabled(database: Database, name: string, isDisabled: boolean): Promise<void> {
  await changeAccess(database, async (writer) => {
    const { id } = await findAccount(writer, name);
    await writer
      .updateTable("account")
      .set({ disabled: isDisabled ? 1 : 0 })
      .where("id", "=", id)
      .execute();
  });
}

/**
 * Removes an account with its tokens, memberships and roles. A later account of that name inherits nothing.
 * @throws StoreError `access-entry-missing`; UsageError `last-admin`
 */
export async function removeAccount(database: Database, name: string): Promise<void> {
  await changeAccess(database, async (writer) => {
    const { id } = await findAccount(writer, name);
    await unbindSubject(writer, "account", id);
    await writer.deleteFrom("account").where("id", "=", id).execute();
  });
}

/**
 * Accounts by name.
 * @param page names after this one (empty: from the first), at most so many (and 1,000)
 */
export async function listAccounts(
  reader: Reader,
  page: { readonly after: string; readonly limit: number },
): Promise<readonly Account[]> {
  const rows = await reader
    .selectFrom("account")
    .selectAll()
    .where("name", ">", page.after)
    .orderBy("name")
    .limit(Math.min(page.limit, MAX_LISTED))
    .execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    kind: row.kind,
    isDisabled: row.disabled === 1,
    hasPassword: row.password_hash !== null,
    createdAt: row.created_at,
  }));
}

/**
 * Makes the account `admin`, who may everything, where there is no account at all.
 *
 * @param password what it is to be; undefined: a random one is made. Not looked at when there are accounts
 * @returns null when there were accounts; else the password if it was made here: it is nowhere else, and must be shown once
 * @throws UsageError `password-refused`
 */
export async function createFirstAdmin(
  database: Database,
  password: string | undefined,
  now: number,
): Promise<{ readonly name: string; readonly madePassword: string | null } | null> {
  if (await hasAccounts(database.read)) return null;
  const madePassword = password === undefined ? makeRandomPassword() : null;
  const hash = await hashPassword(password ?? madePassword ?? "");
  return await changeAccess(database, async (writer) => {
    // Another process may have been first.
    if (await hasAccounts(writer)) return null;
    const id = await insertAccount(writer, { name: ADMIN_NAME, kind: "user", hash }, now);
    await writer
      .insertInto("role_binding")
      .values({
        subject_kind: "account",
        subject_id: id,
        role: "admin",
        target_kind: "server",
        target: "",
        created_at: now,
      })
      .execute();
    return { name: ADMIN_NAME, madePassword };
  });
}

/** @throws StoreError `access-entry-missing` */
export async function findAccount(
  reader: Reader | Writer,
  name: string,
): Promise<{ readonly id: number; readonly kind: "robot" | "user" }> {
  const row = await reader.selectFrom("account").select(["id", "kind"]).where("name", "=", name).executeTakeFirst();
  if (row !== undefined) return row;
  throw new StoreError("access-entry-missing", `no account ${JSON.stringify(name.slice(0, 150))}`);
}

/**
 * Inside a change of access: adds an account whose name and hash were checked.
 * @throws StoreError `access-entry-exists`
 */
export async function insertAccount(
  writer: Writer,
  account: { readonly name: string; readonly kind: "robot" | "user"; readonly hash: string | null },
  now: number,
): Promise<number> {
  const taken = await writer.selectFrom("account").select("id").where("name", "=", account.name).executeTakeFirst();
  if (taken !== undefined) {
    throw new StoreError("access-entry-exists", `there is an account ${JSON.stringify(account.name)} already`);
  }
  const { id } = await writer
    .insertInto("account")
    .values({
      name: account.name,
      kind: account.kind,
      password_hash: account.hash,
      password_version: 1,
      disabled: 0,
      failed_logins: 0,
      locked_until: null,
      created_at: now,
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  return id;
}

async function hasAccounts(reader: Reader | Writer): Promise<boolean> {
  return (await reader.selectFrom("account").select("id").limit(1).executeTakeFirst()) !== undefined;
}

function refuseRobotPassword(): never {
  throw new UsageError("password-refused", "a robot account has no password", {
    hint: "make it an access token",
  });
}
