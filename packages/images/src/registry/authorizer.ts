import { StoreError } from "@signet/core";
import type { Challenge } from "./challenge.ts";
import { type Credentials, basicAuthorization, secretsOf } from "./credentials.ts";
import type { Wire } from "./exchange.ts";
import { checkRealm } from "./realm-rule.ts";
import type { RetryPolicy } from "./retry.ts";
import { type Token, fetchToken } from "./token.ts";

/** What somebody wants to do in a repository. */
export interface Access {
  /** Path below the host, such as `library/busybox`. */
  readonly repository: string;
  readonly actions: "pull" | "pull,audit" | "pull,push" | "delete";
}

/** What goes into the `Authorization` header, and what follows from it. */
export interface Authorization {
  readonly header: string | undefined;
  /** True when credentials stand behind it; an anonymous token is not that. */
  readonly authenticated: boolean;
  readonly secrets: readonly string[];
}

/** Finds the credentials for a repository of the registry, or for the registry as a whole. */
export type CredentialsLookup = (repository: string | undefined) => Promise<Credentials | undefined>;

export interface AuthorizerOptions {
  readonly wire: Wire;
  readonly retry: RetryPolicy;
  readonly credentials: CredentialsLookup;
  /** `host[:port]` of token services that may have the credentials. */
  readonly trustedRealms: readonly string[];
}

/** Characters of one scope. */
const MAX_SCOPE_LENGTH = 1024;

/** Tokens kept; a copy between many repositories must not collect them without end. */
const MAX_CACHED_TOKENS = 1000;

/** Answers challenges, and remembers tokens while they last. Credentials leave this class only as an `Authorization` header or to an allowed realm. */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #tokens = new Map<string, Promise<Token>>();
  readonly #credentials = new Map<string | undefined, Promise<Credentials | undefined>>();

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /**
   * Answers the first challenge that can be answered: Bearer with a token, Basic with credentials if there are any.
   * @param origin at which the registry is spoken to
   * @param fresh true: a remembered token was not accepted and is asked for again
   * @throws StoreError `registry-url-refused` for a realm that may not be asked, `registry-unauthorized` for wrong credentials, …
   */
  async answer(
    origin: URL,
    challenges: readonly Challenge[],
    access: readonly Access[],
    fresh: boolean,
  ): Promise<Authorization> {
    const none: Authorization = { header: undefined, authenticated: false, secrets: [] };
    // An open registry is not a reason to start credential helpers.
    if (challenges.length === 0) return none;
    const credentials = await this.#credentialsFor(access[0]?.repository);
    for (const challenge of challenges) {
      if (challenge.scheme === "bearer") return await this.#bearer(origin, challenge, access, credentials, fresh);
      if (challenge.scheme === "basic" && credentials?.kind === "password") {
        return { header: basicAuthorization(credentials), authenticated: true, secrets: secretsOf(credentials) };
      }
    }
    return none;
  }

  async #bearer(
    origin: URL,
    challenge: Challenge,
    access: readonly Access[],
    credentials: Credentials | undefined,
    fresh: boolean,
  ): Promise<Authorization> {
    const { wire, retry, trustedRealms } = this.#options;
    const rule = { registry: origin, name: wire.registry, trustedRealms };
    const realm = checkRealm(challenge.parameters.get("realm"), rule, credentials !== undefined);
    const service = challenge.parameters.get("service");
    const scopes = scopesFor(access, challenge.parameters.get("scope"));
    // Credentials may differ between repositories of one host, so the first repository is part of the key.
    const key = JSON.stringify([realm.href, service, access[0]?.repository, scopes]);
    if (fresh) this.#tokens.delete(key);
    let pending = this.#tokens.get(key);
    if (pending !== undefined && !(await isUsable(pending, retry.clock.now()))) pending = undefined;
    if (pending === undefined) {
      if (this.#tokens.size >= MAX_CACHED_TOKENS) this.#tokens.clear();
      pending = fetchToken(wire, retry, { realm, service, scopes, credentials }, `token for ${wire.registry}`);
      this.#tokens.set(key, pending);
    }
    try {
      const token = await pending;
      return {
        header: `Bearer ${token.text}`,
        authenticated: credentials !== undefined,
        secrets: [token.text, ...secretsOf(credentials)],
      };
    } catch (error) {
      if (this.#tokens.get(key) === pending) this.#tokens.delete(key);
      throw error;
    }
  }

  async #credentialsFor(repository: string | undefined): Promise<Credentials | undefined> {
    let pending = this.#credentials.get(repository);
    if (pending === undefined) {
      pending = this.#options.credentials(repository);
      this.#credentials.set(repository, pending);
      pending.catch(() => this.#credentials.delete(repository));
    }
    const credentials = await pending;
    if (credentials?.kind === "password" && credentials.username.includes(":")) {
      // RFC 7617, section 2: a colon would move the border between name and password.
      throw new StoreError("registry-unauthorized", `the user name for ${this.#options.wire.registry} holds a colon`, {
        hint: `log in again with \`signet login ${this.#options.wire.registry}\``,
      });
    }
    return credentials;
  }
}

async function isUsable(pending: Promise<Token>, now: number): Promise<boolean> {
  try {
    return (await pending).usableUntil > now;
  } catch {
    return false;
  }
}

/** Our own scopes, and the one the registry asks for if it is about a repository that is being accessed anyway. */
function scopesFor(access: readonly Access[], asked: string | undefined): readonly string[] {
  const scopes = access.map(({ repository, actions }) => `repository:${repository}:${actions}`);
  for (const scope of asked?.split(" ") ?? []) {
    const form = /^(?:repository|signature):([a-z0-9._/-]+):[a-z*,]+$/.exec(scope);
    if (form === null || scope.length > MAX_SCOPE_LENGTH) continue;
    if (access.some(({ repository }) => repository === form[1])) scopes.push(scope);
  }
  return [...new Set(scopes)].toSorted();
}
