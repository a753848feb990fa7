/**
 * Verification results that auditors record: what somebody with the right to audit a repository found of a signature that it holds. The server vouches for who said it and when, and for nothing
 * of what was said; no verdict, policy or recheck of its own reads them.
 */
import { type RawBuilder, type Selectable, type SqlBool, sql } from "kysely";
import { appendAudit } from "../audit/audit-log.ts";
import type { Database, Reader, Writer } from "../db/database.ts";
import type { RecordedVerificationTable } from "../db/schema.ts";
import { ContentError } from "./content-error.ts";
import { inVersion, isServed } from "./membership.ts";
import { refuseOverQuota } from "./quotas.ts";
import { type HeldVersion, type ServedRepository, lockServed } from "./repositories.ts";
import { signaturesOf } from "./signature-carriers.ts";

/** Results that are kept of one account about one signature of an image, the present one among them. The same result again takes no place, so these are that many changes of mind. */
export const MAX_KEPT_RESULTS = 16;
/** Accounts that may have results of one signature of an image: with all their history about 1,000 rows. */
export const MAX_AUDITORS = 64;

/** What an auditor says. */
export interface VerificationResult {
  readonly verdict: "accepted" | "rejected";
  /** The image name that the signature was to be for. */
  readonly expectedIdentity: string;
  /** Fingerprint or key id of the key that signed, in upper-case hex; undefined where none was found. */
  readonly signingKey: string | undefined;
  /** The image name that the signature says it is for. */
  readonly signedIdentity: string | undefined;
  readonly reason: string | undefined;
  /** By the auditor's clock; milliseconds since 1970, UTC. */
  readonly verifiedAt: number;
}

/** A result as it is kept. */
export interface RecordedVerification extends VerificationResult {
  readonly signature: string;
  /** The account. */
  readonly by: string;
  /** From 1, for this signature and account. */
  readonly number: number;
  /** When it was first recorded; milliseconds since 1970, UTC. */
  readonly since: number;
  /** When it was last recorded. */
  readonly recordedAt: number;
}

/** A signature of an image, in what a path serves. */
export interface VerifiedSignature {
  readonly image: string;
  readonly signature: string;
}

/**
 * Records a result; durable when this resolves. It takes the place of the account's last one, which becomes history; the same again only renews that one's times. The oldest beyond
 * {@link MAX_KEPT_RESULTS} are forgotten, never those of other accounts.
 *
 * @throws ContentError `manifest-unknown`, `signature-unknown` where the repository does not hold the signature as one of that image; `verifications-too-many`; `quota-exceeded`
 */
export async function recordVerification(
  database: Database,
  served: ServedRepository,
  subject: VerifiedSignature,
  result: VerificationResult,
  by: string,
  now: number,
): Promise<void> {
  await database.write(async (writer) => {
    const { repository, latest } = await lockServed(writer, served);
    await requireSignature(writer, latest, subject);
    const newest = await findNewest(writer, repository.id, subject, by);
    if (newest === undefined) await refuseCrowd(writer, repository.id, subject);
    if (newest !== undefined && isSame(newest, result)) {
      await writer
        .updateTable("recorded_verification")
        .set({ verified_at: result.verifiedAt, recorded_at: now })
        .where(ofAuditor(repository.id, subject, by))
        .where("number", "=", newest.number)
        .execute();
    } else {
      const number = (newest?.number ?? 0) + 1;
      await insertResult(writer, repository.id, subject, result, by, number, now);
      await writer
        .deleteFrom("recorded_verification")
        .where(ofAuditor(repository.id, subject, by))
        .where("number", "<=", number - MAX_KEPT_RESULTS)
        .execute();
      await refuseOverQuota(writer, repository.id);
    }
    const { verifiedAt, ...said } = result;
    await appendAudit(writer, {
      at: now,
      actor: by,
      action: "verification.record",
      target: repository.name,
      detail: { ...subject, ...said, verifiedAt: new Date(verifiedAt).toISOString() },
    });
  });
}

/**
 * Takes back what one account recorded of an image's signatures, or of one of them, with its history. Where there is nothing, nothing is done.
 *
 * @param signature undefined: all of the image
 * @param of the account whose results go
 * @throws ContentError `manifest-unknown`, `signature-unknown`
 */
export async function removeVerifications(
  database: Database,
  served: ServedRepository,
  { image, signature }: { readonly image: string; readonly signature: string | undefined },
  of: string,
  by: string,
  now: number,
): Promise<void> {
  await database.write(async (writer) => {
    const { repository, latest } = await lockServed(writer, served);
    if (signature === undefined) await requireImage(writer, latest, image);
    else await requireSignature(writer, latest, { image, signature });
    const gone = await writer
      .deleteFrom("recorded_verification")
      .where("repository_id", "=", repository.id)
      .where("image_digest", "=", image)
      .where("recorded_by", "=", of)
      .$if(signature !== undefined, (query) => query.where("signature_digest", "=", signature!))
      .returning("number")
      .execute();
    if (gone.length === 0) return;
    await appendAudit(writer, {
      at: now,
      actor: by,
      action: "verification.remove",
      target: repository.name,
      detail: { image, ...(signature === undefined ? {} : { signature }), of, results: gone.length },
    });
  });
}

/** The place in a list after which a page begins; with fields of the last entry before it. */
export type VerificationPosition = Pick<RecordedVerification, "by" | "number" | "signature">;

/**
 * What is recorded of an image's signatures that a path serves: by signature, then by account, of each account the newest first.
 * @param only of this signature with the history; undefined: of all, the newest of each account alone
 * @throws ContentError `manifest-unknown`, `signature-unknown`
 */
export async function listVerifications(
  reader: Reader,
  served: HeldVersion,
  image: string,
  only: string | undefined,
  after: VerificationPosition | undefined,
  limit: number,
): Promise<readonly RecordedVerification[]> {
  if (only === undefined) await requireImage(reader, served, image);
  else await requireSignature(reader, served, { image, signature: only });
  const isNewest = sql<SqlBool>`not exists (select 1 from recorded_verification as later
    where later.repository_id = recorded_verification.repository_id
    and later.image_digest = recorded_verification.image_digest
    and later.signature_digest = recorded_verification.signature_digest
    and later.recorded_by = recorded_verification.recorded_by
    and later.number > recorded_verification.number)`;
  const rows = await reader
    .selectFrom("recorded_verification")
    .innerJoin("membership", (join) =>
      join
        .onRef("membership.repository_id", "=", "recorded_verification.repository_id")
        .onRef("membership.unit_key", "=", "recorded_verification.signature_digest"),
    )
    .selectAll("recorded_verification")
    .where("recorded_verification.repository_id", "=", served.repositoryId)
    .where("recorded_verification.image_digest", "=", image)
    .where("membership.unit_kind", "=", "signature")
    .where(inVersion(served.version))
    .where(sql<SqlBool>`recorded_verification.signature_digest in (${signaturesOf(served, image)})`)
    .$if(only !== undefined, (query) => query.where("recorded_verification.signature_digest", "=", only!))
    .$if(only === undefined, (query) => query.where(isNewest))
    .$if(after !== undefined, (query) => query.where(isBehind(after!)))
    .orderBy("recorded_verification.signature_digest")
    .orderBy("recorded_verification.recorded_by")
    .orderBy("recorded_verification.number", "desc")
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    signature: row.signature_digest,
    by: row.recorded_by,
    number: row.number,
    verdict: row.verdict,
    expectedIdentity: row.expected_identity,
    signingKey: row.signing_key ?? undefined,
    signedIdentity: row.signed_identity ?? undefined,
    reason: row.reason ?? undefined,
    verifiedAt: row.verified_at,
    since: row.since,
    recordedAt: row.recorded_at,
  }));
}

function isBehind({ signature, by, number }: VerificationPosition) {
  return sql<SqlBool>`(recorded_verification.signature_digest > ${signature}
    or (recorded_verification.signature_digest = ${signature} and (recorded_verification.recorded_by > ${by}
      or (recorded_verification.recorded_by = ${by} and recorded_verification.number < ${number}))))`;
}

async function requireImage(reader: Reader | Writer, served: HeldVersion, image: string): Promise<void> {
  if (await isServed(reader, served, { kind: "manifest", key: image })) return;
  throw new ContentError("manifest-unknown", `the repository has no manifest ${image}`, { digest: image });
}

async function requireSignature(
  reader: Reader | Writer,
  served: HeldVersion,
  { image, signature }: VerifiedSignature,
): Promise<void> {
  await requireImage(reader, served, image);
  const row = await reader
    .selectFrom("membership")
    .select("membership.unit_key")
    .where("membership.repository_id", "=", served.repositoryId)
    .where("membership.unit_kind", "=", "signature")
    .where("membership.unit_key", "=", signature)
    .where(inVersion(served.version))
    .where(sql<SqlBool>`membership.unit_key in (${signaturesOf(served, image)})`)
    .executeTakeFirst();
  if (row === undefined) throw new ContentError("signature-unknown", "there is no such signature");
}

/** What one account recorded of one signature of an image. */
function ofAuditor(repositoryId: number, { image, signature }: VerifiedSignature, by: string): RawBuilder<SqlBool> {
  return sql<SqlBool>`repository_id = ${repositoryId} and image_digest = ${image}
    and signature_digest = ${signature} and recorded_by = ${by}`;
}

async function findNewest(
  writer: Writer,
  repositoryId: number,
  subject: VerifiedSignature,
  by: string,
): Promise<Selectable<RecordedVerificationTable> | undefined> {
  return await writer
    .selectFrom("recorded_verification")
    .selectAll()
    .where(ofAuditor(repositoryId, subject, by))
    .orderBy("number", "desc")
    .limit(1)
    .executeTakeFirst();
}

/** True when the same was found again: only the times differ. */
function isSame(newest: Selectable<RecordedVerificationTable>, result: VerificationResult): boolean {
  return (
    newest.verdict === result.verdict &&
    newest.expected_identity === result.expectedIdentity &&
    newest.signing_key === (result.signingKey ?? null) &&
    newest.signed_identity === (result.signedIdentity ?? null) &&
    newest.reason === (result.reason ?? null)
  );
}

async function refuseCrowd(writer: Writer, repositoryId: number, { image, signature }: VerifiedSignature) {
  const { count } = await writer
    .selectFrom("recorded_verification")
    .select((expression) => expression.fn.count<number | string>("recorded_by").distinct().as("count"))
    .where("repository_id", "=", repositoryId)
    .where("image_digest", "=", image)
    .where("signature_digest", "=", signature)
    .executeTakeFirstOrThrow();
  if (Number(count) < MAX_AUDITORS) return;
  throw new ContentError("verifications-too-many", `${MAX_AUDITORS} accounts have recorded results of it already`);
}

async function insertResult(
  writer: Writer,
  repositoryId: number,
  { image, signature }: VerifiedSignature,
  result: VerificationResult,
  by: string,
  number: number,
  now: number,
): Promise<void> {
  const texts = [
    image,
    signature,
    by,
    result.expectedIdentity,
    result.signingKey,
    result.signedIdentity,
    result.reason,
  ];
  await writer
    .insertInto("recorded_verification")
    .values({
      repository_id: repositoryId,
      image_digest: image,
      signature_digest: signature,
      recorded_by: by,
      number,
      verdict: result.verdict,
      expected_identity: result.expectedIdentity,
      signing_key: result.signingKey ?? null,
      signed_identity: result.signedIdentity ?? null,
      reason: result.reason ?? null,
      size: texts.reduce((sum, text) => sum + Buffer.byteLength(text ?? ""), 0),
      verified_at: result.verifiedAt,
      since: now,
      recorded_at: now,
    })
    .execute();
}
