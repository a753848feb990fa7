import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import { makeTempDir } from "@signet/testkit";
import { addPending } from "../content/pending.ts";
import { commitVersion } from "../content/membership.ts";
import { ensureRepository, lockRepository } from "../content/repositories.ts";
import type { Database } from "../db/database.ts";
import { openSqlite } from "../db/sqlite.ts";
import type { AuditEvent } from "./audit-entry.ts";
import { appendAudit, auditedDatabase, readAuditHead } from "./audit-log.ts";
import { verifyAuditLog } from "./audit-verification.ts";

const event = (target: string, detail: AuditEvent["detail"] = {}): AuditEvent => ({
  at: 1_700_000_000_000,
  actor: "admin",
  action: "role.grant",
  target,
  detail,
});

async function fill(database: Database, count: number): Promise<void> {
  await database.write(async (writer) => {
    for (let index = 1; index <= count; index += 1) await appendAudit(writer, event(`target-${index}`));
  });
}

test("an entry is there when its change is, and is not when the change is rolled back", async () => {
  using dir = makeTempDir("signet-audit-");
  const database = await openSqlite(dir.join("db"));
  await fill(database, 2);
  const failing = database.write(async (writer) => {
    await appendAudit(writer, event("never"));
    throw new Error("stop");
  });
  await assert.rejects(failing, /stop/);
  await auditedDatabase(database, (name) => event(String(name))).write(async () => "changed");
  const report = await verifyAuditLog(database.read);
  assert.deepEqual(report.faults, []);
  assert.equal(report.entries, 3);
  assert.deepEqual(report.head, await readAuditHead(database.read));
  const targets = await database.read.selectFrom("audit_entry").select("target").orderBy("sequence").execute();
  assert.deepEqual(
    targets.map((row) => row.target),
    ["target-1", "target-2", "changed"],
  );
  await database.close();
});

test("the hash covers the bytes that docs/operations.md describes", async () => {
  using dir = makeTempDir("signet-audit-");
  const database = await openSqlite(dir.join("db"));
  await database.write((writer) => appendAudit(writer, event("täm/app", { role: "reader" })));
  const { hash } = await readAuditHead(database.read);
  const zeros = "0".repeat(64);
  const text = `signet-audit-1\n1:1\n13:1700000000000\n5:admin\n10:role.grant\n8:täm/app\n17:{"role":"reader"}\n64:${zeros}\n`;
  assert.equal(hash, createHash("sha256").update(text).digest("hex"));
  await database.close();
});

const tamperings: Readonly<Record<string, readonly string[]>> = {
  "an altered actor": ["update audit_entry set actor = 'nobody' where sequence = 3"],
  "an altered time": ["update audit_entry set at = at + 1 where sequence = 1"],
  "an altered detail": ["update audit_entry set detail = '{ }' where sequence = 6"],
  "an altered hash": ["update audit_entry set hash = replace(hash, substr(hash, 1, 1), 'f') where sequence = 2"],
  "a removed first row": ["delete from audit_entry where sequence = 1"],
  "a removed row": ["delete from audit_entry where sequence = 4"],
  "a removed last row": ["delete from audit_entry where sequence = 6"],
  "all rows removed": ["delete from audit_entry"],
  "a removed row with those after it renumbered": [
    "delete from audit_entry where sequence = 2",
    "update audit_entry set sequence = sequence - 1 where sequence > 2",
    "update change set number = 5 where scope = 'audit'",
  ],
  "two rows exchanged": [
    "update audit_entry set sequence = 99 where sequence = 2",
    "update audit_entry set sequence = 2 where sequence = 3",
    "update audit_entry set sequence = 3 where sequence = 99",
  ],
  "a row put in at the end": [
    "insert into audit_entry select 7, at, actor, action, target, detail, hash, hash from audit_entry where sequence = 6",
  ],
};

test("every tampering with a row is found", async (t) => {
  for (const [name, statements] of Object.entries(tamperings)) {
    await t.test(name, async () => {
      using dir = makeTempDir("signet-audit-");
      const database = await openSqlite(dir.join("db"));
      await fill(database, 6);
      const other = new DatabaseSync(dir.join("db"));
      for (const statement of statements) other.exec(statement);
      other.close();
      const { faults } = await verifyAuditLog(database.read);
      assert.notDeepEqual(faults, []);
      await database.close();
    });
  }
});

test("a log written anew with all its hashes is found by a head that was noted", async () => {
  using dir = makeTempDir("signet-audit-");
  const database = await openSqlite(dir.join("db"));
  await fill(database, 3);
  const noted = await readAuditHead(database.read);
  await database.write(async (writer) => {
    await writer.deleteFrom("audit_entry").execute();
    await writer.updateTable("change").set({ number: 0 }).where("scope", "=", "audit").execute();
  });
  await fill(database, 2);
  await database.write((writer) => appendAudit(writer, event("another")));
  assert.deepEqual((await verifyAuditLog(database.read)).faults, []);
  const found = await verifyAuditLog(database.read, [noted, { sequence: 9, hash: noted.hash }]);
  assert.deepEqual(
    found.faults.map((fault) => fault.sequence),
    [3, 9],
  );
  await database.close();
});

test("a new version of a repository leaves an entry that names what changed", async () => {
  using dir = makeTempDir("signet-audit-");
  const database = await openSqlite(dir.join("db"));
  const digest = `sha256:${"a".repeat(64)}`;
  const change = async (add: readonly string[], remove: readonly string[]): Promise<void> => {
    await database.write(async (writer) => {
      const { repositoryId } = await ensureRepository(writer, "team/app", 1);
      await addPending(writer, repositoryId, "manifest", digest, 1);
      const repository = await lockRepository(writer, repositoryId);
      const units = (keys: readonly string[]) => keys.map((key) => ({ kind: "signature" as const, key }));
      await commitVersion(writer, repository, { add: units(add), remove: units(remove) }, "ann", 5);
    });
  };
  await change(["sha256:01"], []);
  await change(["sha256:01"], []);
  await change([], ["sha256:01"]);
  const entries = await database.read.selectFrom("audit_entry").selectAll().orderBy("sequence").execute();
  assert.deepEqual(
    entries.map(({ actor, action, target, detail }) => [actor, action, target, JSON.parse(detail) as unknown]),
    [
      ["ann", "signature.add", "team/app", { version: 1, added: { signatures: ["sha256:01"] }, removed: {} }],
      ["ann", "signature.delete", "team/app", { version: 2, added: {}, removed: { signatures: ["sha256:01"] } }],
    ],
  );
  await database.close();
});
