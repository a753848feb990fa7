/** Accounts from an htpasswd file, as docker-registry and web servers keep them. */
import { FormatError, UsageError } from "@signet/core";
import { readFileBounded } from "@signet/images";
import type { Database } from "../db/database.ts";
import { changeAccess } from "./access-change.ts";
import { checkAccountName } from "./account-names.ts";
import { insertAccount } from "./accounts.ts";
import { MAX_BCRYPT_COST, isBcryptHash } from "./passwords.ts";

/** Bytes or characters: a file of 10,000 accounts is below. */
const MAX_LENGTH = 1_048_576;
/** Problems that are named; the file is refused all the same. */
const MAX_NAMED_PROBLEMS = 20;

export interface HtpasswdImport {
  /** Names of accounts that were made. */
  readonly created: readonly string[];
  /** Names of accounts that were there before and were left as they are. */
  readonly kept: readonly string[];
}

interface HtpasswdEntry {
  readonly name: string;
  readonly hash: string;
}

/**
 * The text of an htpasswd file.
 * @throws StoreError `file-missing`, `file-unreadable`; FormatError `input-too-large`
 */
export async function readHtpasswd(path: string): Promise<string> {
  return new TextDecoder().decode(await readFileBounded(path, MAX_LENGTH, "htpasswd file"));
}

/** @throws FormatError as `importHtpasswd` does */
export function checkHtpasswd(text: string): void {
  parseHtpasswd(text);
}

/**
 * Makes an account of every line whose name is new; its bcrypt hash is replaced by argon2id at the first log-in. All or nothing.
 *
 * @param text lines of `NAME:HASH`; empty lines and comments (`#`) are passed over
 * @param now milliseconds since 1970
 * @throws FormatError `htpasswd-malformed`, naming the lines and never a hash, when one is malformed, holds another kind of hash than bcrypt, or one too costly
 */
export async function importHtpasswd(database: Database, text: string, now: number): Promise<HtpasswdImport> {
  const entries = parseHtpasswd(text);
  return await changeAccess(database, async (writer) => {
    const rows = await writer.selectFrom("account").select("name").execute();
    const present = new Set(rows.map(({ name }) => name));
    const fresh = entries.filter(({ name }) => !present.has(name));
    for (const { name, hash } of fresh) await insertAccount(writer, { name, kind: "user", hash }, now);
    return {
      created: fresh.map(({ name }) => name),
      kept: entries.filter(({ name }) => present.has(name)).map(({ name }) => name),
    };
  });
}

function parseHtpasswd(text: string): readonly HtpasswdEntry[] {
  if (text.length > MAX_LENGTH) {
    throw new FormatError("htpasswd-malformed", `the htpasswd file has more than ${MAX_LENGTH} characters`);
  }
  const entries = new Map<string, HtpasswdEntry>();
  const problems: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const problem = readLine(line, entries);
    if (problem !== null) problems.push(`line ${index + 1}: ${problem}`);
  }
  if (problems.length > 0) {
    const rest = problems.length - MAX_NAMED_PROBLEMS;
    const named = problems.slice(0, MAX_NAMED_PROBLEMS).join("; ");
    throw new FormatError("htpasswd-malformed", `htpasswd file: ${named}${rest > 0 ? `; and ${rest} more` : ""}`);
  }
  return [...entries.values()];
}

/** Adds what a line says, or returns what is wrong with it; no word of the hash. */
function readLine(line: string, entries: Map<string, HtpasswdEntry>): string | null {
  const [name = "", hash] = line.trimEnd().split(":");
  if (hash === undefined) return "not NAME:HASH";
  try {
    checkAccountName(name, "user");
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  // Other readers take the first or the last: nobody can say which one was meant.
  if (entries.has(name)) return `${name} is there twice`;
  const cost = /^\$2[aby]\$(\d\d)\$/.exec(hash)?.[1];
  if (cost !== undefined && Number(cost) > MAX_BCRYPT_COST) {
    return `${name} has a bcrypt hash of cost ${Number(cost)}, more than ${MAX_BCRYPT_COST}`;
  }
  if (!isBcryptHash(hash)) return `${name} has ${kindOf(hash)}, not bcrypt`;
  entries.set(name, { name, hash });
  return null;
}

function kindOf(hash: string): string {
  if (hash.startsWith("$apr1$")) return "an MD5 hash";
  if (hash.startsWith("{SHA}")) return "a SHA-1 hash";
  if (hash.startsWith("$5$") || hash.startsWith("$6$")) return "a crypt SHA-2 hash";
  if (/^\$2[a-z]?\$/.test(hash)) return "a malformed bcrypt hash";
  return "another kind of hash, or the password itself";
}
