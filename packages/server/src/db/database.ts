/** The database as the rest of the server sees it: one for reading, transactions for writing, whatever engine is behind. */
import type { Kysely, Transaction } from "kysely";
import type { Schema } from "./schema.ts";

export type DatabaseKind = "postgresql" | "sqlite";

/** Reads what is committed. */
export type Reader = Kysely<Schema>;
/** Reads and writes inside one transaction. */
export type Writer = Transaction<Schema>;

/**
 * An open database with all its tables.
 *
 * Both engines behave alike: a transaction is atomic and durable when `write` resolves, and readers never see a part of one. On SQLite they may see it whole some
 * milliseconds earlier; so what cannot be taken back, such as removing bytes, follows a `write` and never a mere look. SQLite lets one transaction write at a
 * time, in any process; PostgreSQL lets transactions that lock different rows go side by side, so that whatever is decided by what was read must first lock the row
 * that guards it (see `lockRepository`).
 */
export interface Database {
  readonly kind: DatabaseKind;
  readonly read: Reader;
  /** Runs `change` in one transaction: committed when it resolves, rolled back when it throws. Must not be called inside another `write`. */
  write<T>(change: (writer: Writer) => Promise<T>): Promise<T>;
  /**
   * Like {@link write}, and faster: atomic, seen by everybody, safe from the death of this process, but a loss of power may undo it as long as no later `write` has
   * resolved. For what nobody was promised, such as how far an upload is.
   */
  note<T>(change: (writer: Writer) => Promise<T>): Promise<T>;
  /** Runs `look` on one state of the database: whatever is committed meanwhile, its queries do not see it. Must not be called inside another one. */
  snapshot<T>(look: (reader: Reader) => Promise<T>): Promise<T>;
  /**
   * A number that is another one once anything was committed, by any process; undefined where only a query could tell. What was read under a mark holds as long as the
   * mark is the same.
   */
  mark(): number | undefined;
  /**
   * The mark at a moment of the present turn of the event loop, which costs all requests of the turn one look together. Shows what this process committed, and what
   * others had committed when the turn polled its sockets: enough to begin a request with, and never to end a reading with. {@link mark} renews it.
   */
  turnMark(): number | undefined;
  /** Throws a StoreError when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
