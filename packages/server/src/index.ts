/** Signet's registry: images and their signatures behind every door. `openSqlite` and `openPostgresql` open its database, `openFilesystemStore` its blobs; what is about accounts, tokens and roles works on the database alone. */
export { createAccessToken, listAccessTokens, revokeAccessToken } from "./access/access-tokens.ts";
export type { AccessToken, NewAccessToken } from "./access/access-tokens.ts";
export {
  createAccount,
  createFirstAdmin,
  listAccounts,
  removeAccount,
  setDisabled,
  setPassword,
  unlockAccount,
} from "./access/accounts.ts";
export type { Account, NewAccount } from "./access/accounts.ts";
export { addMember, createGroup, listGroups, removeGroup, removeMember } from "./access/groups.ts";
export type { Group } from "./access/groups.ts";
export { importHtpasswd } from "./access/htpasswd.ts";
export type { HtpasswdImport } from "./access/htpasswd.ts";
export { bindRole, listRoleBindings, unbindRole } from "./access/role-bindings.ts";
export type { BindingSubject, RoleBinding } from "./access/role-bindings.ts";
export type { Binding } from "./access/roles.ts";
export { rotateTokenKey } from "./access/token-keys.ts";
export type { TokenAlgorithm } from "./access/token-keys.ts";
export type { BlobStore, ByteRange, StoredObject, UploadState } from "./blobs/blob-store.ts";
export { openFilesystemStore } from "./blobs/filesystem.ts";
export type { Database, DatabaseKind, Reader, Writer } from "./db/database.ts";
export { openPostgresql } from "./db/postgresql.ts";
export { openSqlite } from "./db/sqlite.ts";
