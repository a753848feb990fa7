/** Databases as an older program left them. For tests only: migrations go forward. */
import { sql } from "kysely";
import type { Writer } from "../database.ts";

/** As it was before results could be recorded. */
export async function undoRecordedVerifications(writer: Writer): Promise<void> {
  await sql`drop table recorded_verification`.execute(writer);
  await sql`delete from migration where name = '0005-recorded-verifications'`.execute(writer);
}

/** As migration 0002 left it. Which manifest carried a signature last is not known again. */
export async function undoSignatureCarriers(writer: Writer): Promise<void> {
  await undoRecordedVerifications(writer);
  await sql`drop table signature_carrier`.execute(writer);
  await sql`drop index upload_account`.execute(writer);
  await sql`alter table signature_arrival add column carrier_digest text`.execute(writer);
  await sql`delete from migration where position = 2`.execute(writer);
}

/** As migration 0001 left it: every signature has the name `old-name`. */
export async function undoSignatureArrivals(writer: Writer): Promise<void> {
  await undoSignatureCarriers(writer);
  await sql`drop table signature_arrival`.execute(writer);
  await sql`alter table signature add column carrier_digest text`.execute(writer);
  await sql`alter table signature add column name text not null default 'old-name'`.execute(writer);
  await sql`delete from migration where position = 1`.execute(writer);
}
