/** Who may what, put together: the parts that a request needs, with the caches that they share. For most uses, call this. */
import type { Database } from "../db/database.ts";
import { makeRightsReader } from "./account-rights.ts";
import { type Authentication, type LoginRequest, makeAuthenticate } from "./authenticate.ts";
import { makeBearerTokens } from "./bearer-tokens.ts";
import { type ReadVisibilities, type TokenAnswer, type TokenRequest, makeIssueToken } from "./issue-token.ts";
import { makeLockOut } from "./lock-out.ts";
import { makeRateLimiter } from "./rate-limits.ts";
import { type TokenAlgorithm, makeTokenKeys } from "./token-keys.ts";

/** Seconds: Pulp's and docker's habit; short, since a client renews it unseen. */
const TOKEN_LIFETIME_SECONDS = 300;
/** Failed log-ins of one network: a burst for an office behind one address, then one in ten seconds. */
const LOGIN_LIMIT = { burst: 50, perSecond: 0.1 };

export interface AccessOptions {
  readonly database: Database;
  /** The token endpoint's URL: issuer of tokens, realm of challenges. */
  readonly issuer: string;
  /** What tokens are for: the server's name to its clients, such as its host and port. */
  readonly service: string;
  /** Seconds, 60 to 3,600; default 300. */
  readonly tokenLifetimeSeconds?: number;
  /** Default ES256, which every registry that shares our tokens can verify. */
  readonly tokenAlgorithm?: TokenAlgorithm;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export interface Access {
  /**
   * Who asks. Costs one point read of the database when the credentials were seen before.
   * @throws StoreError when the database does not answer: nobody is let in
   */
  authenticate(request: LoginRequest): Promise<Authentication>;
  /**
   * A bearer token of at most what the subject may. Less than asked for is no error.
   * @throws FormatError `token-scope-malformed`, `token-request-malformed` (both 400)
   */
  issueToken(request: TokenRequest, readVisibilities: ReadVisibilities): Promise<TokenAnswer>;
}

export function makeAccess(options: AccessOptions): Access {
  const { database, issuer, service, clock } = options;
  const bearerTokens = makeBearerTokens(makeTokenKeys(database, options.tokenAlgorithm ?? "ES256"), {
    issuer,
    service,
    lifetimeSeconds: options.tokenLifetimeSeconds ?? TOKEN_LIFETIME_SECONDS,
  });
  const authenticate = makeAuthenticate({
    database,
    rights: makeRightsReader(database),
    bearerTokens,
    lockOut: makeLockOut(database),
    loginLimit: makeRateLimiter(LOGIN_LIMIT),
  });
  const issueToken = makeIssueToken(database, bearerTokens, service);
  return {
    authenticate: (request) => authenticate(request, clock()),
    issueToken: (request, readVisibilities) => issueToken(request, readVisibilities, clock()),
  };
}
