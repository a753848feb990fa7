/** Checking the audit log: each entry against its own hash, each hash against the entry before, the last number against the count. */
import type { Reader } from "../db/database.ts";
import { type AuditEntry, FIRST_PREVIOUS_HASH, hashEntry } from "./audit-entry.ts";

/** Entries read at a time. */
const PAGE_ENTRIES = 1_000;
/** Faults that are named: after the first some more help to see where it begins and ends, thousands do not. */
const MAX_FAULTS = 100;

/** Something that is not as it was written. */
export interface AuditFault {
  /** The entry it was found at. */
  readonly sequence: number;
  readonly problem: string;
}

export interface AuditReport {
  /** Entries that were read. */
  readonly entries: number;
  /** The newest entry. An auditor who keeps this elsewhere can later show that nothing before it was written anew. */
  readonly head: { readonly sequence: number; readonly hash: string };
  /** Empty: the log is whole. At most 100. */
  readonly faults: readonly AuditFault[];
}

/** A head that was noted earlier, outside the database. */
export interface AuditAnchor {
  readonly sequence: number;
  readonly hash: string;
}

/**
 * Reads the whole log and reports every entry that was altered, removed, reordered or put in.
 *
 * Not found without an anchor: a log that somebody with the database in hand wrote anew from some entry on, with all hashes after it and the count.
 *
 * @param anchors heads noted earlier: each must still be in the log
 */
export async function verifyAuditLog(reader: Reader, anchors: readonly AuditAnchor[] = []): Promise<AuditReport> {
  const faults: AuditFault[] = [];
  const report = (sequence: number, problem: string): void => {
    if (faults.length < MAX_FAULTS) faults.push({ sequence, problem });
  };
  const wanted = new Map(anchors.map((anchor) => [anchor.sequence, anchor.hash]));
  // Read before the entries: what is written meanwhile comes after it.
  const { number: count } = await reader
    .selectFrom("change")
    .select("number")
    .where("scope", "=", "audit")
    .executeTakeFirstOrThrow();
  let entries = 0;
  let head = { sequence: 0, hash: FIRST_PREVIOUS_HASH };
  for (;;) {
    const page: readonly AuditEntry[] = await reader
      .selectFrom("audit_entry")
      .selectAll()
      .where("sequence", ">", head.sequence)
      .orderBy("sequence")
      .limit(PAGE_ENTRIES)
      .execute();
    for (const entry of page) {
      entries += 1;
      if (entry.sequence !== head.sequence + 1) {
        const missing = entry.sequence - head.sequence - 1;
        report(
          entry.sequence,
          missing === 1 ? "the entry before it is missing" : `${missing} entries before it are missing`,
        );
      }
      if (hashEntry(entry) !== entry.hash) report(entry.sequence, "it was altered: its hash is another one");
      if (entry.previous_hash !== head.hash) {
        report(
          entry.sequence,
          "it does not follow the entry before: one of them was altered, removed, moved or put in",
        );
      }
      const anchor = wanted.get(entry.sequence);
      wanted.delete(entry.sequence);
      if (anchor !== undefined && anchor !== entry.hash) {
        report(entry.sequence, `its hash is ${entry.hash}, and ${anchor} was noted: the log was written anew`);
      }
      head = { sequence: entry.sequence, hash: entry.hash };
    }
    if (page.length < PAGE_ENTRIES) break;
  }
  if (head.sequence < count) report(head.sequence + 1, `the log ends at ${head.sequence}, and ${count} were written`);
  for (const sequence of wanted.keys()) report(sequence, "an entry with this number was noted, and is not there");
  return { entries, head, faults };
}
