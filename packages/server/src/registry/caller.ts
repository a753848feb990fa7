/** Who asks, and what they may: the doors ask this and decide nothing themselves. */
import type { IncomingMessage } from "node:http";

/** What a request does to a repository; `pull-hidden` is reading what a pull policy keeps from others. */
export type Action = "delete" | "pull" | "pull-hidden" | "push" | "sign";

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
  /** Whether they may list the server's repositories; each one is asked for besides. */
  mayList(): boolean;
}

/** Tells who sent a request, and what to answer when that is not enough. */
export interface Gate {
  /** @throws RegistryError when credentials are given and do not hold */
  identify(request: IncomingMessage): Promise<Caller>;
  /** The value of `WWW-Authenticate` that leads a client to the rights it lacks. */
  challenge(request: IncomingMessage, needed: Needed | undefined, hadToken: boolean): string;
}

/** A right that was missing, for the challenge. */
export interface Needed {
  readonly path: string;
  readonly actions: readonly Action[];
}
