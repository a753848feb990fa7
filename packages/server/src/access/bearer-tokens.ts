/**
 * Bearer tokens: short-lived JSON Web Tokens (RFC 7519) as Docker's token specification wants them, signed by the server for itself.
 *
 * Only a header that one of our own keys writes is looked at, byte for byte. So nothing in a token chooses algorithm or key: `none`, HMAC with a public key, embedded
 * keys and certificates (CVE-2025-24976), paths in `kid` and duplicate members never reach a parser.
 */
import { createHash, randomUUID } from "node:crypto";
import { type JWTPayload, SignJWT, errors, jwtVerify } from "jose";
import { FormatError, InternalError, parseJson, strictObject } from "@signet/core";
import { LRUCache } from "lru-cache";
import type { Subject } from "./roles.ts";
import type { AccessEntry } from "./scopes.ts";
import {
  CLOCK_TOLERANCE_SECONDS,
  MAX_TOKEN_LIFETIME_SECONDS,
  type TokenKey,
  type TokenKeys,
  protectedHeader,
} from "./token-keys.ts";

/** Characters of a token: what fits into a header beside others. Scopes are bounded so that ours are shorter. */
export const MAX_BEARER_LENGTH = 8_192;
/** Verified tokens kept: about 1 KB each. */
const MAX_VERIFIED = 10_000;
/** Docker's specification: at least 60 seconds. A long push asks again when its token has expired. */
const MIN_LIFETIME_SECONDS = 60;

/** What a verified token says. Whether it still holds is asked of the account's present rights. */
export interface BearerClaims {
  /** Null: issued to nobody in particular. */
  readonly accountId: number | null;
  readonly credential: Subject["credential"];
  readonly access: readonly AccessEntry[];
  /** Seconds since 1970. */
  readonly notBefore: number;
  readonly expires: number;
}

export interface BearerTokenOptions {
  /** Who signs: exact. */
  readonly issuer: string;
  /** Whom it is for, which is this server again: exact. */
  readonly service: string;
  /** Seconds, 60 to 3,600. */
  readonly lifetimeSeconds: number;
}

export interface BearerTokens {
  /** @throws InternalError when the token would be longer than what is accepted */
  sign(
    claims: Pick<BearerClaims, "access" | "accountId" | "credential"> & { readonly name: string },
    change: number,
    now: number,
  ): Promise<{ readonly token: string; readonly expiresIn: number; readonly issuedAt: number }>;
  /** What the token says, or null for whatever is not a token of ours that is valid now; why is not told. */
  verify(token: string, change: number, now: number): Promise<BearerClaims | null>;
}

/** Beside the registered claims and Docker's `access`: what the token was proved by, so that it ends with that. */
interface Payload extends JWTPayload {
  readonly access: readonly AccessEntry[];
  readonly account: number | null;
  readonly credential: Subject["credential"];
}

/** What each token must say. */
const claimNames = ["access", "account", "aud", "credential", "exp", "iat", "iss", "jti", "nbf", "sub"] as const;

/** @throws InternalError for a lifetime out of bounds */
export function makeBearerTokens(
  keys: TokenKeys,
  { issuer, service, lifetimeSeconds }: BearerTokenOptions,
): BearerTokens {
  if (!(lifetimeSeconds >= MIN_LIFETIME_SECONDS && lifetimeSeconds <= MAX_TOKEN_LIFETIME_SECONDS)) {
    throw new InternalError(`a lifetime of ${lifetimeSeconds} s for bearer tokens`);
  }
  const verified = new LRUCache<string, { readonly claims: BearerClaims; readonly key: string }>({ max: MAX_VERIFIED });

  const judge = async (token: string, key: TokenKey, now: number): Promise<BearerClaims | null> => {
    try {
      const { payload } = await jwtVerify<Payload>(token, key.publicKey, {
        algorithms: [key.algorithm],
        issuer,
        audience: service,
        typ: "JWT",
        requiredClaims: [...claimNames],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(now),
        maxTokenAge: MAX_TOKEN_LIFETIME_SECONDS,
      });
      // Signed by us, so written by us; all the same, no claim may be there twice.
      const text = Buffer.from(token.split(".")[1] ?? "", "base64url");
      strictObject(parseJson(text, "token"), "", { required: claimNames, allowUnknown: true });
      const { aud, exp = 0, iat = 0, nbf = 0, access, account, credential } = payload;
      // A list of audiences is none that we write.
      if (aud !== service || exp - iat > MAX_TOKEN_LIFETIME_SECONDS) return null;
      // A retired key signs nothing any more: whoever stole it later cannot use it.
      if (key.retiredAt !== null && iat * 1_000 > key.retiredAt + CLOCK_TOLERANCE_SECONDS * 1_000) return null;
      return { accountId: account, credential, access, notBefore: nbf, expires: exp };
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof FormatError) return null;
      throw error;
    }
  };

  return {
    async sign({ accountId, name, credential, access }, change, now) {
      const key = await keys.signing(change, now);
      const issuedAt = Math.floor(now / 1_000);
      const payload: Payload = { access, account: accountId, credential };
      const token = await new SignJWT(payload)
        .setProtectedHeader(protectedHeader(key.id, key.algorithm))
        .setIssuer(issuer)
        .setSubject(name)
        .setAudience(service)
        .setJti(randomUUID())
        .setIssuedAt(issuedAt)
        .setNotBefore(issuedAt)
        .setExpirationTime(issuedAt + lifetimeSeconds)
        .sign(key.privateKey);
      if (token.length > MAX_BEARER_LENGTH) throw new InternalError("a bearer token is longer than what is accepted");
      return { token, expiresIn: lifetimeSeconds, issuedAt: issuedAt * 1_000 };
    },
    async verify(token, change, now) {
      if (token.length > MAX_BEARER_LENGTH) return null;
      const key = await keys.byHeader(token.slice(0, Math.max(0, token.indexOf("."))), change, now);
      if (key === null) return null;
      const hash = createHash("sha256").update(token).digest("base64");
      const kept = verified.get(hash);
      const claims = kept?.key === key.id ? kept.claims : await judge(token, key, now);
      if (claims === null) return null;
      const seconds = now / 1_000;
      if (seconds >= claims.expires + CLOCK_TOLERANCE_SECONDS) return null;
      if (seconds < claims.notBefore - CLOCK_TOLERANCE_SECONDS) return null;
      verified.set(hash, { claims, key: key.id });
      return claims;
    },
  };
}
