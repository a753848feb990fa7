/** What guards trust in the database: one row that every change of keys, tombstones and policies counts up, and that whoever stores a signature holds on to meanwhile. */
import { PostgresAdapter, sql } from "kysely";
import type { Writer } from "../db/database.ts";

/** What the audit log is told of a change; the members are those of its own events. */
export interface TrustChange {
  /** Milliseconds since 1970, UTC. */
  readonly at: number;
  /** The account. */
  readonly actor: string;
  readonly action: "key.add" | "key.withdraw" | "policy.change" | "signature.delete";
  /** A key's fingerprint, a signature's digest, a repository or a namespace. */
  readonly target: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Writes a change into the audit log, in the transaction that makes it. */
export type TrustAudit = (writer: Writer, change: TrustChange) => Promise<void>;

/** Who changes trust, when, and where that is written down. */
export interface TrustAuthor {
  /** The account. */
  readonly by: string;
  /** Milliseconds since 1970, UTC. */
  readonly now: number;
  readonly audit: TrustAudit;
}

/**
 * Keeps tombstones and keys as they are until the transaction ends: what was read of them still holds when a signature is committed. The first statement of the
 * transaction, before any repository is locked, so that nobody waits for each other in a circle. On SQLite every transaction that writes is alone anyway.
 */
export async function holdTrust(writer: Writer): Promise<void> {
  if (!(writer.getExecutor().adapter instanceof PostgresAdapter)) return;
  await sql`select number from change where scope = 'trust' for share`.execute(writer);
}

/** Counts a change of trust, and lets nobody store a signature until it is committed. The first statement of the transaction. */
export async function changeTrust(writer: Writer): Promise<void> {
  await writer
    .updateTable("change")
    .set({ number: sql`number + 1` })
    .where("scope", "=", "trust")
    .execute();
}
