/** Units of latest versions that lack what they are about: a tag or a signature without its manifest, or without one that carries it. */
import { type RawBuilder, sql } from "kysely";
import type { Reader, Writer } from "../db/database.ts";
import type { UnitKind } from "../db/schema.ts";
import type { Unit } from "./units.ts";

/** A unit of a repository. */
export interface UnitRow {
  readonly repository_id: number;
  readonly unit_kind: UnitKind;
  readonly unit_key: string;
}

/** One such unit. */
export interface Dangling {
  readonly row: UnitRow;
  readonly message: string;
}

/** Whether one unit lacks what it is about, in the repository's latest version. */
export async function isDangling(writer: Writer, repositoryId: number, unit: Unit): Promise<boolean> {
  const only = sql`and m.repository_id = ${repositoryId} and m.unit_kind = ${unit.kind} and m.unit_key = ${unit.key}`;
  for await (const _ of listDangling(writer, only)) return true;
  return false;
}

/**
 * Yields them all. A signature that manifests carry may come before its image, or stay behind; it lasts as long as one of them.
 * @param only which rows of `m`, a membership, are looked at
 */
export async function* listDangling(
  reader: Reader | Writer,
  only: RawBuilder<unknown> = sql``,
): AsyncGenerator<Dangling> {
  for (const [kind, table, key] of [
    ["tag", "tag", "key"],
    ["signature", "signature", "digest"],
  ] as const) {
    // With `offset` PostgreSQL asks for each row by its whole key. Else it reads all manifests of the repository for each, which it believes to be as many as an average one has.
    const { rows } = await sql<UnitRow & { manifest_digest: string }>`
      select m.repository_id, m.unit_kind, m.unit_key, u.manifest_digest
      from membership m join ${sql.table(table)} u on ${sql.ref(`u.${key}`)} = m.unit_key
      where m.unit_kind = ${kind} and m.version_removed is null ${only}
      and ${kind === "signature" ? sql`u.format = 'simple-signing'` : sql`1 = 1`}
      and not exists (select 1 from membership h where h.repository_id = m.repository_id and h.unit_kind = 'manifest'
        and h.unit_key = u.manifest_digest and h.version_removed is null limit 1 offset 0)`.execute(reader);
    for (const { manifest_digest: manifest, ...row } of rows) {
      yield { row, message: `the ${kind}'s manifest ${manifest} is not in the version` };
    }
  }
  const { rows } = await sql<UnitRow>`
    select m.repository_id, m.unit_kind, m.unit_key
    from membership m join signature s on s.digest = m.unit_key
    where m.unit_kind = 'signature' and m.version_removed is null and s.format <> 'simple-signing' ${only}
    and not exists (select 1 from signature_carrier c cross join membership h where h.repository_id = c.repository_id
      and h.unit_kind = c.unit_kind and h.unit_key = c.unit_key and h.version_removed is null
      and c.repository_id = m.repository_id and c.signature_digest = m.unit_key)`.execute(reader);
  for (const row of rows) yield { row, message: "no manifest of the version carries the signature" };
}
