/** A registry on loopback for tests of the doors: everything real but the gate. */
import { makeTempDir, startLoopbackServer } from "@signet/testkit";
import type { BlobStore } from "../blobs/blob-store.ts";
import { openFilesystemStore } from "../blobs/filesystem.ts";
import type { Database } from "../db/database.ts";
import { openSqlite } from "../db/sqlite.ts";
import { openExchange } from "./answer.ts";
import type { Action, Caller, Gate, Target } from "./caller.ts";
import { DataPlane, type DataPlaneOptions } from "./data-plane.ts";

export interface ServedRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly url: string;
  readonly database: Database;
  readonly blobs: BlobStore;
  /** What clients were not told. */
  readonly failures: readonly unknown[];
  /** The registry's clock. */
  now(): number;
  /** Sets it forward. */
  advance(milliseconds: number): void;
  request(method: string, path: string, body?: Uint8Array | string, headers?: Record<string, string>): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly text: string;
  /** The first error's code. */
  readonly code: string | undefined;
}

/** Who may what; by default everybody everything. A request says who it comes from in `x-test-account`. */
export type Rights = (account: string, action: Action, path: string) => boolean;

/**
 * Starts a registry.
 * @param storage stays open; without it, SQLite and files of its own, gone with it
 */
export async function serveRegistry(
  rights: Rights = () => true,
  options: Pick<DataPlaneOptions, "names" | "onJudged" | "takesSchema1"> = {},
  storage?: Pick<ServedRegistry, "database" | "blobs">,
): Promise<ServedRegistry> {
  const own = storage === undefined ? await openOwnStorage() : undefined;
  const { database, blobs } = storage ?? own!;
  const failures: unknown[] = [];
  let ahead = 0;
  const now = (): number => Date.now() + ahead;
  const plane = new DataPlane({
    database,
    blobs,
    gate: makeGate(rights),
    ...options,
    onFailure: (error) => failures.push(error),
  });
  const server = await startLoopbackServer((request, response) => {
    void plane.handle(openExchange(request, response, now())).then((isHandled) => {
      if (!isHandled) response.writeHead(404).end();
    });
  });
  return {
    host: server.host,
    url: server.url,
    database,
    blobs,
    failures,
    now,
    advance: (milliseconds) => void (ahead += milliseconds),
    request: async (method, path, body, headers = {}) => {
      const answer = await fetch(`${server.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
      const bytes = Buffer.from(await answer.arrayBuffer());
      const text = bytes.toString();
      const code = /^\{"errors":\[\{"code":"([A-Z_]+)"/.exec(text)?.[1];
      return { status: answer.status, headers: answer.headers, bytes, text, code };
    },
    [Symbol.asyncDispose]: async () => {
      await server.dispose();
      await own?.close();
    },
  };
}

async function openOwnStorage(): Promise<Pick<ServedRegistry, "database" | "blobs"> & { close(): Promise<void> }> {
  const dir = makeTempDir("signet-registry-");
  const database = await openSqlite(dir.join("signet.db"));
  const blobs = await openFilesystemStore(dir.join("blobs"));
  const close = async (): Promise<void> => {
    await blobs.close();
    await database.close();
    dir.dispose();
  };
  return { database, blobs, close };
}

function makeGate(rights: Rights): Gate {
  return {
    identify: ({ headers }) => {
      const name = String(headers["x-test-account"] ?? "tester");
      const mayAs =
        (account: string) =>
        (action: Action, { path, visibility }: Target): boolean =>
          // Whoever may sign reads what a policy hides, as the role has it.
          rights(account, action === "pull-hidden" ? "sign" : action, path) ||
          (action === "pull" && visibility === "public");
      const caller: Caller = {
        name,
        credentials: name === "anonymous" ? "none" : "bearer",
        may: mayAs(name),
        mayList: () => true,
        lists: (target) => mayAs(name)("pull", target),
        withoutCredentials: () => Promise.resolve({ may: mayAs("anonymous") }),
      };
      return Promise.resolve(caller);
    },
    challenge: (_request, needed) => {
      const scopes = needed.map(({ type, name, actions }) => `${type}:${name}:${actions.join(",")}`);
      return `Bearer realm="http://127.0.0.1/token"${scopes.length === 0 ? "" : `,scope="${scopes.join(" ")}"`}`;
    },
  };
}
