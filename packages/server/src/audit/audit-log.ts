/** Writing the audit log: an entry is committed with the change that it tells of, or not at all. */
import { sql } from "kysely";
import type { Database, Reader, Writer } from "../db/database.ts";
import { type AuditEvent, FIRST_PREVIOUS_HASH, hashEntry } from "./audit-entry.ts";

/**
 * Adds an entry in the caller's transaction: durable with the change, without a second flush to disk.
 *
 * Should be the transaction's last statement. On PostgreSQL the row that counts entries stays locked until the transaction ends, so that writers take turns here; SQLite has one writer anyway.
 */
export async function appendAudit(writer: Writer, event: AuditEvent): Promise<void> {
  const { number: sequence } = await writer
    .updateTable("change")
    .set({ number: sql`number + 1` })
    .where("scope", "=", "audit")
    .returning("number")
    .executeTakeFirstOrThrow();
  const previous =
    sequence === 1
      ? undefined
      : await writer
          .selectFrom("audit_entry")
          .select("hash")
          .where("sequence", "=", sequence - 1)
          .executeTakeFirst();
  const entry = {
    sequence,
    at: event.at,
    actor: event.actor,
    action: event.action,
    target: event.target,
    detail: JSON.stringify(event.detail),
    // A missing predecessor is for `verifyAuditLog` to report; refusing here would let whoever removed a row stop every change.
    previous_hash: previous?.hash ?? FIRST_PREVIOUS_HASH,
  };
  await writer
    .insertInto("audit_entry")
    .values({ ...entry, hash: hashEntry(entry) })
    .execute();
}

/**
 * A database whose every change leaves an entry, in the same transaction: for functions that change accounts, roles and tokens and know nothing of the log.
 * @param describe what to say of a change, from what the change resolves to; undefined: nothing was changed
 */
export function auditedDatabase(database: Database, describe: (result: unknown) => AuditEvent | undefined): Database {
  return {
    ...database,
    write: (change) =>
      database.write(async (writer) => {
        const result = await change(writer);
        const event = describe(result);
        if (event !== undefined) await appendAudit(writer, event);
        return result;
      }),
  };
}

/** The newest entry by number and hash; sequence 0 when there is none. What an auditor writes down, to ask for it later. */
export async function readAuditHead(reader: Reader): Promise<{ readonly sequence: number; readonly hash: string }> {
  const row = await reader
    .selectFrom("audit_entry")
    .select(["sequence", "hash"])
    .orderBy("sequence", "desc")
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? { sequence: 0, hash: FIRST_PREVIOUS_HASH } : { sequence: row.sequence, hash: row.hash };
}
