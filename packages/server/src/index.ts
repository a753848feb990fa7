/**
 * Signet's registry: images and their signatures behind every door. For most uses, call `loadConfig` and then `startServer`; `openDatabase` and `openBlobs` open what a
 * configuration names, for work on it while no server runs, or beside one. Engines are loaded where they are used.
 */

// The server
export { startServer } from "./app.ts";
export type { RunningServer, ServerDeps } from "./app.ts";
export { loadConfig } from "./config.ts";
export type { ConfigSources, EffectiveSetting, LoadedConfig, ServerConfig } from "./config.ts";
export { checkNamedFiles } from "./config/named-files.ts";
export { formatAddress } from "./config/config-values.ts";
export type { ListenAddress } from "./config/config-values.ts";
export { openBlobs, openDatabase } from "./storage.ts";

// Storage
export type { BlobStore, ByteRange, StoredObject, UploadState } from "./blobs/blob-store.ts";
export type { Database, DatabaseKind, Reader, Writer } from "./db/database.ts";

// Accounts, tokens and roles
export { createAccessToken, listAccessTokens, revokeAccessToken } from "./access/access-tokens.ts";
export type { AccessToken, NewAccessToken } from "./access/access-tokens.ts";
export {
  createAccount,
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
export { actionsOfRole } from "./access/roles.ts";
export type { Action, Binding } from "./access/roles.ts";
export { rotateTokenKey } from "./access/token-keys.ts";
export type { TokenAlgorithm } from "./access/token-keys.ts";

// The audit log
export type { AuditAction, AuditEvent } from "./audit/audit-entry.ts";
export { appendAudit, auditedDatabase } from "./audit/audit-log.ts";
export { verifyAuditLog } from "./audit/audit-verification.ts";
export type { AuditAnchor, AuditFault, AuditReport } from "./audit/audit-verification.ts";

// Repositories
export { deleteRepository } from "./content/repository-deletion.ts";
export type { DeletedRepository } from "./content/repository-deletion.ts";
export { changeRepositorySettings, listRepositories } from "./content/repository-settings.ts";
export type { RepositorySettings, SettingsChange } from "./content/repository-settings.ts";

// Chores over what is stored
export { checkContent } from "./content/check.ts";
export type { CheckOptions, Fault, Finding } from "./content/check.ts";
export { collectGarbage } from "./content/collection.ts";
export type { Collected, CollectionOptions } from "./content/collection.ts";
export { repairFinding } from "./content/repair.ts";
export type { RepairOutcome } from "./content/repair-outcome.ts";

// Trust: the server's keyring, withdrawals, pull policies
export {
  SERVER_KEYRING,
  listPullPolicies,
  parsePullPolicy,
  readNamespacePolicies,
  readRepositoryPolicy,
  setNamespacePullPolicy,
  setPullPolicy,
} from "./trust/pull-policy.ts";
export type { PullPolicy, PullPolicyMode, PullPolicySetting } from "./trust/pull-policy.ts";
export { recheckSignatures } from "./trust/recheck.ts";
export type { RecheckOptions } from "./trust/recheck.ts";
export { KeyringReader } from "./trust/server-keyring.ts";
export type { ServerKeyring } from "./trust/server-keyring.ts";
export type { TrustAudit, TrustAuthor, TrustChange } from "./trust/trust-change.ts";
export { addTrustedKey, listTrustedKeys, withdrawKey } from "./trust/trusted-keys.ts";
export type { TrustedKey } from "./trust/trusted-keys.ts";
export { withdrawSignature } from "./trust/withdrawal.ts";
