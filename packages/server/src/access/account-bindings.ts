/** Which rows of `role_binding` are an account's: its own and those of its groups. Who counts as admin and what an account may go by this one rule. */
import type { Expression, ExpressionBuilder, SqlBool } from "kysely";
import type { Writer } from "../db/database.ts";
import type { Schema } from "../db/schema.ts";

/**
 * The condition of a join of `account` with `role_binding`: the binding is of the account itself, or of a group that it is in. Not those of everybody: whoever wants them asks for
 * `anonymous` and `authenticated` besides.
 */
export function isBindingOfAccount(e: ExpressionBuilder<Schema, "account" | "role_binding">): Expression<SqlBool> {
  return e.or([
    e.and([e("role_binding.subject_kind", "=", "account"), e("role_binding.subject_id", "=", e.ref("account.id"))]),
    e.and([
      e("role_binding.subject_kind", "=", "group"),
      e(
        "role_binding.subject_id",
        "in",
        e
          .selectFrom("group_member")
          .select("group_member.group_id")
          .whereRef("group_member.account_id", "=", "account.id"),
      ),
    ]),
  ]);
}

/** Takes all roles of an account or a group that is being removed, inside the transaction that does so: no foreign key does it, since the column is of either. */
export async function unbindSubject(writer: Writer, kind: "account" | "group", id: number): Promise<void> {
  await writer.deleteFrom("role_binding").where("subject_kind", "=", kind).where("subject_id", "=", id).execute();
}
