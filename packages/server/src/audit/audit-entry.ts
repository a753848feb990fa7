/** One entry of the audit log, and the bytes that its hash covers. */
import { createHash } from "node:crypto";

/** What was done, as words of the log: once written they keep their meaning. */
export type AuditAction =
  | "account.create"
  | "account.delete"
  | "account.disable"
  | "account.enable"
  | "account.import"
  | "account.password"
  | "content.delete"
  | "content.push"
  | "content.repair"
  | "group.change"
  | "key.add"
  | "key.withdraw"
  | "policy.change"
  | "repository.change"
  | "repository.delete"
  | "role.grant"
  | "role.revoke"
  | "signature.add"
  | "signature.delete"
  | "signature.verdict"
  | "token.create"
  | "token.revoke"
  | "verification.record"
  | "verification.remove";

/** What a change says about itself. */
export interface AuditEvent {
  /** Milliseconds since 1970, UTC. */
  readonly at: number;
  /** The account; `server` for what the server did by itself, `offline` for the administration on the database. */
  readonly actor: string;
  readonly action: AuditAction;
  /** What was changed: a repository's name, an account's, a key's fingerprint. */
  readonly target: string;
  /** Facts, never a secret. JSON values only. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** An entry as it is stored. */
export interface AuditEntry {
  /** From 1, without a gap. */
  readonly sequence: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  /** JSON text: the hash covers it as it is. */
  readonly detail: string;
  /** The hash of the entry before; {@link FIRST_PREVIOUS_HASH} for the first. */
  readonly previous_hash: string;
  /** SHA-256 of {@link canonicalBytes}, 64 lower-case hex digits. */
  readonly hash: string;
}

/** What the first entry has for the hash of the one before. */
export const FIRST_PREVIOUS_HASH: string = "0".repeat(64);

/** The first line: another form would have another. */
const FORM = "signet-audit-1";

/**
 * The bytes that an entry's hash covers: the line `signet-audit-1`, then sequence, at, actor, action, target, detail and previous hash in this order, each as its length in bytes (decimal), a
 * colon, its UTF-8 text (numbers in decimal) and a line end. With the lengths no text can pass for another split of the same bytes. docs/operations.md says the same for other programs.
 */
export function canonicalBytes(entry: Omit<AuditEntry, "hash">): Uint8Array {
  const fields = [
    String(entry.sequence),
    String(entry.at),
    entry.actor,
    entry.action,
    entry.target,
    entry.detail,
    entry.previous_hash,
  ];
  const lines = fields.map((field) => `${Buffer.byteLength(field)}:${field}\n`);
  return Buffer.from(`${FORM}\n${lines.join("")}`);
}

/** The hash of an entry. */
export function hashEntry(entry: Omit<AuditEntry, "hash">): string {
  return createHash("sha256").update(canonicalBytes(entry)).digest("hex");
}
