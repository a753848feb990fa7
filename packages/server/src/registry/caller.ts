/** Who asks, and what they may: the doors ask this and decide nothing themselves. */
import type { IncomingMessage } from "node:http";

/** What a request does to a repository; `pull-hidden` is reading what a pull policy keeps from others. */
export type Action = "audit" | "delete" | "pull" | "pull-hidden" | "push" | "sign";

/** A repository as far as rights depend on it; `visibility` is undefined for one that does not exist yet. */
export interface Target {
  readonly path: string;
  readonly visibility: "private" | "public" | undefined;
}

/** Whoever sent a request. */
export interface Caller {
  /** The account's name; `anonymous` without credentials. */
  readonly name: string;
  /** How they proved it: a refusal is worded by it. */
  readonly credentials: "basic" | "bearer" | "none";
  may(action: Action, target: Target): boolean;
  /** The same sender as nobody in particular: what everybody may is no secret from whoever has a token of something else. */
  withoutCredentials(): Promise<Pick<Caller, "may">>;
  /** Whether they may list the server's repositories; each one is asked for besides. */
  mayList(): boolean;
  /** Whether a repository stands in their list. A token for the list names no repository, so this is no question of its scopes. */
  lists(target: Target): boolean;
}

/** Tells who sent a request, and what to answer when that is not enough. */
export interface Gate {
  /** @throws RegistryError when credentials are given and do not hold */
  identify(request: IncomingMessage): Promise<Caller>;
  /** The value of `WWW-Authenticate` that leads a client to the rights it lacks; none for `/v2/`. */
  challenge(request: IncomingMessage, needed: readonly Needed[], hadToken: boolean): string;
}

/** Rights that a request needs, for the challenge: on a repository, or on the list of all, the registry called `catalog`. */
export interface Needed {
  readonly type: "registry" | "repository";
  readonly name: string;
  /** `*`: all there is, which clients know the catalog's by. */
  readonly actions: readonly (Action | "*")[];
}

/** What listing the server's repositories needs. */
export const CATALOG_RIGHTS: Needed = { type: "registry", name: "catalog", actions: ["*"] };

/** What a request wants to do. */
export interface Wanted {
  readonly path: string;
  readonly action: Action;
  /** Where the blob of an upload is to be mounted from, as far as the client may read there. */
  readonly mountSource?: string | undefined;
}

/** What is needed for it, with what belongs to it: clients look before they change something. */
export function neededRights({ path, action, mountSource }: Wanted): readonly Needed[] {
  const rights: Needed = { type: "repository", name: path, actions: action === "pull" ? ["pull"] : ["pull", action] };
  const isElsewhere = mountSource !== undefined && mountSource !== path;
  return isElsewhere ? [rights, { type: "repository", name: mountSource, actions: ["pull"] }] : [rights];
}
