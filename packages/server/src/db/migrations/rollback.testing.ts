/** Databases as an older program left them. For tests only: migrations go forward. */
import { sql } from "kysely";
import type { DatabaseKind, Writer } from "../database.ts";
import { byteOrdered } from "./0004-byte-order.ts";

/** As migration 0004 left it. */
export async function undoRecordedVerifications(writer: Writer): Promise<void> {
  await sql`drop table recorded_verification`.execute(writer);
  await sql`delete from migration where position = 4`.execute(writer);
}

/** As migration 0003 left it. */
export async function undoByteOrder(writer: Writer, kind: DatabaseKind): Promise<void> {
  await undoRecordedVerifications(writer);
  await sql`drop index distribution_repository_id`.execute(writer);
  await sql`drop index upload_repository_id`.execute(writer);
  for (const [table, names] of kind === "sqlite" ? [] : Object.entries(byteOrdered)) {
    for (const name of names)
      await sql`alter table ${sql.table(table)} alter column ${sql.ref(name)} type text collate "default"`.execute(
        writer,
      );
  }
  await sql`delete from migration where position = 3`.execute(writer);
}

/** As migration 0002 left it. Which manifest carried a signature last is not known again. */
export async function undoSignatureCarriers(writer: Writer, kind: DatabaseKind): Promise<void> {
  await undoByteOrder(writer, kind);
  await sql`drop table signature_carrier`.execute(writer);
  await sql`drop index upload_account`.execute(writer);
  await sql`alter table signature_arrival add column carrier_digest text`.execute(writer);
  await sql`delete from migration where position = 2`.execute(writer);
}

/** As migration 0001 left it: every signature has the name `old-name`. */
export async function undoSignatureArrivals(writer: Writer, kind: DatabaseKind): Promise<void> {
  await undoSignatureCarriers(writer, kind);
  await sql`drop table signature_arrival`.execute(writer);
  await sql`alter table signature add column carrier_digest text`.execute(writer);
  await sql`alter table signature add column name text not null default 'old-name'`.execute(writer);
  await sql`delete from migration where position = 1`.execute(writer);
}
