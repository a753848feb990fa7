/** From the Authorization header to who asks: anonymous, an account by password, access token or bearer token, or a failure that says no more than it must. */
import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { SignetError } from "@signet/core";
import type { Database } from "../db/database.ts";
import { readAccessChange } from "./access-change.ts";
import { findAccessToken, looksLikeAccessToken, recordTokenUse } from "./access-tokens.ts";
import type { AccountRights, RightsReader } from "./account-rights.ts";
import type { BearerTokens } from "./bearer-tokens.ts";
import { LRUCache } from "lru-cache";
import { parseAuthorization } from "./credentials.ts";
import type { LockOut } from "./lock-out.ts";
import { networkOf } from "./network.ts";
import { hashPassword, isOutdated, verifyPassword } from "./passwords.ts";
import type { RateLimiter } from "./rate-limits.ts";
import type { Subject } from "./roles.ts";
import type { AccessEntry } from "./scopes.ts";

/** Credentials kept as right, and as many as wrong. */
const MAX_KEPT = 10_000;
/** Use of an access token is looked at in the database at most so often by this process. */
const USE_SEEN_MS = 60_000;

export interface LoginRequest {
  /** The Authorization header; undefined: there was none. */
  readonly authorization: string | undefined;
  /** The client's address, from the socket or from a proxy that is trusted to tell. */
  readonly address: string;
}

/** Why somebody was not let in. The text is for the client: it tells neither which accounts exist nor any secret. */
export interface LoginFailure {
  /**
   * `malformed`: not credentials at all (400). `refused`: wrong, expired, revoked, disabled (401). `locked`: too many wrong passwords for this account from there,
   * and `limited`: from that network (429). `busy`: too many passwords are being checked (503).
   */
  readonly reason: "busy" | "limited" | "locked" | "malformed" | "refused";
  readonly scheme: "basic" | "bearer" | null;
  readonly message: string;
  /** For `Retry-After`; null: trying again does not help. */
  readonly retryAfterSeconds: number | null;
}

export type Authentication =
  | { readonly outcome: "anonymous" | "authenticated"; readonly subject: Subject }
  | { readonly outcome: "failed"; readonly failure: LoginFailure };

export interface AuthenticateDeps {
  readonly database: Database;
  readonly rights: RightsReader;
  readonly bearerTokens: BearerTokens;
  readonly lockOut: LockOut;
  /** Counts failed log-ins by network. */
  readonly loginLimit: RateLimiter;
}

/** What was proved, and of whom. */
interface Proof {
  readonly accountId: number;
  readonly credential: Subject["credential"];
}

type BasicOutcome = Proof | LoginFailure;

/**
 * Returns the function that looks at each request.
 *
 * Right credentials are kept (as an HMAC by a key that only this process has), since clients send them with every request and argon2 is slow by intent. What is kept
 * is only what was proved; account, password version, token and rights are read anew whenever the change number of access has moved, so that a disabled account, a new
 * password, a revoked token or a lost role count with the next request. Wrong ones are kept as well: the same wrong password again, as from a machine with an old
 * secret, is one guess and not many.
 */
export function makeAuthenticate(
  deps: AuthenticateDeps,
): (request: LoginRequest, now: number) => Promise<Authentication> {
  const { database, rights, bearerTokens } = deps;
  // As a key object: of bytes node makes one anew for each request, which takes six times as long as the hash.
  const hmacKey = createSecretKey(randomBytes(32));
  const right = new LRUCache<string, Proof & { seenAt: number }>({ max: MAX_KEPT });
  const wrong = new LRUCache<string, number>({ max: MAX_KEPT });
  // Layers are fetched side by side: the same credentials are checked once.
  const running = new Map<string, Promise<BasicOutcome>>();

  const subjectOf = async (
    { accountId, credential }: Proof,
    change: number,
    now: number,
    claimed: readonly AccessEntry[] | null = null,
  ): Promise<Subject | null> => {
    const found = await rights.ofAccount(accountId, change);
    const limits = found === null ? "ended" : limitsOf(found, credential, now);
    if (found === null || limits === "ended") return null;
    // A bearer token's claim was cut to the access token's limits when it was issued.
    const isBearer = claimed !== null;
    const { account, rights: own } = found;
    return { account, credential, isBearer, rights: own, limits: claimed ?? limits, credentialLimits: limits };
  };

  const basic = async (key: string, name: string, password: string, address: string, change: number, now: number) => {
    const present = running.get(key);
    if (present !== undefined) return await present;
    const check = checkBasic(deps, { name, password, network: networkOf(address) }, change, now);
    running.set(key, check);
    try {
      const outcome = await check;
      if ("accountId" in outcome) right.set(key, { ...outcome, seenAt: now });
      else if (outcome.reason === "refused") wrong.set(key, change);
      return outcome;
    } finally {
      running.delete(key);
    }
  };

  const authenticateBasic = async (
    { name, password }: { readonly name: string; readonly password: string },
    address: string,
    now: number,
  ): Promise<Authentication> => {
    const key = createHmac("sha256", hmacKey)
      .update(JSON.stringify([name, password]))
      .digest("base64");
    const change = await readAccessChange(database);
    const kept = right.get(key);
    if (kept !== undefined) {
      const subject = await subjectOf(kept, change, now);
      if (subject !== null) {
        if (kept.credential.kind === "access-token" && now - kept.seenAt >= USE_SEEN_MS) {
          kept.seenAt = now;
          await recordTokenUse(database, kept.credential.id, now);
        }
        return { outcome: "authenticated", subject };
      }
      right.delete(key);
    }
    if (wrong.get(key) === change) return { outcome: "failed", failure: refusedBasic };
    const outcome = await basic(key, name, password, address, change, now);
    if (!("accountId" in outcome)) return { outcome: "failed", failure: outcome };
    const subject = await subjectOf(outcome, change, now);
    return subject === null ? { outcome: "failed", failure: refusedBasic } : { outcome: "authenticated", subject };
  };

  const authenticateBearer = async (token: string, address: string, now: number): Promise<Authentication> => {
    // OpenShift's clients send a long-lived token either way.
    if (looksLikeAccessToken(token)) {
      const found = await authenticateBasic({ name: "", password: token }, address, now);
      const isRefused = found.outcome === "failed" && found.failure.reason === "refused";
      return isRefused ? { outcome: "failed", failure: refusedBearer } : found;
    }
    const change = await readAccessChange(database);
    const claims = await bearerTokens.verify(token, change, now);
    if (claims === null) return { outcome: "failed", failure: refusedBearer };
    const { accountId, credential, access } = claims;
    if (accountId === null) {
      const subject = { ...anonymousSubject, isBearer: true, rights: await rights.ofAnonymous(change), limits: access };
      return { outcome: "anonymous", subject };
    }
    const subject = await subjectOf({ accountId, credential }, change, now, access);
    return subject === null ? { outcome: "failed", failure: refusedBearer } : { outcome: "authenticated", subject };
  };

  return async ({ authorization, address }, now) => {
    const credentials = parseAuthorization(authorization);
    switch (credentials.kind) {
      case "none": {
        const change = await readAccessChange(database);
        return { outcome: "anonymous", subject: { ...anonymousSubject, rights: await rights.ofAnonymous(change) } };
      }
      case "malformed":
        return {
          outcome: "failed",
          failure: { reason: "malformed", scheme: null, message: credentials.problem, retryAfterSeconds: null },
        };
      case "basic":
        return await authenticateBasic(credentials, address, now);
      case "bearer":
        return await authenticateBearer(credentials.token, address, now);
    }
  };
}

const anonymousSubject = {
  account: null,
  credential: { kind: "none" },
  isBearer: false,
  limits: null,
  credentialLimits: null,
} as const;

const refusedBasic: LoginFailure = {
  reason: "refused",
  scheme: "basic",
  message: "user or password is wrong",
  retryAfterSeconds: null,
};
const refusedBearer: LoginFailure = {
  reason: "refused",
  scheme: "bearer",
  message: "the bearer token is not valid, or no longer",
  retryAfterSeconds: null,
};

/** What the proof is limited to now; `ended` when it proves nothing any more. */
function limitsOf(
  { isDisabled, passwordVersion, tokens }: AccountRights,
  credential: Subject["credential"],
  now: number,
): readonly AccessEntry[] | null | "ended" {
  if (isDisabled || credential.kind === "none") return "ended";
  if (credential.kind === "password") return credential.version === passwordVersion ? null : "ended";
  const token = tokens.get(credential.id);
  return token === undefined || (token.expiresAt !== null && token.expiresAt <= now) ? "ended" : token.limits;
}

async function checkBasic(
  deps: AuthenticateDeps,
  login: { readonly name: string; readonly password: string; readonly network: string },
  change: number,
  now: number,
): Promise<BasicOutcome> {
  const seconds = deps.loginLimit.ask(login.network, now);
  if (seconds > 0) return mustWait("limited", seconds);
  // The name beside an access token is not looked at, as in OpenShift's registry: the token names its account.
  const outcome = looksLikeAccessToken(login.password)
    ? await checkAccessToken(deps, login.password, change, now)
    : await checkPassword(deps, login, now);
  if ("reason" in outcome && outcome.reason === "refused") deps.loginLimit.take(login.network, now);
  return outcome;
}

async function checkAccessToken(
  { database, rights }: AuthenticateDeps,
  secret: string,
  change: number,
  now: number,
): Promise<BasicOutcome> {
  const token = await findAccessToken(database.read, secret);
  if (token === null) return refusedBasic;
  const credential = { kind: "access-token", id: token.id } as const;
  const found = await rights.ofAccount(token.accountId, change);
  if (found === null || limitsOf(found, credential, now) === "ended") return refusedBasic;
  await recordTokenUse(database, token.id, now);
  return { accountId: token.accountId, credential };
}

async function checkPassword(
  { database, lockOut }: AuthenticateDeps,
  { name, password, network }: { readonly name: string; readonly password: string; readonly network: string },
  now: number,
): Promise<BasicOutcome> {
  const account = await database.read
    .selectFrom("account")
    .select(["id", "password_hash", "password_version", "disabled"])
    .where("name", "=", name)
    .executeTakeFirst();
  const counted = account?.id ?? name;
  const hash = account?.disabled === 0 ? account.password_hash : null;
  let wait = 0;
  let verdict: "not-tried" | "right" | "wrong";
  try {
    // Asked when it is this log-in's turn: a thousand guesses at once are not a thousand free ones.
    verdict = await verifyPassword(password, hash, {
      // Asked when it is this log-in's turn: a thousand guesses at once are not a thousand free ones.
      isWanted: async () => {
        wait = await lockOut.wait(counted, network, now);
        return wait === 0;
      },
      onWrong: () => lockOut.fail(counted, network, now),
    });
  } catch (error) {
    if (error instanceof SignetError && error.code === "login-busy") return busy;
    throw error;
  }
  if (verdict === "not-tried") return mustWait("locked", Math.ceil(wait / 1_000));
  if (verdict === "wrong" || account === undefined || hash === null) return refusedBasic;
  await lockOut.succeed(account.id, network, now);
  if (isOutdated(hash, password)) await renewHash(database, account.id, hash, password);
  return { accountId: account.id, credential: { kind: "password", version: account.password_version } };
}

/** Puts today's hash in the place of the one that was just proved, unless it has changed since. The password stays, and so do its proofs. */
async function renewHash(database: Database, accountId: number, old: string, password: string): Promise<void> {
  let hash: string;
  try {
    hash = await hashPassword(password);
  } catch (error) {
    // Then at the next log-in.
    if (error instanceof SignetError && error.code === "login-busy") return;
    throw error;
  }
  await database.write(async (writer) => {
    await writer
      .updateTable("account")
      .set({ password_hash: hash })
      .where("id", "=", accountId)
      .where("password_hash", "=", old)
      .execute();
  });
}

const busy: LoginFailure = {
  reason: "busy",
  scheme: "basic",
  message: "too many passwords are being checked",
  retryAfterSeconds: 5,
};

function mustWait(reason: "limited" | "locked", seconds: number): LoginFailure {
  return {
    reason,
    scheme: "basic",
    message: `too many failed log-ins; try again in ${seconds} s`,
    retryAfterSeconds: seconds,
  };
}
