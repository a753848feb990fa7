/** What an account may and by which proofs, read in one go and kept as long as the change number of access stays. */
import type { Database, Reader } from "../db/database.ts";
import { LRUCache } from "lru-cache";
import { isBindingOfAccount } from "./account-bindings.ts";
import { type Binding, type Rights, type Subject, joinBindings } from "./roles.ts";
import { type AccessEntry, parseTokenLimits } from "./scopes.ts";

/** Accounts kept: some kilobytes each. */
const MAX_ACCOUNTS = 10_000;

/** An account as it is now. */
export interface AccountRights {
  readonly account: NonNullable<Subject["account"]>;
  readonly isDisabled: boolean;
  readonly passwordVersion: number;
  readonly rights: Rights;
  /** Its access tokens by id. */
  readonly tokens: ReadonlyMap<
    string,
    { readonly expiresAt: number | null; readonly limits: readonly AccessEntry[] | null }
  >;
}

export interface RightsReader {
  /**
   * @param change the number that `readAccessChange` has just returned: what is answered is not older
   * @returns null when there is no such account
   */
  ofAccount(id: number, change: number): Promise<AccountRights | null>;
  /** What everybody may. */
  ofAnonymous(change: number): Promise<Rights>;
}

/** Every answer is of one moment: memberships and roles come in one statement, so that no two states are mixed. */
export function makeRightsReader(database: Database): RightsReader {
  const accounts = new LRUCache<number, AccountRights>({ max: MAX_ACCOUNTS });
  let anonymous: Rights | null = null;
  let known = 0;
  const keepOnly = (change: number): void => {
    if (change === known) return;
    known = change;
    anonymous = null;
    accounts.clear();
  };
  return {
    async ofAccount(id, change) {
      keepOnly(change);
      const kept = accounts.get(id);
      if (kept !== undefined) return kept;
      const read = await readAccountRights(database.read, id);
      // Meanwhile another request may have seen a newer number: what was read for the older one is not kept for it.
      if (read !== null && change === known) accounts.set(id, read);
      return read;
    },
    async ofAnonymous(change) {
      keepOnly(change);
      if (anonymous !== null) return anonymous;
      const read = joinBindings(await readAnonymousBindings(database.read));
      if (change === known) anonymous = read;
      return read;
    },
  };
}

async function readAnonymousBindings(reader: Reader): Promise<readonly Binding[]> {
  return await reader
    .selectFrom("role_binding")
    .select(["role", "target_kind as targetKind", "target"])
    .where("subject_kind", "=", "anonymous")
    .execute();
}

async function readAccountRights(reader: Reader, id: number): Promise<AccountRights | null> {
  const rows = await reader
    .selectFrom("account")
    .leftJoin("role_binding", (join) =>
      join.on((e) =>
        e.or([e("role_binding.subject_kind", "in", ["anonymous", "authenticated"]), isBindingOfAccount(e)]),
      ),
    )
    .select([
      "account.name",
      "account.kind",
      "account.disabled",
      "account.password_version",
      "role_binding.role",
      "role_binding.target_kind",
      "role_binding.target",
    ])
    .where("account.id", "=", id)
    .execute();
  const [first] = rows;
  if (first === undefined) return null;
  const tokens = await reader
    .selectFrom("access_token")
    .select(["id", "expires_at", "scopes"])
    .where("account_id", "=", id)
    .execute();
  return {
    account: { id, name: first.name, kind: first.kind },
    isDisabled: first.disabled !== 0,
    passwordVersion: first.password_version,
    rights: joinBindings(
      rows.flatMap(({ role, target_kind: targetKind, target }) =>
        role === null || targetKind === null || target === null ? [] : [{ role, targetKind, target }],
      ),
    ),
    tokens: new Map(
      tokens.map((token) => [
        token.id,
        {
          expiresAt: token.expires_at,
          limits: token.scopes === null ? null : parseTokenLimits(JSON.parse(token.scopes) as string[]),
        },
      ]),
    ),
  };
}
