/**
 * Signet's registry: images and their signatures behind every door. `openSqlite` and `openPostgresql` open its database, `openFilesystemStore` and `openS3Store` its
 * blobs. */
export type { BlobStore, ByteRange, StoredObject, UploadState } from "./blobs/blob-store.ts";
export { openFilesystemStore } from "./blobs/filesystem.ts";
export { openS3Store } from "./blobs/s3.ts";
export type { S3Options } from "./blobs/s3.ts";
export type { Database, DatabaseKind, Reader, Writer } from "./db/database.ts";
export { openPostgresql } from "./db/postgresql.ts";
export { openSqlite } from "./db/sqlite.ts";
