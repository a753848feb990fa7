/** The gate of the doors: credentials by `access`, rights by its table of roles, challenges by the way the client came. */
import type { IncomingMessage } from "node:http";
import type { Access } from "../access/access.ts";
import type { LoginFailure } from "../access/authenticate.ts";
import { writeChallenge } from "../access/challenge.ts";
import { type Subject, decide, decideOnListing, decideOnServer } from "../access/roles.ts";
import { type Action, CATALOG_RIGHTS, type Caller, type Gate, type Needed, neededRights } from "../registry/caller.ts";
import { RegistryError } from "../registry/registry-error.ts";
import { readRoute } from "../registry/route.ts";
import { readMountSource } from "../registry/upload-door.ts";
import type { ClientReader } from "./client.ts";

export interface AccessGateOptions {
  readonly access: Access;
  readonly clients: ClientReader;
  readonly service: string;
  /** False: nobody gets anything without an account. */
  readonly anonymous: boolean;
}

/** Identifies callers. Who asked is remembered until the request is gone, for the log. */
export class AccessGate implements Gate {
  readonly #options: AccessGateOptions;
  readonly #names = new WeakMap<IncomingMessage, string>();

  constructor(options: AccessGateOptions) {
    this.#options = options;
  }

  /** @throws RegistryError when credentials are given and do not hold: 401 with a challenge, 429 or 503 with `Retry-After` */
  async identify(request: IncomingMessage): Promise<Caller> {
    const subject = await this.subjectOf(request, request.headers.authorization);
    const nobody = async (): Promise<Pick<Caller, "may">> =>
      this.#callerOf(await this.#authenticate(request, undefined), nobody);
    return this.#callerOf(subject, nobody);
  }

  /**
   * Who asks, by this Authorization header.
   * @throws as {@link identify}
   */
  async subjectOf(request: IncomingMessage, authorization: string | undefined): Promise<Subject> {
    const subject = await this.#authenticate(request, authorization);
    this.#names.set(request, nameOf(subject));
    return subject;
  }

  async #authenticate(request: IncomingMessage, authorization: string | undefined): Promise<Subject> {
    const { access, clients } = this.#options;
    const found = await access.authenticate({ authorization, address: clients.addressOf(request) });
    if (found.outcome === "failed") throw this.#refuse(request, found.failure);
    return found.subject;
  }

  /** The account that a request was made by, as far as it is known. */
  nameOf(request: IncomingMessage): string | undefined {
    return this.#names.get(request);
  }

  /**
   * Lets those pass who may administer the server.
   * @param page what they ask for, in words
   * @throws RegistryError as {@link identify}; `UNAUTHORIZED` without credentials or with a token, `DENIED` with the password of somebody else
   */
  async admitAdmin(request: IncomingMessage, page: string): Promise<void> {
    const subject = await this.subjectOf(request, request.headers.authorization);
    if (decideOnServer(subject, "administer").isAllowed) return;
    const reason = `${page} are for accounts with the role admin`;
    // A token may be too small for an account that is large enough.
    if (subject.account !== null && !subject.isBearer) throw new RegistryError("DENIED", reason);
    const headers = { "www-authenticate": 'Basic realm="signet", charset="UTF-8"' };
    throw new RegistryError("UNAUTHORIZED", reason, { headers });
  }

  challenge(request: IncomingMessage, needed: readonly Needed[], hadToken: boolean): string {
    // What is about no repository says so by its path alone.
    const rights = needed.length === 0 ? neededBy(request) : needed;
    return this.#challenge(request, rights, hadToken ? "insufficient_scope" : undefined);
  }

  #challenge(
    request: IncomingMessage,
    needed: readonly Needed[],
    error: "insufficient_scope" | "invalid_token" | undefined,
  ): string {
    const { clients, service } = this.#options;
    return writeChallenge({
      realm: `${clients.urlOf(request)}/token`,
      service,
      scopes: needed.map(({ type, name, actions }) => `${type}:${name}:${[...new Set(actions)].join(",")}`),
      ...(error === undefined ? {} : { error }),
    });
  }

  #refuse(request: IncomingMessage, failure: LoginFailure): RegistryError {
    const { reason, message, retryAfterSeconds } = failure;
    const wait: Record<string, string> =
      retryAfterSeconds === null ? {} : { "retry-after": String(Math.max(1, Math.ceil(retryAfterSeconds))) };
    if (reason === "locked" || reason === "limited") {
      return new RegistryError("TOOMANYREQUESTS", message, { headers: wait });
    }
    if (reason === "busy") return new RegistryError("UNAVAILABLE", message, { headers: wait });
    const error = failure.scheme === "bearer" ? "invalid_token" : undefined;
    const challenge = this.#challenge(request, neededBy(request), error);
    return new RegistryError("UNAUTHORIZED", message, { headers: { "www-authenticate": challenge } });
  }

  #callerOf(subject: Subject, withoutCredentials: Caller["withoutCredentials"]): Caller {
    const isShutOut = subject.account === null && !this.#options.anonymous;
    const withoutToken = subject.credential.kind === "none" ? "none" : "basic";
    const credentials = subject.isBearer ? "bearer" : withoutToken;
    return {
      name: nameOf(subject),
      credentials,
      may: (action, target) => !isShutOut && decide(subject, action, target).isAllowed,
      // Clients show credentials only where they are asked for them: without, the list would be of what is public, and look whole. Who has no account lists by a token for nobody in particular.
      mayList: () => credentials !== "none" && !isShutOut && decideOnServer(subject, "catalog").isAllowed,
      lists: (target) => !isShutOut && decideOnListing(subject, target).isAllowed,
      withoutCredentials,
    };
  }
}

function nameOf(subject: Subject): string {
  return subject.account?.name ?? "anonymous";
}

/** What a request will need, so that a client whose token has expired knows which one to ask for. */
function neededBy(request: IncomingMessage): readonly Needed[] {
  try {
    const [path = "", query = ""] = (request.url ?? "").split("?", 2);
    const route = readRoute(path);
    if (route?.kind === "catalog") return [CATALOG_RIGHTS];
    if (route === undefined || !("path" in route) || route.path === undefined) return [];
    const mountSource = route.kind === "uploads" ? readMountSource(new URLSearchParams(query)) : undefined;
    return neededRights({ path: route.path, action: actionOf(route.kind, request.method ?? "GET"), mountSource });
  } catch {
    // A malformed path: the answer says so once the client is known.
    return [];
  }
}

function actionOf(kind: string, method: string): Action {
  if (method === "GET" || method === "HEAD") return kind === "upload" ? "push" : "pull";
  if (kind === "signatures" || kind === "lookaside") return "sign";
  if (kind === "verifications") return "audit";
  if (method === "DELETE" && kind !== "upload") return "delete";
  return "push";
}
