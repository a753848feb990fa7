/** Several manifests can carry one signature, and it lasts as long as one of them does: so all carriers are kept, for each repository. */
import type { Kysely } from "kysely";
import { sql } from "kysely";
import type { DatabaseKind } from "../database.ts";

/** Makes the table and fills it with what is known; also the index by which one account's uploads are counted. */
export async function listSignatureCarriers(db: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  // As in `membership`, so that the two are joined by their keys.
  const name = kind === "sqlite" ? sql`text collate binary` : sql`text collate "C"`;
  await db.schema
    .createTable("signature_carrier")
    .addColumn("repository_id", "integer", (column) => column.notNull().references("repository.id").onDelete("cascade"))
    .addColumn("signature_digest", "text", (column) =>
      column.notNull().references("signature.digest").onDelete("cascade"),
    )
    .addColumn("unit_kind", "text", (column) => column.notNull())
    .addColumn("unit_key", name, (column) => column.notNull())
    .addColumn("image_digest", "text", (column) => column.notNull())
    .addColumn("carrier_digest", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("signature_carrier_key", [
      "repository_id",
      "signature_digest",
      "unit_kind",
      "unit_key",
    ] as never)
    .execute();
  for (const columns of [
    ["signature_digest"],
    ["repository_id", "unit_kind", "unit_key"],
    ["repository_id", "image_digest"],
  ]) {
    await db.schema
      .createIndex(`signature_carrier_${columns.join("_")}`)
      .on("signature_carrier")
      .columns(columns)
      .execute();
  }
  // Until now a version held an attachment just as long as the tag named a manifest that carries it: wherever both are in one version, the one carries the other.
  await sql`
    insert into signature_carrier (repository_id, signature_digest, unit_kind, unit_key, image_digest, carrier_digest)
    select distinct held.repository_id, signature.digest, 'tag', tag.key, signature.manifest_digest, tag.manifest_digest
    from signature
    join membership held on held.unit_kind = 'signature' and held.unit_key = signature.digest
    join membership named on named.repository_id = held.repository_id and named.unit_kind = 'tag'
      and named.unit_key >= 'sha256-' || substr(signature.manifest_digest, 8) || '.sig '
      and named.unit_key < 'sha256-' || substr(signature.manifest_digest, 8) || '.sig!'
      and named.version_added < coalesce(held.version_removed, 2147483647)
      and held.version_added < coalesce(named.version_removed, 2147483647)
    join tag on tag.key = named.unit_key
    where signature.format = 'sigstore-attachment'`.execute(db);
  // Bundles and envelopes are the layer of their carrier as it is. What calls itself an attestation was not looked at when it came.
  await sql`
    insert into signature_carrier (repository_id, signature_digest, unit_kind, unit_key, image_digest, carrier_digest)
    select distinct held.repository_id, signature.digest, 'manifest', manifest.digest, signature.manifest_digest, manifest.digest
    from signature
    join membership held on held.unit_kind = 'signature' and held.unit_key = signature.digest
    join manifest_blob on manifest_blob.blob_digest = signature.digest
    join manifest on manifest.digest = manifest_blob.manifest_digest and manifest.subject_digest = signature.manifest_digest
    join membership carrier on carrier.repository_id = held.repository_id and carrier.unit_kind = 'manifest'
      and carrier.unit_key = manifest.digest
      and carrier.version_added < coalesce(held.version_removed, 2147483647)
      and held.version_added < coalesce(carrier.version_removed, 2147483647)
    where (signature.format = 'notation' and manifest.artifact_type = 'application/vnd.cncf.notary.signature')
    or (signature.format = 'sigstore-bundle' and manifest.artifact_type = 'application/vnd.dev.sigstore.bundle.v0.3+json'
      and (manifest.annotations not like '%"dev.sigstore.bundle.predicateType":%'
        or manifest.annotations like '%"dev.sigstore.bundle.predicateType":"https://sigstore.dev/cosign/sign/%'))`.execute(
    db,
  );
  await db.schema.alterTable("signature_arrival").dropColumn("carrier_digest").execute();
  await db.schema.createIndex("upload_account").on("upload").columns(["account"]).execute();
}
