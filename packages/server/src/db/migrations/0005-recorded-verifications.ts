/** Verification results that auditors record, apart from the server's own judgements and for each repository by itself. */
import type { Kysely } from "kysely";
import { sql } from "kysely";
import type { DatabaseKind } from "../database.ts";

/** Makes the table. */
export async function keepRecordedVerifications(db: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  // In the order of bytes, as results are listed and continued after, whatever the locale of the database.
  const key = kind === "sqlite" ? sql`text collate binary` : sql`text collate "C"`;
  await db.schema
    .createTable("recorded_verification")
    .addColumn("repository_id", "integer", (column) => column.notNull().references("repository.id").onDelete("cascade"))
    .addColumn("image_digest", key, (column) => column.notNull())
    .addColumn("signature_digest", key, (column) => column.notNull().references("signature.digest").onDelete("cascade"))
    .addColumn("recorded_by", key, (column) => column.notNull())
    .addColumn("number", "integer", (column) => column.notNull())
    .addColumn("verdict", "text", (column) => column.notNull())
    .addColumn("expected_identity", "text", (column) => column.notNull())
    .addColumn("signing_key", "text")
    .addColumn("signed_identity", "text")
    .addColumn("reason", "text")
    .addColumn("size", "integer", (column) => column.notNull())
    .addColumn("verified_at", "bigint", (column) => column.notNull())
    .addColumn("since", "bigint", (column) => column.notNull())
    .addColumn("recorded_at", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("recorded_verification_key", [
      "repository_id",
      "image_digest",
      "signature_digest",
      "recorded_by",
      "number",
    ] as never)
    .execute();
  // By which results go with a signature, from one repository or from all.
  await db.schema
    .createIndex("recorded_verification_signature_digest_repository_id")
    .on("recorded_verification")
    .columns(["signature_digest", "repository_id"])
    .execute();
}
