/** The keys that sign bearer tokens: made when first needed, renewed by themselves, kept until what they signed has expired. */
import { type CryptoKey, type JWK, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from "jose";
import { InternalError } from "@signet/core";
import type { Database, Reader, Writer } from "../db/database.ts";
import type { TokenKeyTable } from "../db/schema.ts";
import { changeAccess } from "./access-change.ts";

export type TokenAlgorithm = TokenKeyTable["algorithm"];

/** Seconds: a key that was copied from a backup is worth nothing much later. */
export const MAX_TOKEN_LIFETIME_SECONDS = 3_600;
/** Seconds by which the clocks of replicas may differ. */
export const CLOCK_TOLERANCE_SECONDS = 10;
/** After so long, the next token is signed by a new key. */
const KEY_LIFETIME_MS = 30 * 24 * 3_600_000;
/** How long a retired key verifies. */
const RETIRED_MS = (MAX_TOKEN_LIFETIME_SECONDS + 2 * CLOCK_TOLERANCE_SECONDS) * 1_000;
/** Keys that may verify at a time: one that signs and some that were retired within two hours. */
const MAX_KEYS = 20;

export interface TokenKey {
  /** RFC 7638 thumbprint of the public key. */
  readonly id: string;
  readonly algorithm: TokenAlgorithm;
  /** The first part of every token that it signs: nothing else is ever looked at. */
  readonly header: string;
  readonly createdAt: number;
  readonly retiredAt: number | null;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

export interface TokenKeys {
  /** The key that signs, made or renewed where that is due. */
  signing(change: number, now: number): Promise<TokenKey>;
  /** The key that signs tokens with this first part, or null. */
  byHeader(header: string, change: number, now: number): Promise<TokenKey | null>;
}

/** The protected header, in the one form in which we write it. */
export function protectedHeader(id: string, algorithm: TokenAlgorithm): { alg: string; kid: string; typ: string } {
  return { alg: algorithm, kid: id, typ: "JWT" };
}

/** Keys as read from the database, kept as long as the change number of access stays. */
export function makeTokenKeys(database: Database, algorithm: TokenAlgorithm): TokenKeys {
  let keys: readonly TokenKey[] = [];
  let known = 0;
  const load = async (change: number): Promise<readonly TokenKey[]> => {
    if (change === known) return keys;
    const read = await readTokenKeys(database.read);
    keys = read;
    known = change;
    return read;
  };
  return {
    async signing(change, now) {
      const isDue = (key: TokenKey): boolean =>
        key.retiredAt === null && key.algorithm === algorithm && now - key.createdAt < KEY_LIFETIME_MS;
      const present = (await load(change)).find(isDue);
      if (present !== undefined) return present;
      await renewTokenKey(database, algorithm, now, { isDue });
      const made = (await readTokenKeys(database.read)).find(isDue);
      if (made === undefined) throw new InternalError("a token key that was made is not there");
      return made;
    },
    async byHeader(header, change, now) {
      const key = (await load(change)).find((one) => one.header === header);
      if (key === undefined || (key.retiredAt !== null && now > key.retiredAt + RETIRED_MS)) return null;
      return key;
    },
  };
}

/**
 * Makes a new key that signs from now on.
 *
 * @param options.endsOthers true when a key may have leaked: tokens that others signed are refused at once, and clients fetch new ones
 */
export async function rotateTokenKey(
  database: Database,
  algorithm: TokenAlgorithm,
  now: number,
  options: { readonly endsOthers?: boolean } = {},
): Promise<void> {
  await renewTokenKey(database, algorithm, now, options);
}

async function renewTokenKey(
  database: Database,
  algorithm: TokenAlgorithm,
  now: number,
  options: { readonly endsOthers?: boolean; readonly isDue?: (key: TokenKey) => boolean },
): Promise<void> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const [jwk, id] = [await exportJWK(privateKey), await calculateJwkThumbprint(await exportJWK(publicKey))];
  await changeAccess(database, async (writer) => {
    // Another process may have been first.
    if (options.isDue !== undefined && (await readTokenKeys(writer)).some(options.isDue)) return;
    const gone = writer.deleteFrom("token_key");
    await (options.endsOthers === true ? gone : gone.where("retired_at", "<", now - RETIRED_MS)).execute();
    await writer.updateTable("token_key").set({ retired_at: now }).where("retired_at", "is", null).execute();
    await writer
      .insertInto("token_key")
      .values({ id, algorithm, private_jwk: JSON.stringify(jwk), created_at: now, retired_at: null })
      .execute();
  });
}

async function readTokenKeys(reader: Reader | Writer): Promise<readonly TokenKey[]> {
  const rows = await reader.selectFrom("token_key").selectAll().orderBy("created_at", "desc").limit(MAX_KEYS).execute();
  return await Promise.all(rows.map(readTokenKey));
}

async function readTokenKey(row: TokenKeyTable): Promise<TokenKey> {
  const jwk = JSON.parse(row.private_jwk) as JWK;
  const { kty, crv, x, y } = jwk;
  const publicJwk = Object.fromEntries(Object.entries({ kty, crv, x, y }).filter(([, value]) => value !== undefined));
  return {
    id: row.id,
    algorithm: row.algorithm,
    header: Buffer.from(JSON.stringify(protectedHeader(row.id, row.algorithm))).toString("base64url"),
    createdAt: row.created_at,
    retiredAt: row.retired_at,
    privateKey: (await importJWK(jwk, row.algorithm)) as CryptoKey,
    publicKey: (await importJWK(publicJwk, row.algorithm)) as CryptoKey,
  };
}
