import assert from "node:assert/strict";
import test from "node:test";
import { UsageError } from "@signet/core";
import type { Database } from "../db/database.ts";
import { forEachDatabase } from "../db/databases.testing.ts";
import { readAccessChange } from "./access-change.ts";
import { createAccount, createFirstAdmin, listAccounts, removeAccount, setDisabled } from "./accounts.ts";
import { addMember, createGroup, listGroups, removeGroup, removeMember } from "./groups.ts";
import { type RoleBinding, bindRole, listRoleBindings, unbindRole } from "./role-bindings.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");

const adminOf = (kind: "account" | "group", name: string): RoleBinding => ({
  subject: { kind, name },
  role: "admin",
  targetKind: "server",
  target: "",
});

async function makeRobot(database: Database, name: string): Promise<void> {
  await createAccount(database, { name, kind: "robot", password: null }, NOW);
}

/** Everything that a change of access can have changed. */
async function read(database: Database): Promise<unknown> {
  return [
    await listAccounts(database.read, { after: "", limit: 100 }),
    await listGroups(database.read),
    await listRoleBindings(database.read),
    await readAccessChange(database),
  ];
}

async function assertRefused(database: Database, change: () => Promise<unknown>): Promise<void> {
  const before = await read(database);
  await assert.rejects(change, (error: unknown) => {
    assert(error instanceof UsageError && error.code === "last-admin");
    assert.match(error.hint ?? "", /another account admin first: .*signet admin role grant admin NAME/);
    return true;
  });
  assert.deepEqual(await read(database), before);
}

forEachDatabase((make) => {
  test("the last admin by a role of its own is neither removed nor disabled, and keeps the role", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const database = await place.open();
    await createFirstAdmin(database, "correct horse", NOW);
    const refused = async (): Promise<void> => {
      await assertRefused(database, () => removeAccount(database, "admin"));
      await assertRefused(database, () => setDisabled(database, "admin", true));
      await assertRefused(database, () => unbindRole(database, adminOf("account", "admin")));
    };
    await refused();
    // Others that are less, or are admin and shut out, are no admins.
    await makeRobot(database, "robot$a");
    await bindRole(database, { ...adminOf("account", "robot$a"), role: "maintainer" }, NOW);
    await refused();
    await setDisabled(database, "robot$a", true);
    await bindRole(database, adminOf("account", "robot$a"), NOW);
    await refused();
    // The others of a role that is not the last one go as ever.
    await unbindRole(database, { ...adminOf("account", "robot$a"), role: "maintainer" });
    await setDisabled(database, "robot$a", false);
    await unbindRole(database, adminOf("account", "admin"));
    await assertRefused(database, () => setDisabled(database, "robot$a", true));
    await removeAccount(database, "admin");
    await assertRefused(database, () => removeAccount(database, "robot$a"));
  });

  test("the last admin by a group stays in it, and the group keeps its role", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const database = await place.open();
    await createFirstAdmin(database, "correct horse", NOW);
    await createGroup(database, "admins", NOW);
    await bindRole(database, adminOf("group", "admins"), NOW);
    // A group without anybody administers nothing.
    await assertRefused(database, () => removeAccount(database, "admin"));
    for (const name of ["robot$a", "robot$b"]) {
      await makeRobot(database, name);
      await addMember(database, "admins", name);
    }
    await removeAccount(database, "admin");
    await setDisabled(database, "robot$a", true);
    await assertRefused(database, () => removeMember(database, "admins", "robot$b"));
    await assertRefused(database, () => removeGroup(database, "admins"));
    await assertRefused(database, () => unbindRole(database, adminOf("group", "admins")));
    await assertRefused(database, () => setDisabled(database, "robot$b", true));
    await assertRefused(database, () => removeAccount(database, "robot$b"));
    // By a second group it is admin still.
    await createGroup(database, "others", NOW);
    await addMember(database, "others", "robot$b");
    await bindRole(database, adminOf("group", "others"), NOW);
    await removeGroup(database, "admins");
    await assertRefused(database, () => removeMember(database, "others", "robot$b"));
    await bindRole(database, adminOf("account", "robot$b"), NOW);
    await removeGroup(database, "others");
  });

  test("of two that each take one of the last two admins at once, one is refused", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const [database, other] = [await place.open(), await place.open()];
    await createFirstAdmin(database, "correct horse", NOW);
    for (let round = 0; round < 10; round += 1) {
      await makeRobot(database, "robot$a");
      await bindRole(database, adminOf("account", "robot$a"), NOW);
      const outcomes = await Promise.allSettled([
        setDisabled(database, "admin", true),
        round % 2 === 0 ? removeAccount(other, "robot$a") : unbindRole(other, adminOf("account", "robot$a")),
      ]);
      const failures = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason as UsageError] : []));
      assert.deepEqual(
        failures.map(({ code }) => code),
        ["last-admin"],
      );
      await bindRole(database, adminOf("account", "admin"), NOW);
      await setDisabled(database, "admin", false);
      if (outcomes[1]?.status === "rejected" || round % 2 === 1) await removeAccount(database, "robot$a");
    }
  });

  test("where there is no admin yet, accounts and roles come and go", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const database = await place.open();
    await makeRobot(database, "robot$a");
    await setDisabled(database, "robot$a", true);
    await removeAccount(database, "robot$a");
  });
});
