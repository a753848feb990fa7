/** The first tables: content, membership, access, trust, audit. */
import type { ColumnDataType, CreateTableBuilder, Kysely } from "kysely";
import { sql } from "kysely";
import type { DatabaseKind } from "../database.ts";

/** Makes the tables of an empty database; runs inside one transaction. */
export async function createRegistryTables(db: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  const bytes: ColumnDataType = kind === "sqlite" ? "blob" : "bytea";
  // Names are listed and continued after in the order of their bytes, whatever the locale that the database was made with.
  const name = kind === "sqlite" ? sql`text collate binary` : sql`text collate "C"`;
  // PostgreSQL's own sequence; SQLite's rowid, never used twice.
  const identity = (table: CreateTableBuilder<string>): CreateTableBuilder<string, "id"> =>
    kind === "sqlite"
      ? table.addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
      : table.addColumn("id", "integer", (column) => column.primaryKey().generatedAlwaysAsIdentity());
  const create = (table: string): CreateTableBuilder<string> => db.schema.createTable(table);
  const index = (table: string, columns: readonly string[], where?: string): Promise<void> => {
    const builder = db.schema
      .createIndex(`${table}_${columns.join("_")}`)
      .on(table)
      .columns([...columns]);
    return (where === undefined ? builder : builder.where(sql.raw(where) as never)).execute();
  };

  await create("blob")
    .addColumn("digest", "text", (column) => column.primaryKey())
    .addColumn("size", "bigint", (column) => column.notNull())
    .addColumn("location", "text", (column) => column.notNull().unique())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("touched_at", "bigint", (column) => column.notNull())
    .execute();

  await create("manifest")
    .addColumn("digest", "text", (column) => column.primaryKey())
    .addColumn("media_type", "text", (column) => column.notNull())
    .addColumn("artifact_type", "text")
    .addColumn("bytes", bytes, (column) => column.notNull())
    .addColumn("size", "bigint", (column) => column.notNull())
    .addColumn("config_digest", "text")
    .addColumn("subject_digest", "text")
    .addColumn("os", "text")
    .addColumn("architecture", "text")
    .addColumn("variant", "text")
    .addColumn("annotations", "text", (column) => column.notNull())
    .addColumn("total_size", "bigint", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("touched_at", "bigint", (column) => column.notNull())
    .execute();
  await index("manifest", ["subject_digest"], "subject_digest is not null");

  await create("manifest_blob")
    .addColumn("manifest_digest", "text", (column) =>
      column.notNull().references("manifest.digest").onDelete("cascade"),
    )
    .addColumn("blob_digest", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("manifest_blob_key", ["manifest_digest", "blob_digest"] as never)
    .execute();
  await index("manifest_blob", ["blob_digest"]);

  await create("manifest_child")
    .addColumn("manifest_digest", "text", (column) =>
      column.notNull().references("manifest.digest").onDelete("cascade"),
    )
    .addColumn("child_digest", "text", (column) => column.notNull())
    .addColumn("position", "integer", (column) => column.notNull())
    .addPrimaryKeyConstraint("manifest_child_key", ["manifest_digest", "position"] as never)
    .execute();
  await index("manifest_child", ["child_digest"]);

  await create("tag")
    .addColumn("key", name, (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("manifest_digest", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("touched_at", "bigint", (column) => column.notNull())
    .execute();
  await index("tag", ["manifest_digest"]);

  await create("signature")
    .addColumn("digest", "text", (column) => column.primaryKey())
    .addColumn("manifest_digest", "text", (column) => column.notNull())
    .addColumn("format", "text", (column) => column.notNull())
    .addColumn("claimed_reference", "text")
    .addColumn("claimed_at", "bigint")
    .addColumn("claimed_creator", "text")
    .addColumn("claimed_key_id", "text")
    .addColumn("claimed_fingerprint", "text")
    .addColumn("bytes", bytes, (column) => column.notNull())
    .addColumn("carrier_digest", "text")
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("touched_at", "bigint", (column) => column.notNull())
    .execute();
  await index("signature", ["manifest_digest"]);
  await index("signature", ["claimed_key_id"]);
  await index("signature", ["claimed_fingerprint"]);
  await index("signature", ["claimed_reference"]);

  await create("tombstone")
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("subject", "text", (column) => column.notNull())
    .addColumn("reason", "text", (column) => column.notNull())
    .addColumn("created_by", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("tombstone_key", ["kind", "subject"] as never)
    .execute();

  await identity(create("verification"))
    .addColumn("signature_digest", "text", (column) =>
      column.notNull().references("signature.digest").onDelete("cascade"),
    )
    .addColumn("keyring_version", "integer", (column) => column.notNull())
    .addColumn("verdict", "text", (column) => column.notNull())
    .addColumn("signer", "text")
    .addColumn("evidence", "text", (column) => column.notNull())
    .addColumn("verified_at", "bigint", (column) => column.notNull())
    .addColumn("verified_by", "text", (column) => column.notNull())
    .addColumn("valid_until", "bigint")
    .execute();
  await index("verification", ["signature_digest", "id"]);

  await identity(create("repository"))
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("description", "text", (column) => column.notNull())
    .addColumn("visibility", "text", (column) => column.notNull())
    .addColumn("pull_policy_mode", "text", (column) => column.notNull())
    .addColumn("pull_policy", "text")
    .addColumn("immutable_tags", "text", (column) => column.notNull())
    .addColumn("quota_bytes", "bigint")
    .addColumn("quota_tags", "integer")
    .addColumn("retain_versions", "integer", (column) => column.notNull())
    .addColumn("latest_version", "integer", (column) => column.notNull())
    .addColumn("change_number", "bigint", (column) => column.notNull())
    .addColumn("locked_by", "text")
    .addColumn("locked_until", "bigint")
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .execute();

  const repositoryKey = (column: Parameters<Parameters<CreateTableBuilder<string>["addColumn"]>[2] & object>[0]) =>
    column.notNull().references("repository.id").onDelete("cascade");

  await create("repository_version")
    .addColumn("repository_id", "integer", repositoryKey)
    .addColumn("number", "integer", (column) => column.notNull())
    .addColumn("created_by", "text", (column) => column.notNull())
    .addColumn("complete", "integer", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("repository_version_key", ["repository_id", "number"] as never)
    .execute();

  await create("membership")
    .addColumn("repository_id", "integer", repositoryKey)
    .addColumn("unit_kind", "text", (column) => column.notNull())
    .addColumn("unit_key", name, (column) => column.notNull())
    .addColumn("version_added", "integer", (column) => column.notNull())
    .addColumn("version_removed", "integer")
    .addPrimaryKeyConstraint("membership_key", ["repository_id", "unit_kind", "unit_key", "version_added"] as never)
    .execute();
  await index("membership", ["unit_kind", "unit_key"]);
  await index("membership", ["repository_id", "version_removed"], "version_removed is not null");

  await create("pending")
    .addColumn("repository_id", "integer", repositoryKey)
    .addColumn("unit_kind", "text", (column) => column.notNull())
    .addColumn("unit_key", name, (column) => column.notNull())
    .addColumn("added_at", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("pending_key", ["repository_id", "unit_kind", "unit_key"] as never)
    .execute();
  await index("pending", ["unit_kind", "unit_key"]);

  await create("distribution")
    .addColumn("path", name, (column) => column.primaryKey())
    .addColumn("repository_id", "integer", repositoryKey)
    .addColumn("version", "integer")
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .execute();

  await create("upload")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("repository_id", "integer", repositoryKey)
    .addColumn("account", "text", (column) => column.notNull())
    .addColumn("received", "bigint", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("updated_at", "bigint", (column) => column.notNull())
    .execute();
  await index("upload", ["updated_at"]);

  await identity(create("account"))
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("password_hash", "text")
    .addColumn("password_version", "integer", (column) => column.notNull())
    .addColumn("disabled", "integer", (column) => column.notNull())
    .addColumn("failed_logins", "integer", (column) => column.notNull())
    .addColumn("locked_until", "bigint")
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .execute();

  await create("login_network")
    .addColumn("account_id", "integer", (column) => column.notNull().references("account.id").onDelete("cascade"))
    .addColumn("network", "text", (column) => column.notNull())
    .addColumn("failed_logins", "integer", (column) => column.notNull())
    .addColumn("locked_until", "bigint")
    .addColumn("succeeded_at", "bigint")
    .addColumn("updated_at", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("login_network_key", ["account_id", "network"] as never)
    .execute();

  await identity(create("account_group"))
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .execute();

  await create("group_member")
    .addColumn("group_id", "integer", (column) => column.notNull().references("account_group.id").onDelete("cascade"))
    .addColumn("account_id", "integer", (column) => column.notNull().references("account.id").onDelete("cascade"))
    .addPrimaryKeyConstraint("group_member_key", ["group_id", "account_id"] as never)
    .execute();
  await index("group_member", ["account_id"]);

  await create("access_token")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("account_id", "integer", (column) => column.notNull().references("account.id").onDelete("cascade"))
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("secret_hash", "text", (column) => column.notNull().unique())
    .addColumn("scopes", "text")
    .addColumn("expires_at", "bigint")
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("last_used_at", "bigint")
    .addUniqueConstraint("access_token_name", ["account_id", "name"] as never)
    .execute();

  await identity(create("role_binding"))
    .addColumn("subject_kind", "text", (column) => column.notNull())
    .addColumn("subject_id", "integer", (column) => column.notNull())
    .addColumn("role", "text", (column) => column.notNull())
    .addColumn("target_kind", "text", (column) => column.notNull())
    .addColumn("target", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addUniqueConstraint("role_binding_once", ["subject_kind", "subject_id", "role", "target_kind", "target"] as never)
    .execute();

  await create("token_key")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("algorithm", "text", (column) => column.notNull())
    .addColumn("private_jwk", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("retired_at", "bigint")
    .execute();

  await create("trusted_key")
    .addColumn("fingerprint", "text", (column) => column.primaryKey())
    .addColumn("certificate", bytes, (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("reason", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .execute();

  await create("setting")
    .addColumn("name", "text", (column) => column.primaryKey())
    .addColumn("value", "text", (column) => column.notNull())
    .execute();

  await create("change")
    .addColumn("scope", "text", (column) => column.primaryKey())
    .addColumn("number", "bigint", (column) => column.notNull())
    .execute();

  await create("audit_entry")
    .addColumn("sequence", "integer", (column) => column.primaryKey())
    .addColumn("at", "bigint", (column) => column.notNull())
    .addColumn("actor", "text", (column) => column.notNull())
    .addColumn("action", "text", (column) => column.notNull())
    .addColumn("target", "text", (column) => column.notNull())
    .addColumn("detail", "text", (column) => column.notNull())
    .addColumn("previous_hash", "text", (column) => column.notNull())
    .addColumn("hash", "text", (column) => column.notNull())
    .execute();

  await sql`insert into change (scope, number) values ('access', 1), ('audit', 0), ('trust', 1)`.execute(db);
}
