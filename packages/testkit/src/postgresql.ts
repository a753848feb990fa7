/** A real PostgreSQL for tests, from Debian's binaries, with a cluster of its own in a temporary folder. */
import { spawnSync } from "node:child_process";
import { chownSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { realpathSync } from "node:fs";
import { type Account, startServerProcess } from "./server-process.ts";
import { type TempDir, makeTempDir } from "./temp-dir.ts";
import { findTool, runChecked } from "./tools.ts";

/** Milliseconds until a server that does not answer is given up; a second in practice. */
const START_TIMEOUT_MS = 60_000;
/** Only a part of the socket's name: nothing listens on a port. */
const PORT = 5432;
/** The superuser of the cluster, and the account under which it runs where we are root, since PostgreSQL refuses to be root. */
const USER = "postgres";

export interface Postgresql extends AsyncDisposable {
  /**
   * Makes an empty database and returns its URL, which leads over a socket in a folder that only the server's user may enter.
   * @param icuLocale how it sorts text, such as `en-US`; default: by bytes. From PostgreSQL 15 on
   */
  makeDatabase(icuLocale?: string): Promise<string>;
  /** Stops the server at once, and removes all its data. */
  dispose(): Promise<void>;
}

/**
 * Starts a server. It listens on no port, and the cluster that Debian's package makes is not used. A file with tests starts one, and makes a database for each test.
 * It runs without `fsync`: tests ask it for isolation and behaviour, not for what survives the loss of power.
 * @throws Error when PostgreSQL is missing (ask `requireTool(t, "postgres")` first) or does not start
 */
export async function startPostgresql(): Promise<Postgresql> {
  const postgres = findTool("postgres");
  if (postgres === undefined) throw new Error("PostgreSQL is missing; install it with: apt-get install postgresql");
  const dir = makeTempDir("signet-pg-");
  try {
    const account = process.getuid?.() === 0 ? readAccount(USER) : undefined;
    if (account !== undefined) chownSync(dir.path, account.uid, account.gid);
    return await startCluster(dir, dirname(realpathSync(postgres)), account);
  } catch (error) {
    dir.dispose();
    throw error;
  }
}

async function startCluster(dir: TempDir, programs: string, account: Account | undefined): Promise<Postgresql> {
  const data = dir.join("data");
  const made = spawnSync(
    join(programs, "initdb"),
    ["--pgdata", data, "--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"],
    { ...account, cwd: dir.path, env: { LANG: "C.UTF-8", TZ: "UTC" }, encoding: "utf8", timeout: START_TIMEOUT_MS },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}${made.error?.message ?? ""}`);
  const settings: Readonly<Record<string, string>> = {
    listen_addresses: "",
    port: String(PORT),
    unix_socket_directories: dir.path,
    fsync: "off",
    full_page_writes: "off",
    shared_buffers: "32MB",
    max_connections: "200",
  };
  const server = startServerProcess(
    join(programs, "postgres"),
    ["-D", data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    // SIGQUIT: it ends its own children at once, and saves nothing.
    { cwd: dir.path, account, signal: "SIGQUIT" },
  );
  const dispose = async (): Promise<void> => {
    await server.stop();
    dir.dispose();
  };
  try {
    await server.printed("ready to accept connections", START_TIMEOUT_MS);
  } catch (error) {
    await dispose();
    throw error;
  }
  const urlOf = (database: string): string =>
    `postgresql://${USER}@localhost:${PORT}/${database}?host=${encodeURIComponent(dir.path)}`;
  let count = 0;
  return {
    makeDatabase: async (icuLocale) => {
      const name = `test_${(count += 1)}`;
      const locale =
        icuLocale === undefined ? [] : ["--template=template0", "--locale-provider=icu", `--icu-locale=${icuLocale}`];
      await runChecked(join(programs, "createdb"), ["--maintenance-db", urlOf(USER), ...locale, name]);
      return urlOf(name);
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

/** @throws Error when this machine has no such account: Debian's package makes it */
function readAccount(name: string): Account {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined || gid === undefined) throw new Error(`there is no account ${name} to run PostgreSQL under`);
  return { uid: Number(uid), gid: Number(gid) };
}
