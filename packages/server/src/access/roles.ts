/** Roles: one table of what each may do, and the one function that decides. Pure: it gets what it decides by handed in. */
import type { Role } from "../db/schema.ts";
import { type AccessEntry, type ScopeAction, coversCatalog, coversRepository } from "./scopes.ts";

/** What can be asked for. All but the last two are about one repository. */
export type Action =
  /** Read what is served. */
  | "pull"
  /** Read what a pull policy refuses to others. */
  | "pull-hidden"
  /** Add blobs, manifests and tags. */
  | "push"
  /** Add and remove signatures that no manifest carries, as OpenShift's system:image-signer may. */
  | "sign"
  /** Record verification results. */
  | "audit"
  /** Remove tags and manifests, with the signatures of these. */
  | "delete"
  /** Change settings: visibility, pull policy, quotas, immutable tags. */
  | "configure"
  /** Give and take roles there. */
  | "grant"
  /** List repositories: those that the subject may pull. */
  | "catalog"
  /** Everything of the whole server: accounts, keys, settings, audit log. */
  | "administer";

const ofMaintainer = ["audit", "configure", "delete", "grant", "pull", "pull-hidden", "push", "sign"] as const;

/** The one table. Roles add up: who may push and sign has both roles. */
export const actionsOfRole: Readonly<Record<Role, readonly Action[]>> = {
  reader: ["pull"],
  pusher: ["pull", "push"],
  signer: ["pull", "pull-hidden", "sign"],
  auditor: ["audit", "pull"],
  maintainer: ofMaintainer,
  admin: [...ofMaintainer, "administer"],
};

/** Which scope's action a limited subject needs; `*`: nothing less will do; null: no limited subject may. */
const scopeActionOf: Readonly<Record<Action, ScopeAction | null>> = {
  pull: "pull",
  "pull-hidden": "pull",
  push: "push",
  sign: "sign",
  audit: "audit",
  delete: "delete",
  configure: "*",
  grant: "*",
  catalog: "*",
  administer: null,
};

export interface Binding {
  readonly role: Role;
  readonly targetKind: "namespace" | "repository" | "server";
  /** A path; empty for the server. */
  readonly target: string;
}

/** What somebody's roles allow, by target. */
export type Rights = ReadonlyMap<string, ReadonlySet<Action>>;

/** Who asks: what was proved, and what that allows at most. */
export interface Subject {
  /** Null: nobody in particular. */
  readonly account: { readonly id: number; readonly name: string; readonly kind: "robot" | "user" } | null;
  /** How the account was proved. */
  readonly credential:
    | { readonly kind: "none" }
    | { readonly kind: "password"; readonly version: number }
    | { readonly kind: "access-token"; readonly id: string };
  /** True when it came by a bearer token, which can get no other one. */
  readonly isBearer: boolean;
  readonly rights: Rights;
  /** What the access token or bearer token is limited to; null: all that the account may. */
  readonly limits: readonly AccessEntry[] | null;
  /** The same of the credential alone: what a bearer token is limited to besides, as what was asked for, is not in it. */
  readonly credentialLimits: readonly AccessEntry[] | null;
}

/** A repository as it is asked for: roles and scopes are both about the path that clients name it by. */
export interface RepositoryTarget {
  readonly path: string;
  /** Undefined where nothing is served there yet, which is private. */
  readonly visibility: "private" | "public" | undefined;
}

export type Decision =
  | { readonly isAllowed: true }
  /** `outside-token`: the account may, this token does not; a client should ask for another one. */
  | { readonly isAllowed: false; readonly reason: "no-right" | "outside-token" };

/** Whether the subject may do that with the repository. */
export function decide(
  subject: Subject,
  action: Exclude<Action, "administer" | "catalog">,
  target: RepositoryTarget,
): Decision {
  if (!hasRight(subject.rights, action, target)) return { isAllowed: false, reason: "no-right" };
  if (subject.limits === null) return { isAllowed: true };
  const needed = scopeActionOf[action];
  const isCovered = needed !== null && coversRepository(subject.limits, target.path, needed);
  return isCovered ? { isAllowed: true } : { isAllowed: false, reason: "outside-token" };
}

/**
 * Whether the subject may list repositories (everybody may, since each sees only what {@link decide} lets it pull), or administer the server (role admin, by
 * password or an access token without limits).
 */
export function decideOnServer(subject: Subject, action: "administer" | "catalog"): Decision {
  if (action === "administer") {
    if (subject.rights.get("server")?.has("administer") !== true) return { isAllowed: false, reason: "no-right" };
    return subject.limits === null ? { isAllowed: true } : { isAllowed: false, reason: "outside-token" };
  }
  const isCovered = subject.limits === null || coversCatalog(subject.limits);
  return isCovered ? { isAllowed: true } : { isAllowed: false, reason: "outside-token" };
}

/**
 * Whether a repository stands in the list of a subject that may list. A bearer token for the list is about no repository: it shows what its account may pull, as far as the
 * access token goes that it may have come by.
 */
export function decideOnListing(subject: Subject, target: RepositoryTarget): Decision {
  return decide({ ...subject, limits: subject.credentialLimits }, "pull", target);
}

/**
 * Whether the subject may give or take the role: who may `grant` there, of the roles up to maintainer; `admin`, and everything on the whole server, only who may
 * administer it. A namespace is granted on by who may do so for all below it.
 */
export function decideOnGrant(subject: Subject, binding: Binding): Decision {
  if (binding.role === "admin" || binding.targetKind === "server") return decideOnServer(subject, "administer");
  if (binding.targetKind === "repository") {
    return decide(subject, "grant", { path: binding.target, visibility: undefined });
  }
  const keys = ["server", `namespace ${binding.target}`, ...namespacesOf(binding.target)];
  if (!keys.some((key) => subject.rights.get(key)?.has("grant"))) return { isAllowed: false, reason: "no-right" };
  // No repository is named so: only a scope on the namespace itself, or on one around it, covers it.
  const everythingBelow = `${binding.target}/*`;
  const isCovered = subject.limits === null || coversRepository(subject.limits, everythingBelow, "*");
  return isCovered ? { isAllowed: true } : { isAllowed: false, reason: "outside-token" };
}

/** Joins bindings by target, for fast decisions. */
export function joinBindings(bindings: readonly Binding[]): Rights {
  const rights = new Map<string, Set<Action>>();
  for (const { role, targetKind, target } of bindings) {
    const key = targetKind === "server" ? "server" : `${targetKind} ${target}`;
    const actions = rights.get(key) ?? new Set();
    // What is of the whole server comes from there alone, whatever the table of bindings says.
    for (const action of actionsOfRole[role]) if (action !== "administer" || key === "server") actions.add(action);
    rights.set(key, actions);
  }
  return rights;
}

function hasRight(rights: Rights, action: Action, { path, visibility }: RepositoryTarget): boolean {
  if (action === "pull" && visibility === "public") return true;
  if (rights.size === 0) return false;
  return ["server", `repository ${path}`, ...namespacesOf(path)].some((key) => rights.get(key)?.has(action));
}

/** The keys of the namespaces that a path lies in, by whole segments: of `a/b/c`, these are `a/b` and `a`. */
function namespacesOf(path: string): readonly string[] {
  const keys: string[] = [];
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    keys.push(`namespace ${path.slice(0, end)}`);
  }
  return keys;
}
