/** Opening what a configuration names. Each engine is loaded only where it is used: the AWS SDK and PostgreSQL's client take longer to load than all the rest. */
import { dirname } from "node:path";
import { fileError, makeFolders } from "@signet/images";
import type { BlobStore } from "./blobs/blob-store.ts";
import type { ServerConfig } from "./config.ts";
import type { Database } from "./db/database.ts";

/** Octal permission bits: what the server keeps is for it alone. */
const FOLDER_MODE = 0o700;

/**
 * Opens the database, with its tables brought up to date; makes the folder of an SQLite file where it is missing.
 * @throws StoreError `database-unusable`, `file-unwritable`
 */
export async function openDatabase(config: Pick<ServerConfig, "database">): Promise<Database> {
  const { database } = config;
  if (database.kind === "postgresql") {
    const { openPostgresql } = await import("./db/postgresql.ts");
    return await openPostgresql(database.url);
  }
  await makeFolder(dirname(database.path));
  const { openSqlite } = await import("./db/sqlite.ts");
  return await openSqlite(database.path);
}

/**
 * Opens the store of the blobs.
 * @throws StoreError `blob-store-unusable`, `file-unwritable`
 */
export async function openBlobs(config: Pick<ServerConfig, "blobs">): Promise<BlobStore> {
  const { blobs } = config;
  if (blobs.kind === "s3") {
    const { openS3Store } = await import("./blobs/s3.ts");
    const { bucket, region, endpoint, prefix, forcePathStyle: pathStyle, credentials } = blobs;
    return await openS3Store({
      bucket,
      region,
      prefix,
      pathStyle,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
    });
  }
  await makeFolder(blobs.path);
  const { openFilesystemStore } = await import("./blobs/filesystem.ts");
  return await openFilesystemStore(blobs.path);
}

async function makeFolder(path: string): Promise<void> {
  try {
    await makeFolders(path, FOLDER_MODE);
  } catch (error) {
    throw fileError(error, path, "write", "data folder");
  }
}
