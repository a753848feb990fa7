/** Work on the server's database by whoever may read and write its files, beside a running server or without one. */
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import type { AuditAction, BlobStore, Database } from "@signet/server";
import { StoreError } from "@signet/core";
import type { Invocation } from "../command-line/command.ts";
import type { Runtime } from "../runtime.ts";
import { loadServerConfig } from "./server-options.ts";

/** The database, and a way to change it that leaves an entry in the audit log. */
export interface OfflineDatabase extends AsyncDisposable {
  readonly database: Database;
  /** The same database for one change: its entry is committed with it. `detail` never holds a secret. */
  audited(action: AuditAction, target: string, detail?: Readonly<Record<string, unknown>>): Database;
}

/**
 * Opens the database that the configuration names. One that does not exist is not made: the server's first start makes it, with the account `admin`.
 * @throws as `loadConfig` and `openDatabase`; StoreError `file-missing`
 */
export async function openOfflineDatabase(invocation: Invocation, runtime: Runtime): Promise<OfflineDatabase> {
  const { config } = await loadServerConfig(invocation, runtime);
  if (config.database.kind === "sqlite" && !existsSync(config.database.path)) {
    throw new StoreError("file-missing", `there is no database ${config.database.path}`, {
      hint: "name the server's folder with --data or its configuration with --config; `signet serve` makes a new one",
      side: "local",
    });
  }
  const { auditedDatabase, openDatabase } = await import("@signet/server");
  const database = await openDatabase(config);
  return {
    database,
    audited: (action, target, detail = {}) =>
      auditedDatabase(database, () => ({
        at: runtime.now(),
        actor: "offline",
        action,
        target,
        detail: { ...detail, system_user: userInfo().username },
      })),
    [Symbol.asyncDispose]: () => database.close(),
  };
}

/** The database with the blobs beside it. */
export interface OfflineStorage extends OfflineDatabase {
  readonly blobs: BlobStore;
}

/**
 * Opens the database and the blob store that the configuration names.
 * @throws as {@link openOfflineDatabase} and `openBlobs`
 */
export async function openOfflineStorage(invocation: Invocation, runtime: Runtime): Promise<OfflineStorage> {
  const offline = await openOfflineDatabase(invocation, runtime);
  try {
    const { config } = await loadServerConfig(invocation, runtime);
    const { openBlobs } = await import("@signet/server");
    const blobs = await openBlobs(config);
    return {
      ...offline,
      blobs,
      [Symbol.asyncDispose]: async () => {
        await blobs.close();
        await offline[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await offline[Symbol.asyncDispose]();
    throw error;
  }
}
