/** Access tokens: long-lived secrets of people and robots that stand in for a password, can be limited and withdrawn one by one. */
import { createHash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { StoreError, UsageError } from "@signet/core";
import type { Database, Reader } from "../db/database.ts";
import { changeAccess } from "./access-change.ts";
import { checkTokenName } from "./account-names.ts";
import { findAccount } from "./accounts.ts";
import { parseTokenLimits, writeScopes } from "./scopes.ts";

/** What secret scanners look for: `sgn_` and 57 characters, the last 7 a checksum of those before. */
const PREFIX = "sgn_";
/** Bits enough that no slow hash is needed: nobody tries 2^256 secrets. */
const SECRET_BYTES = 32;
/** Digits in base 36 of 256 and of 32 bits. */
const SECRET_DIGITS = 50;
const CHECKSUM_DIGITS = 7;
/** Tokens by account: whoever needs more should have more robots. */
const MAX_TOKENS = 100;
/** The time of last use is written at most so often. */
const USE_WRITTEN_MS = 60_000;

export interface NewAccessToken {
  /** The account's name. */
  readonly account: string;
  /** A note for its owner, once by account. */
  readonly name: string;
  /** Scopes such as `repository:team/app:pull` or `namespace:team:pull,push`; null: all that the account may. */
  readonly scopes: readonly string[] | null;
  /** Milliseconds since 1970; null: good until revoked. */
  readonly expiresAt: number | null;
}

export interface AccessToken {
  /** Names it in lists and logs; no secret. */
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[] | null;
  readonly expiresAt: number | null;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
}

/**
 * Makes a token. Its secret is returned here and is nowhere else.
 *
 * @param now milliseconds since 1970
 * @throws UsageError `access-name-malformed`, `access-token-refused` (no scope, expired, more than 100); FormatError `token-scope-malformed`;
 *   StoreError `access-entry-missing`, `access-entry-exists`
 */
export async function createAccessToken(
  database: Database,
  token: NewAccessToken,
  now: number,
): Promise<{ readonly id: string; readonly secret: string }> {
  checkTokenName(token.name);
  const scopes = token.scopes === null ? null : writeScopes(parseTokenLimits(token.scopes));
  if (scopes?.length === 0)
    throw new UsageError("access-token-refused", "an access token without any scope is of no use");
  if (token.expiresAt !== null && !(token.expiresAt > now)) {
    throw new UsageError("access-token-refused", "the access token would have expired already");
  }
  const id = randomBytes(8).toString("hex");
  const secret = makeSecret();
  await changeAccess(database, async (writer) => {
    const { id: account } = await findAccount(writer, token.account);
    const names = await writer.selectFrom("access_token").select("name").where("account_id", "=", account).execute();
    if (names.some(({ name }) => name === token.name)) {
      throw new StoreError("access-entry-exists", `${token.account} has an access token of that name already`);
    }
    if (names.length >= MAX_TOKENS) {
      throw new UsageError("access-token-refused", `${token.account} has ${MAX_TOKENS} access tokens already`, {
        hint: "revoke those that are not used",
      });
    }
    await writer
      .insertInto("access_token")
      .values({
        id,
        account_id: account,
        name: token.name,
        secret_hash: hashSecret(secret),
        scopes: scopes === null ? null : JSON.stringify(scopes),
        expires_at: token.expiresAt,
        created_at: now,
        last_used_at: null,
      })
      .execute();
  });
  return { id, secret };
}

/**
 * Ends a token, and every bearer token that came by it, at once.
 * @throws StoreError `access-entry-missing`
 */
export async function revokeAccessToken(database: Database, account: string, id: string): Promise<void> {
  await changeAccess(database, async (writer) => {
    const { numDeletedRows } = await writer
      .deleteFrom("access_token")
      .where("account_id", "=", (await findAccount(writer, account)).id)
      .where("id", "=", id)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw new StoreError("access-entry-missing", `${account} has no such access token`);
  });
}

/** An account's tokens by name, without their secrets. @throws StoreError `access-entry-missing` */
export async function listAccessTokens(reader: Reader, account: string): Promise<readonly AccessToken[]> {
  const rows = await reader
    .selectFrom("access_token")
    .select(["id", "name", "scopes", "expires_at", "created_at", "last_used_at"])
    .where("account_id", "=", (await findAccount(reader, account)).id)
    .orderBy("name")
    .execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    scopes: row.scopes === null ? null : (JSON.parse(row.scopes) as string[]),
    expiresAt: row.expires_at,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  }));
}

/** True for what has the form of a token, checksum included: what is none need not be looked up, and a password is hardly ever one. */
export function looksLikeAccessToken(text: string): boolean {
  if (text.length !== PREFIX.length + SECRET_DIGITS + CHECKSUM_DIGITS || !/^sgn_[0-9a-z]+$/.test(text)) return false;
  const body = text.slice(0, -CHECKSUM_DIGITS);
  return text === body + checksumOf(body);
}

/** Whose token it is; null: nobody's. Whether it is still good is in the account's rights. Found by the hash, so that no comparison of secrets can be timed. */
export async function findAccessToken(
  reader: Reader,
  secret: string,
): Promise<{ readonly id: string; readonly accountId: number } | null> {
  const row = await reader
    .selectFrom("access_token")
    .select(["id", "account_id"])
    .where("secret_hash", "=", hashSecret(secret))
    .executeTakeFirst();
  return row === undefined ? null : { id: row.id, accountId: row.account_id };
}

/** Writes down that a token was used, unless that was done within a minute, by whatever process. */
export async function recordTokenUse(database: Database, id: string, now: number): Promise<void> {
  const isOld = (lastUsedAt: number | null): boolean => lastUsedAt === null || now - lastUsedAt >= USE_WRITTEN_MS;
  const row = await database.read
    .selectFrom("access_token")
    .select("last_used_at")
    .where("id", "=", id)
    .executeTakeFirst();
  if (row === undefined || !isOld(row.last_used_at)) return;
  await database.write(async (writer) => {
    await writer
      .updateTable("access_token")
      .set({ last_used_at: now })
      .where("id", "=", id)
      .where((e) => e.or([e("last_used_at", "is", null), e("last_used_at", "<=", now - USE_WRITTEN_MS)]))
      .execute();
  });
}

function makeSecret(): string {
  const number = BigInt(`0x${randomBytes(SECRET_BYTES).toString("hex")}`);
  const body = PREFIX + number.toString(36).padStart(SECRET_DIGITS, "0");
  return body + checksumOf(body);
}

function checksumOf(body: string): string {
  return crc32(body).toString(36).padStart(CHECKSUM_DIGITS, "0");
}

function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
