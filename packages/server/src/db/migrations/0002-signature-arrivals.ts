/** Name, carrier and time of a signature belong to the repository that it came into: as parts of the signature, which all repositories share, they told one's readers of the others. */
import type { Kysely } from "kysely";
import { sql } from "kysely";

/** Makes the table and moves into it what is known. */
export async function separateSignatureArrivals(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("signature_arrival")
    .addColumn("repository_id", "integer", (column) => column.notNull().references("repository.id").onDelete("cascade"))
    .addColumn("signature_digest", "text", (column) =>
      column.notNull().references("signature.digest").onDelete("cascade"),
    )
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("carrier_digest", "text")
    .addColumn("arrived_at", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("signature_arrival_key", ["repository_id", "signature_digest"] as never)
    .execute();
  await db.schema
    .createIndex("signature_arrival_signature_digest")
    .on("signature_arrival")
    .columns(["signature_digest"])
    .execute();
  await sql`
    insert into signature_arrival (repository_id, signature_digest, name, carrier_digest, arrived_at)
    select distinct membership.repository_id, signature.digest, signature.name, signature.carrier_digest, signature.created_at
    from membership join signature on signature.digest = membership.unit_key
    where membership.unit_kind = 'signature'`.execute(db);
  await db.schema.alterTable("signature").dropColumn("name").execute();
  await db.schema.alterTable("signature").dropColumn("carrier_digest").execute();
}
