import { randomBytes } from "node:crypto";
import { emptyAnswer, errorAnswer, jsonAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";

export type Action = "pull" | "push" | "delete";

/** Who may do what in the test registry. */
export interface AccessOptions {
  /** `none` lets anybody do anything; `basic` asks for Basic authentication; `bearer` for a token from `/token`. */
  readonly auth: "none" | "basic" | "bearer";
  /** Passwords by user name. */
  readonly users: Readonly<Record<string, string>>;
  /** Users who may only pull. */
  readonly readOnlyUsers: readonly string[];
  /** With `bearer`: tokens to pull are given to anybody. */
  readonly anonymousPull: boolean;
  /** Identity tokens that the OAuth2 form of `/token` takes as refresh tokens, and their users. */
  readonly identityTokens: Readonly<Record<string, string>>;
  /** Announced as the token realm instead of the registry's own `/token`. */
  readonly tokenRealm: string | undefined;
  readonly tokenLifetimeSeconds: number;
}

export interface Credentials {
  readonly kind: "none" | "basic" | "bearer";
  readonly user: string | undefined;
}

interface Token {
  readonly user: string | undefined;
  /** `repository:NAME:ACTION` */
  readonly grants: ReadonlySet<string>;
  readonly expiresAt: number;
}

const service = "signet-test-registry";

export class Access {
  readonly #options: AccessOptions;
  readonly #tokens: Map<string, Token> = new Map();

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** Makes every token handed out so far invalid. */
  expireTokens(): void {
    this.#tokens.clear();
  }

  /** What the request claims to be, for the log: never the secret itself. */
  describe(authorization: string | undefined): Credentials {
    if (authorization === undefined) return { kind: "none", user: undefined };
    if (/^bearer /i.test(authorization)) {
      return { kind: "bearer", user: this.#tokens.get(authorization.slice(7))?.user };
    }
    return { kind: "basic", user: parseBasic(authorization)?.user };
  }

  /** Undefined when the request may go on, else the refusal. Without `repository` (the ping) any known user will do. */
  refuse(
    authorization: string | undefined,
    ownUrl: string,
    repository: string | undefined,
    action: Action,
  ): Answer | undefined {
    if (this.#options.auth === "none") return undefined;
    if (this.#options.auth === "basic") return this.#refuseBasic(authorization, action);
    const token = /^bearer /i.test(authorization ?? "") ? this.#tokens.get(authorization!.slice(7)) : undefined;
    const current = token !== undefined && token.expiresAt > Date.now();
    if (current && (repository === undefined || token.grants.has(`repository:${repository}:${action}`)))
      return undefined;
    const actions = action === "push" ? "pull,push" : action;
    const scope = repository === undefined ? "" : `,scope="repository:${repository}:${actions}"`;
    const problem = authorization === undefined ? "" : `,error="${current ? "insufficient_scope" : "invalid_token"}"`;
    const realm = this.#options.tokenRealm ?? `${ownUrl}/token`;
    return unauthorized(`Bearer realm="${realm}",service="${service}"${scope}${problem}`);
  }

  /** The token endpoint: GET with Basic, and the OAuth2 form with a POST body. */
  issueToken(method: string, query: URLSearchParams, authorization: string | undefined, body: string): Answer {
    if (method !== "GET" && method !== "POST") return emptyAnswer(405);
    const form = method === "POST" ? new URLSearchParams(body) : query;
    let user: string | undefined;
    if (method === "POST") {
      user = this.#oauthUser(form);
      if (user === undefined) return errorAnswer(401, "UNAUTHORIZED", "authentication required");
    } else if (authorization !== undefined) {
      user = this.#knownUser(parseBasic(authorization));
      if (user === undefined) return errorAnswer(401, "UNAUTHORIZED", "authentication required");
    } else if (!this.#options.anonymousPull) {
      return errorAnswer(401, "UNAUTHORIZED", "authentication required");
    }
    const grants = new Set<string>();
    for (const scope of form.getAll("scope").flatMap((value) => value.split(" "))) {
      const [, repository, actions] = /^repository:(.+):([a-z*,]+)$/.exec(scope) ?? [];
      if (repository === undefined || actions === undefined) continue;
      for (const action of actions === "*" ? ["pull", "push", "delete"] : actions.split(",")) {
        if (action === "pull" || (user !== undefined && !this.#options.readOnlyUsers.includes(user)))
          grants.add(`repository:${repository}:${action}`);
      }
    }
    const token = randomBytes(24).toString("base64url");
    const lifetime = this.#options.tokenLifetimeSeconds;
    this.#tokens.set(token, { user, grants, expiresAt: Date.now() + lifetime * 1000 });
    const issuedAt = new Date().toISOString();
    return jsonAnswer(200, { token, access_token: token, expires_in: lifetime, issued_at: issuedAt });
  }

  #refuseBasic(authorization: string | undefined, action: Action): Answer | undefined {
    const user = authorization === undefined ? undefined : this.#knownUser(parseBasic(authorization));
    if (user === undefined) return unauthorized(`Basic realm="${service}"`);
    if (action !== "pull" && this.#options.readOnlyUsers.includes(user))
      return errorAnswer(403, "DENIED", "requested access to the resource is denied");
    return undefined;
  }

  #knownUser(claimed: { readonly user: string; readonly password: string } | undefined): string | undefined {
    if (claimed === undefined || !Object.hasOwn(this.#options.users, claimed.user)) return undefined;
    return this.#options.users[claimed.user] === claimed.password ? claimed.user : undefined;
  }

  #oauthUser(form: URLSearchParams): string | undefined {
    if (form.get("grant_type") === "password")
      return this.#knownUser({ user: form.get("username") ?? "", password: form.get("password") ?? "" });
    const refreshToken = form.get("refresh_token") ?? "";
    const known =
      form.get("grant_type") === "refresh_token" && Object.hasOwn(this.#options.identityTokens, refreshToken);
    return known ? this.#options.identityTokens[refreshToken] : undefined;
  }
}

function unauthorized(challenge: string): Answer {
  return errorAnswer(401, "UNAUTHORIZED", "authentication required", { "www-authenticate": challenge });
}

function parseBasic(authorization: string): { readonly user: string; readonly password: string } | undefined {
  const encoded = /^basic ([A-Za-z0-9+/=]+)$/i.exec(authorization)?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
