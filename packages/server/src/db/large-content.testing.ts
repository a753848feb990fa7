/** A database with as much in it as a large installation has, made by SQL: rows only, no bytes behind them. For tests and measurements only. */
import { sql } from "kysely";
import type { Database } from "./database.ts";

/** Images for each repository; but the first repository holds every second image. */
const IMAGES_A_REPOSITORY = 20;
/** Milliseconds since 1970 at which everything was stored and touched. */
export const STORED_AT = 1_700_000_000_000;

/** Bytes that each blob is said to have. */
export const BLOB_BYTES = 1_000;

/** The texts that the content has, by number. */
export interface LargeContent {
  readonly repositories: number;
  readonly images: number;
  manifest(image: number): string;
  blob(number: number): string;
  signature(image: number): string;
  path(repository: number): string;
}

/**
 * Fills an empty database: for each image one manifest, four blobs of its own and one that others share, and one signature, half of them simple signing and half carried by a tag;
 * every second image has a tag, every eighth is a list, every eighth another's referrer, every fourth is in a second repository, some have left their repository or are pending.
 */
export async function fillLargeContent(database: Database, images: number): Promise<LargeContent> {
  const repositories = images / IMAGES_A_REPOSITORY;
  const isSqlite = database.kind === "sqlite";
  const hex = (number: string) => (isSqlite ? `printf('%016x', ${number})` : `lpad(to_hex(${number}), 16, '0')`);
  const series = (count: number) =>
    isSqlite
      ? `(with recursive s(i) as (select 0 union all select i + 1 from s where i < ${count - 1}) select i from s) as s`
      : `generate_series(0::bigint, ${count - 1}) as s(i)`;
  const digest = (kind: keyof typeof salts, number: string) =>
    `('sha256:' || ${["0", "1", "2", "3"].map((part) => hex(scatter(salts[kind] + part, number))).join(" || ")})`;
  const bytes = isSqlite ? "x'7b7d'" : String.raw`'\x7b7d'::bytea`;
  const attachment = Buffer.from(
    '\0sigstore-json\n{"mimeType":"text/plain","payload":"e30=","annotations":{}}',
  ).toString("hex");
  const attachmentBytes = isSqlite ? `x'${attachment}'` : String.raw`'\x${attachment}'::bytea`;
  const at = STORED_AT;
  const owner = `(case when i % 2 = 0 then 1 else 2 + i % ${repositories - 1} end)`;
  const second = `(2 + (i * 7 + 3) % ${repositories - 1})`;
  const member = (kind: string, key: string, repository: string, from: string, where = "true", removed = "null") => `
    insert into membership (repository_id, unit_kind, unit_key, version_added, version_removed)
    select ${repository}, '${kind}', ${key}, 1 + i % 5, ${removed} from ${from} where ${where} on conflict do nothing`;
  const carrierTag = `('sha256-' || substr(${digest("manifest", "i")}, 8) || '.sig ' || ${digest("manifest", "i + 2")})`;
  const tag = `('v' || i || ' ' || ${digest("manifest", "i")})`;
  const all = series(images);
  const statements = [
    `insert into repository (name, kind, description, visibility, pull_policy_mode, immutable_tags, quota_bytes, retain_versions, latest_version, change_number, created_at)
      select 'team-' || (i % 50) || '/image-' || i, 'push', '', 'private', 'off', '[]', 1000000000000, 10, 10, 1, ${at} from ${series(repositories)}`,
    `insert into distribution (path, repository_id, created_at) select name, id, ${at} from repository`,
    `insert into repository_version (repository_id, number, created_by, complete, created_at) select id, 10, 'ann', 1, ${at} from repository`,
    `insert into blob (digest, size, location, created_at, touched_at) select ${digest("blob", "i")}, ${BLOB_BYTES}, 'blobs/' || i, ${at}, ${at} from ${series(images * 4)}`,
    `insert into manifest (digest, media_type, artifact_type, bytes, size, subject_digest, annotations, total_size, created_at, touched_at)
      select ${digest("manifest", "i")}, 'application/vnd.oci.image.manifest.v1+json', case when i % 8 = 6 then 'application/vnd.dev.sigstore.bundle.v0.3+json' end,
      ${bytes}, 2, case when i % 8 = 6 then ${digest("manifest", "i - 2")} end, '{}', 2, ${at}, ${at} from ${all}`,
    `insert into manifest_blob (manifest_digest, blob_digest) select ${digest("manifest", "i / 4")}, ${digest("blob", "i")} from ${series(images * 4)}`,
    `insert into manifest_blob (manifest_digest, blob_digest) select ${digest("manifest", "i")}, ${digest("blob", "i % 100")} from ${all} where true on conflict do nothing`,
    `insert into manifest_child (manifest_digest, child_digest, position) select ${digest("manifest", "i - i % 8")}, ${digest("manifest", "i")}, i % 8 from ${all} where i % 8 in (2, 4)`,
    `insert into tag (key, name, manifest_digest, created_at, touched_at) select ${tag}, 'v' || i, ${digest("manifest", "i")}, ${at}, ${at} from ${all} where i % 4 < 2`,
    `insert into tag (key, name, manifest_digest, created_at, touched_at)
      select ${carrierTag}, substr(${carrierTag}, 1, 75), ${digest("manifest", "i + 2")}, ${at}, ${at} from ${all} where i % 4 > 1`,
    `insert into signature (digest, manifest_digest, format, claimed_reference, claimed_key_id, claimed_fingerprint, bytes, created_at, touched_at)
      select ${digest("signature", "i")}, ${digest("manifest", "i")}, case when i % 4 < 2 then 'simple-signing' else 'sigstore-attachment' end,
      'r.example.com/image:' || i, ${hex("i % 20")}, ${hex("i % 20")}, case when i % 4 < 2 then ${bytes} else ${attachmentBytes} end, ${at}, ${at} from ${all}`,
    `insert into verification (signature_digest, keyring_version, verdict, evidence, verified_at, verified_by)
      select ${digest("signature", "i / 2")}, 1 + i % 2, 'accepted', '[]', ${at}, 'server' from ${series(images * 2)} where i / 2 % 4 < 2`,
    ...[owner, second].flatMap((repository, index) => {
      const where = index === 0 ? "true" : "i % 4 = 0";
      const whereTag = index === 0 ? "i % 4 < 2" : "i % 4 = 0";
      const blobWhere = index === 0 ? "true" : "i / 4 % 4 = 0";
      const ofBlob = repository.replaceAll(/\bi\b/g, "(i / 4)");
      return [
        member("blob", digest("blob", "i"), ofBlob, series(images * 4), blobWhere),
        member("blob", digest("blob", "i % 100"), repository, all, where),
        member("manifest", digest("manifest", "i"), repository, all, where),
        member("signature", digest("signature", "i"), repository, all, where),
        member("tag", tag, repository, all, whereTag),
      ];
    }),
    member("tag", carrierTag, owner, all, "i % 4 > 1"),
    // What versions before the last held.
    member("manifest", digest("manifest", "i"), `(2 + (i * 3 + 1) % ${repositories - 1})`, all, "i % 10 = 1", "7"),
    `insert into pending (repository_id, unit_kind, unit_key, added_at) select ${second}, 'blob', ${digest("blob", "i * 4")}, ${at} from ${all} where i % 25 = 0`,
    `insert into pending (repository_id, unit_kind, unit_key, added_at) select ${second}, 'manifest', ${digest("manifest", "i")}, ${at} from ${all} where i % 25 = 0`,
    `insert into signature_arrival (repository_id, signature_digest, name, arrived_at)
      select distinct repository_id, unit_key, 'image@' || substr(unit_key, 8, 32), ${at} from membership where unit_kind = 'signature'`,
    `insert into signature_carrier (repository_id, signature_digest, unit_kind, unit_key, image_digest, carrier_digest)
      select ${owner}, ${digest("signature", "i")}, 'tag', ${carrierTag}, ${digest("manifest", "i")}, ${digest("manifest", "i + 2")} from ${all} where i % 4 > 1`,
    `insert into upload (id, repository_id, account, received, state, created_at, updated_at)
      select 'upload-' || i, ${second}, 'robot-' || (i % 300), 0, '{}', ${at}, ${at} from ${series(images / 10)}`,
    `insert into tombstone (kind, subject, reason, created_by, created_at) select 'signature', ${digest("gone", "i")}, '', 'ann', ${at} from ${series(images / 10)}`,
    ...(isSqlite ? [] : ["analyze"]),
  ];
  await database.write(async (writer) => {
    for (const statement of statements) await sql.raw(statement).execute(writer);
  });
  const make = (kind: keyof typeof salts) => (number: number) =>
    `sha256:${["0", "1", "2", "3"].map((part) => scatterNumber(salts[kind] + part, number)).join("")}`;
  return {
    repositories,
    images,
    manifest: make("manifest"),
    blob: make("blob"),
    signature: make("signature"),
    path: (repository) => `team-${repository % 50}/image-${repository}`,
  };
}

const salts = { blob: "1", gone: "2", manifest: "3", signature: "4" } as const;

/** Spreads numbers as digests are: neighbours are far from each other in the order of the digests. */
function scatter(salt: string, number: string): string {
  return `(((${number}) * 7919191919191 + ${salt} * 104729104729) % 999999999999989)`;
}

function scatterNumber(salt: string, number: number): string {
  return ((BigInt(number) * 7_919_191_919_191n + BigInt(salt) * 104_729_104_729n) % 999_999_999_999_989n)
    .toString(16)
    .padStart(16, "0");
}
