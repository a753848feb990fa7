import assert from "node:assert/strict";
import test from "node:test";
import { createAccount, removeAccount, setDisabled } from "../access/accounts.ts";
import type { Database } from "../db/database.ts";
import { forEachDatabase } from "../db/databases.testing.ts";
import { pushImage } from "../trust/trust.testing.ts";
import { auditedDatabase } from "./audit-log.ts";
import { verifyAuditLog } from "./audit-verification.ts";

/** Processes that write at once, and changes of each. */
const WRITERS = 6;
const CHANGES = 12;

forEachDatabase((make) => {
  test("the chain is whole after many processes wrote at once, with an entry for each change and none for those that failed", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const databases: Database[] = [];
    for (let index = 0; index < WRITERS; index += 1) databases.push(await place.open());
    const audited = (database: Database, target: string): Database =>
      auditedDatabase(database, () => ({ at: 0, actor: "admin", action: "account.create", target, detail: {} }));
    const [expected, refused]: [string[], number[]] = [[], []];
    await Promise.all(
      databases.map(async (database, writer) => {
        for (let index = 0; index < CHANGES; index += 1) {
          // All try the same name; one can have it.
          const shared = `robot$shared-${index}`;
          const robot = (name: string) => ({ name, kind: "robot", password: null }) as const;
          const own = robot(`robot$w${writer}-${index}`);
          await createAccount(audited(database, own.name), own, 0);
          expected.push(own.name);
          await createAccount(audited(database, shared), robot(shared), 0).then(
            () => expected.push(shared),
            (error: unknown) => {
              assert.equal((error as { code?: string }).code, "access-entry-exists");
              refused.push(index);
            },
          );
          await setDisabled(audited(database, `${own.name} off`), own.name, true);
          expected.push(`${own.name} off`);
          // Changes of content take the same chain.
          await pushImage(database, `team/w${writer}`, index);
          await removeAccount(audited(database, `${own.name} gone`), own.name);
          expected.push(`${own.name} gone`);
        }
      }),
    );
    const [first] = databases;
    const report = await verifyAuditLog(first!.read);
    assert.deepEqual(report.faults, []);
    const rows = await first!.read.selectFrom("audit_entry").select(["action", "target"]).orderBy("sequence").execute();
    const ofAccounts = rows.filter((row) => row.action === "account.create").map((row) => row.target);
    assert.deepEqual(ofAccounts.sort(), expected.sort());
    assert.equal(refused.length, (WRITERS - 1) * CHANGES);
    assert.equal(rows.length, expected.length + WRITERS * CHANGES);
    assert.equal(report.entries, rows.length);
  });
});
