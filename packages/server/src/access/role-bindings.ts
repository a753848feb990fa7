/** Who has which role where. */
import { StoreError, UsageError } from "@signet/core";
import { isRepositoryPath } from "../content/names.ts";
import type { Database, Reader, Writer } from "../db/database.ts";
import type { RoleBindingTable } from "../db/schema.ts";
import { changeAccess, moveAccessChange } from "./access-change.ts";
import { findAccount } from "./accounts.ts";
import { findGroup } from "./groups.ts";
import type { Binding } from "./roles.ts";

/** Who a role is given to. `authenticated` is every account; `anonymous` everybody, accounts too. */
export type BindingSubject =
  | { readonly kind: "account" | "group"; readonly name: string }
  | { readonly kind: "anonymous" | "authenticated" };

export interface RoleBinding extends Binding {
  readonly subject: BindingSubject;
}

/**
 * Gives a role; nothing happens when the subject has it there. Whether the one who asks may do so is `decideOnGrant`'s to say.
 *
 * @param now milliseconds since 1970
 * @throws UsageError `role-binding-refused`; StoreError `access-entry-missing` for an unknown account or group. A repository or namespace need not exist yet
 */
export async function bindRole(database: Database, binding: RoleBinding, now: number): Promise<void> {
  checkBinding(binding);
  await changeAccess(database, async (writer) => {
    await writer
      .insertInto("role_binding")
      .values({ ...(await rowOf(writer, binding)), created_at: now })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
}

/**
 * Takes a role that was given to this subject at this very target.
 * @throws StoreError `access-entry-missing`; UsageError `last-admin`
 */
export async function unbindRole(database: Database, binding: RoleBinding): Promise<void> {
  await changeAccess(database, async (writer) => {
    const row = await rowOf(writer, binding);
    const { numDeletedRows } = await writer
      .deleteFrom("role_binding")
      .where((e) => e.and(row))
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw new StoreError("access-entry-missing", `no such role: ${describe(binding)}`);
  });
}

/**
 * Takes all roles at a repository that is being removed, inside the transaction that does so: a later one of that name begins without any.
 * @returns how many there were
 */
export async function unbindRepository(writer: Writer, name: string): Promise<number> {
  await moveAccessChange(writer);
  const { numDeletedRows } = await writer
    .deleteFrom("role_binding")
    .where("target_kind", "=", "repository")
    .where("target", "=", name)
    .executeTakeFirst();
  return Number(numDeletedRows);
}

/** All bindings, in the order in which they were made. */
export async function listRoleBindings(reader: Reader): Promise<readonly RoleBinding[]> {
  const rows = await reader
    .selectFrom("role_binding")
    .leftJoin("account", (join) =>
      join.onRef("account.id", "=", "role_binding.subject_id").on("role_binding.subject_kind", "=", "account"),
    )
    .leftJoin("account_group", (join) =>
      join.onRef("account_group.id", "=", "role_binding.subject_id").on("role_binding.subject_kind", "=", "group"),
    )
    .select(["subject_kind", "role", "target_kind", "target", "account.name as account", "account_group.name as group"])
    .orderBy("role_binding.id")
    .execute();
  return rows.map((row) => ({
    subject:
      row.subject_kind === "account" || row.subject_kind === "group"
        ? { kind: row.subject_kind, name: row.account ?? row.group ?? "" }
        : { kind: row.subject_kind },
    role: row.role,
    targetKind: row.target_kind,
    target: row.target,
  }));
}

function checkBinding(binding: RoleBinding): void {
  const { subject, role, targetKind, target } = binding;
  const refuse = (problem: string): never => {
    throw new UsageError("role-binding-refused", `${describe(binding)}: ${problem}`);
  };
  if (targetKind === "server" ? target !== "" : !isRepositoryPath(target)) refuse(`that names no ${targetKind}`);
  if (role === "admin" && targetKind !== "server") refuse("admin is a role on the whole server");
  // A wrong click must not open the server to everybody.
  if (subject.kind === "anonymous" && role !== "reader") refuse("anonymous clients can be no more than reader");
  if (subject.kind === "authenticated" && (role === "admin" || role === "maintainer")) {
    refuse(`not every account can be ${role}`);
  }
}

async function rowOf(
  reader: Reader | Writer,
  { subject, role, targetKind, target }: RoleBinding,
): Promise<Omit<RoleBindingTable, "created_at" | "id">> {
  let id = 0;
  if (subject.kind === "account") ({ id } = await findAccount(reader, subject.name));
  if (subject.kind === "group") id = await findGroup(reader, subject.name);
  return { subject_kind: subject.kind, subject_id: id, role, target_kind: targetKind, target };
}

function describe({ subject, role, targetKind, target }: RoleBinding): string {
  const who = "name" in subject ? `${subject.kind} ${subject.name}` : subject.kind;
  return `${role} on ${targetKind === "server" ? "the server" : `${targetKind} ${target}`} for ${who}`;
}
