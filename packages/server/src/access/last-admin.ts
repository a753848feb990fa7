/** There is always somebody who may administer the server. */
import { UsageError } from "@signet/core";
import type { Writer } from "../db/database.ts";
import { isBindingOfAccount } from "./account-bindings.ts";

/**
 * Runs part of a change, and refuses it when it leaves the server without an account that may administer it: not disabled, and with the role `admin` of its own or by a
 * group. Where there was none before, as in a new database, nothing is refused.
 *
 * The transaction must hold off all other changes of access, as `changeAccess` does: else two that each leave one admin could leave none together.
 * @throws UsageError `last-admin`: then the transaction must not be committed
 */
export async function keepAdmin<T>(writer: Writer, change: () => Promise<T>): Promise<T> {
  const had = await hasAdmin(writer);
  const result = await change();
  if (!had || (await hasAdmin(writer))) return result;
  throw new UsageError("last-admin", "no account could administer the server any more", {
    hint: "make another account admin first: `signet admin user create NAME`, then `signet admin role grant admin NAME`; one that is disabled does not count",
  });
}

async function hasAdmin(writer: Writer): Promise<boolean> {
  const found = await writer
    .selectFrom("account")
    .innerJoin("role_binding", (join) => join.on(isBindingOfAccount))
    .select("account.id")
    .where("account.disabled", "=", 0)
    .where("role_binding.role", "=", "admin")
    .where("role_binding.target_kind", "=", "server")
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}
