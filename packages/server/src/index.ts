/** Signet's registry: images and their signatures behind every door. `openSqlite` and `openPostgresql` open its database. */
export type { BlobStore, ByteRange, StoredObject, UploadState } from "./blobs/blob-store.ts";
export type { Database, DatabaseKind, Reader, Writer } from "./db/database.ts";
export { openPostgresql } from "./db/postgresql.ts";
export { openSqlite } from "./db/sqlite.ts";
