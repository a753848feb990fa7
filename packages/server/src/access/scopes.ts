/** Scopes: what a client asks a bearer token for, and what an access token is limited to. One text form, `TYPE:NAME:ACTIONS`. */
import { FormatError } from "@signet/core";
import { isRepositoryPath } from "../content/names.ts";

/**
 * What a scope can allow. Besides the three of Docker's token specification: `sign` adds signatures, `audit` records verification results. `*` is all that the
 * subject may do there.
 */
export type ScopeAction = "*" | "audit" | "delete" | "pull" | "push" | "sign";

/** One thing and what may be done with it; the form of the `access` claim of bearer tokens. */
export interface AccessEntry {
  /** `namespace` covers all repositories below it, and is for access tokens only; `registry` is the catalog. */
  readonly type: "namespace" | "registry" | "repository";
  /** A path; `*` for a namespace is everything; `catalog` for the registry. */
  readonly name: string;
  readonly actions: readonly ScopeAction[];
}

/** Scopes in one request: a push with cross-repository mounts asks for one a source; the token that holds them must fit into a header. */
const MAX_SCOPES = 32;
/** Characters of all scopes of one request. */
const MAX_SCOPES_LENGTH = 3_072;

const knownActions: readonly ScopeAction[] = ["*", "audit", "delete", "pull", "push", "sign"];
/** OpenShift's registry names signatures a type of their own. */
const signatureActions: ReadonlyMap<string, ScopeAction> = new Map([
  ["get", "pull"],
  ["put", "sign"],
]);

/**
 * What a request to the token endpoint asks for: several `scope` parameters, each a list parted by spaces, merged by name.
 *
 * Types and actions that we do not know are passed over, as Docker's specification wants it: they are not granted. Nor are namespaces, which no request may name.
 * @throws FormatError `token-scope-malformed` when one is not `TYPE:NAME:ACTIONS`, names what can be no repository, or there are too many
 */
export function parseRequestedScopes(parameters: readonly string[]): readonly AccessEntry[] {
  return merge(splitScopes(parameters).flatMap((scope) => parseScope(scope, "passed over")));
}

/**
 * What an access token is limited to, strictly: what we do not know is an error, since its author meant something by it.
 * @throws FormatError `token-scope-malformed`
 */
export function parseTokenLimits(scopes: readonly string[]): readonly AccessEntry[] {
  return merge(splitScopes(scopes).flatMap((scope) => parseScope(scope, "refused")));
}

/** One text a scope, sorted: the same limits are the same text. */
export function writeScopes(entries: readonly AccessEntry[]): readonly string[] {
  return entries.map(({ type, name, actions }) => `${type}:${name}:${actions.join(",")}`).sort();
}

/** True when one of the entries allows the action (or `*`) for the repository that clients call `path`. */
export function coversRepository(entries: readonly AccessEntry[], path: string, action: ScopeAction): boolean {
  return entries.some(
    (entry) => isAbout(entry, path) && (entry.actions.includes(action) || entry.actions.includes("*")),
  );
}

/** True when one of the entries is about the catalog. */
export function coversCatalog(entries: readonly AccessEntry[]): boolean {
  return entries.some(({ type, name, actions }) => type === "registry" && name === "catalog" && actions.includes("*"));
}

function isAbout({ type, name }: AccessEntry, path: string): boolean {
  if (type === "repository") return name === path;
  // The boundary is a whole segment: `team` covers `team/app`, and neither `teamx/app` nor `team`.
  return type === "namespace" && (name === "*" || path.startsWith(`${name}/`));
}

function splitScopes(texts: readonly string[]): readonly string[] {
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  if (length > MAX_SCOPES_LENGTH) {
    throw new FormatError("token-scope-malformed", `scopes of more than ${MAX_SCOPES_LENGTH} characters`);
  }
  const scopes = texts.flatMap((text) => text.split(" ")).filter((scope) => scope !== "");
  if (scopes.length > MAX_SCOPES) {
    throw new FormatError("token-scope-malformed", `more than ${MAX_SCOPES} scopes`);
  }
  return scopes;
}

function parseScope(scope: string, unknown: "passed over" | "refused"): readonly AccessEntry[] {
  const refuse = (problem: string): never => {
    throw new FormatError("token-scope-malformed", `scope ${JSON.stringify(scope.slice(0, 100))}: ${problem}`);
  };
  const parts = scope.split(":");
  if (parts.length !== 3) refuse("not TYPE:NAME:ACTIONS");
  const [typeText = "", name = "", actionText = ""] = parts;
  // A class, such as in `repository(plugin)`, says what is stored and not who may.
  const type = /^([a-z0-9]+)(?:\([a-z0-9]+\))?$/.exec(typeText)?.[1] ?? refuse("no type");
  const actions = actionText === "" ? [] : actionText.split(",");
  if (!actions.every((action) => /^(?:\*|[a-z][a-z-]*)$/.test(action))) refuse("not a list of actions");
  const isStrict = unknown === "refused";
  const known = (names: readonly ScopeAction[]): readonly ScopeAction[] =>
    actions.filter((action, index) => {
      const isKnown = (names as readonly string[]).includes(action);
      if (!isKnown && isStrict) refuse(`no action ${JSON.stringify(action)}`);
      return isKnown && actions.indexOf(action) === index;
    }) as ScopeAction[];
  if (isStrict && actions.length === 0) refuse("no actions");
  switch (type) {
    case "repository":
      if (!isRepositoryPath(name)) refuse("not a repository's name");
      return [{ type, name, actions: known(knownActions) }];
    case "signature": {
      if (!isRepositoryPath(name)) refuse("not a repository's name");
      const meant = actions.flatMap((action) => signatureActions.get(action) ?? []);
      if (isStrict && meant.length < actions.length) refuse("actions of signatures are get and put");
      return [{ type: "repository", name, actions: meant }];
    }
    case "registry":
      if (name !== "catalog") return isStrict ? refuse("the registry has a catalog only") : [];
      return [{ type, name, actions: known(["*"]) }];
    case "namespace":
      if (!isStrict) return [];
      if (name !== "*" && !isRepositoryPath(name)) refuse("not a namespace");
      return [{ type, name, actions: known(knownActions) }];
    default:
      return isStrict ? refuse(`no type ${JSON.stringify(type)}`) : [];
  }
}

function merge(entries: readonly AccessEntry[]): readonly AccessEntry[] {
  const byName = new Map<string, AccessEntry>();
  for (const entry of entries) {
    const key = `${entry.type}:${entry.name}`;
    const actions = new Set([...(byName.get(key)?.actions ?? []), ...entry.actions]);
    byName.set(key, { ...entry, actions: [...actions].sort() });
  }
  return [...byName.values()].filter(({ actions }) => actions.length > 0);
}
