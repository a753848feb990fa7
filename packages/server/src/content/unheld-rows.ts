/** Rows that hang on what a repository holds, once no version of it holds that any more. */
import { sql } from "kysely";
import type { Writer } from "../db/database.ts";
import type { UnitKind } from "../db/schema.ts";
import { type Unit, batches } from "./units.ts";

/** Forgets what hung on manifests and tags that no version of the repository holds any more. Nothing depends on it but the size of the table. */
export async function forgetCarriers(writer: Writer, repositoryId: number, units: readonly Unit[]): Promise<void> {
  for (const kind of ["manifest", "tag"] as const) {
    for (const batch of batches(keysOf(units, kind))) {
      await sql`delete from signature_carrier where repository_id = ${repositoryId} and unit_kind = ${kind}
        and unit_key in (${sql.join(batch)}) and not ${isHeld(repositoryId, kind, "signature_carrier.unit_key")}`.execute(
        writer,
      );
    }
  }
}

/** Forgets what was recorded of signatures that no version of the repository holds any more: a later one of the same bytes begins without results. */
export async function forgetRecorded(writer: Writer, repositoryId: number, units: readonly Unit[]): Promise<void> {
  const held = isHeld(repositoryId, "signature", "recorded_verification.signature_digest");
  for (const batch of batches(keysOf(units, "signature"))) {
    await sql`delete from recorded_verification where repository_id = ${repositoryId}
      and signature_digest in (${sql.join(batch)}) and not ${held}`.execute(writer);
  }
}

function keysOf(units: readonly Unit[], kind: UnitKind): readonly string[] {
  return [...new Set(units.filter((unit) => unit.kind === kind).map((unit) => unit.key))];
}

/** The condition that some version of the repository, not only the latest, holds what a column names. */
function isHeld(repositoryId: number, kind: UnitKind, column: string) {
  return sql`exists (select 1 from membership where membership.repository_id = ${repositoryId}
    and membership.unit_kind = ${kind} and membership.unit_key = ${sql.ref(column)})`;
}
