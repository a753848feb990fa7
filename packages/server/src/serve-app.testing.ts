/** For tests: the whole server in this process, with its gate, on a free port of loopback. */
import { makeTempDir } from "@signet/testkit";
import { startServer } from "./app.ts";
import { type ServerConfig, loadConfig } from "./config.ts";
import type { Database } from "./db/database.ts";
import { openDatabase } from "./storage.ts";

export interface ServedApp extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly url: string;
  /** The server's data. */
  readonly folder: string;
  /** Another connection to the server's database, as `signet admin` has one. */
  readonly database: Database;
  /** What it was started with. */
  readonly config: ServerConfig;
  /** Of the account `admin`. */
  readonly adminPassword: string;
}

/** The Authorization header of Basic. */
export const basic = (user: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});

/** Starts one. @param env settings, as the environment has them */
export async function serveApp(
  env: Readonly<Record<string, string>> = {},
  adminPassword = "a password for tests",
): Promise<ServedApp> {
  await using opened = new AsyncDisposableStack();
  const dir = opened.use(makeTempDir("signet-app-"));
  const folder = dir.join("data");
  const { config } = await loadConfig({
    env: { HOME: dir.path, SIGNET_LOG_LEVEL: "error", SIGNET_LOG_ACCESS: "false", ...env },
    options: { listen: "127.0.0.1:0", data: folder },
  });
  const deps = { version: "0", now: Date.now, isTerminal: false, adminPassword };
  const server = opened.adopt(await startServer(config, deps), (one) => one.drain());
  const database = opened.adopt(await openDatabase(config), (one) => one.close());
  const parts = opened.move();
  return {
    host: new URL(server.url).host,
    url: server.url,
    folder,
    database,
    config,
    adminPassword,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
