/** The token endpoint's work: what a subject asked for, cut to what it may, as a bearer token. */
import { FormatError } from "@signet/core";
import type { Database } from "../db/database.ts";
import { readAccessChange } from "./access-change.ts";
import type { BearerTokens } from "./bearer-tokens.ts";
import { type Action, type RepositoryTarget, type Subject, decide, decideOnServer } from "./roles.ts";
import { type AccessEntry, type ScopeAction, parseRequestedScopes } from "./scopes.ts";

export interface TokenRequest {
  /** From `authenticate`, by Basic or anonymous. */
  readonly subject: Subject;
  /** The parameter `service`; undefined: it was not there. */
  readonly service: string | undefined;
  /** Each parameter `scope`, as it came. */
  readonly scopes: readonly string[];
}

/** The answer's body, as Docker's token specification names its members. */
export interface TokenAnswer {
  readonly token: string;
  readonly access_token: string;
  /** Seconds. */
  readonly expires_in: number;
  /** RFC 3339. */
  readonly issued_at: string;
}

/** The visibility of what is served under each path; nothing is served under a path that is not in the answer. */
export type ReadVisibilities = (
  paths: readonly string[],
) => Promise<ReadonlyMap<string, NonNullable<RepositoryTarget["visibility"]>>>;

const repositoryActions: Readonly<Record<Exclude<ScopeAction, "*">, Exclude<Action, "administer" | "catalog">>> = {
  audit: "audit",
  delete: "delete",
  pull: "pull",
  push: "push",
  sign: "sign",
};

/** @returns a function that issues tokens of at most what the subject may; asking for more is no error, and gives less */
export function makeIssueToken(
  database: Database,
  bearerTokens: BearerTokens,
  service: string,
): (request: TokenRequest, readVisibilities: ReadVisibilities, now: number) => Promise<TokenAnswer> {
  return async (request, readVisibilities, now) => {
    if (request.subject.isBearer) {
      // Else a token of five minutes would be one for ever.
      throw new FormatError("token-request-malformed", "a bearer token cannot be had for a bearer token");
    }
    if (request.service !== undefined && request.service !== service) {
      throw new FormatError("token-request-malformed", `this server issues tokens for ${JSON.stringify(service)} only`);
    }
    const requested = parseRequestedScopes(request.scopes);
    const paths = requested.filter(({ type }) => type === "repository").map(({ name }) => name);
    const visibilities = await readVisibilities(paths);
    const { account, credential } = request.subject;
    const { token, expiresIn, issuedAt } = await bearerTokens.sign(
      {
        accountId: account?.id ?? null,
        name: account?.name ?? "",
        credential,
        access: grantScopes(request.subject, requested, visibilities),
      },
      await readAccessChange(database),
      now,
    );
    return { token, access_token: token, expires_in: expiresIn, issued_at: new Date(issuedAt).toISOString() };
  };
}

/**
 * The requested scopes, cut to what the subject may. Pure. Never more than asked for, but for what belongs to it: who asks to push gets pull (clients look before they
 * send) and sign (they know no such action, and push signatures with the same token), each if the subject may.
 */
export function grantScopes(
  subject: Subject,
  requested: readonly AccessEntry[],
  visibilities: Awaited<ReturnType<ReadVisibilities>>,
): readonly AccessEntry[] {
  return requested.flatMap((entry): readonly AccessEntry[] => {
    if (entry.type === "registry") return decideOnServer(subject, "catalog").isAllowed ? [entry] : [];
    if (entry.type !== "repository") return [];
    const target = { path: entry.name, visibility: visibilities.get(entry.name) };
    const actions = widen(entry.actions).filter(
      (action) => decide(subject, repositoryActions[action], target).isAllowed,
    );
    return actions.length === 0 ? [] : [{ ...entry, actions }];
  });
}

function widen(actions: readonly ScopeAction[]): readonly Exclude<ScopeAction, "*">[] {
  const all = Object.keys(repositoryActions).sort() as Exclude<ScopeAction, "*">[];
  if (actions.includes("*")) return all;
  const isAsked = (action: ScopeAction): boolean =>
    actions.includes(action) || ((action === "pull" || action === "sign") && actions.includes("push"));
  return all.filter(isAsked);
}
