/** Judging signatures again when the keys have changed, or when time has. */
import { setImmediate } from "node:timers/promises";
import type { Database } from "../db/database.ts";
import { holdTrust } from "./trust-change.ts";
import { type KeyringReader, readKeyringVersion } from "./server-keyring.ts";
import { SignatureVerifier, isOutdated } from "./verification.ts";

/** Signatures that one batch reads: some milliseconds, so that requests come in between. */
const BATCH = 100;

export interface RecheckOptions {
  /** Milliseconds since 1970, UTC; asked for each batch. */
  readonly now: () => number;
  readonly keyrings: KeyringReader;
  readonly signal?: AbortSignal;
}

/**
 * Goes through all signatures once and judges those anew whose newest judgement was made with other keys, is outdated by time, or is missing. May be stopped anywhere and
 * begun again: what is up to date is passed over, and each batch is a transaction of its own. Several processes may do it at once.
 *
 * The application calls it after each change of keys and from time to time.
 * @returns how many were judged
 */
export async function recheckSignatures(database: Database, options: RecheckOptions): Promise<number> {
  const verifier = new SignatureVerifier(options.keyrings);
  let judged = 0;
  for (let last = ""; ;) {
    options.signal?.throwIfAborted();
    const batch = await readBatch(database, last);
    const now = options.now();
    const version = await readKeyringVersion(database.read);
    const due = batch.filter((row) => {
      const { keyring_version: made, valid_until: until } = row;
      return made === null || isOutdated({ keyring_version: made, valid_until: until }, version, now);
    });
    if (due.length > 0)
      judged += await judgeAgain(
        database,
        verifier,
        due.map((row) => row.digest),
        now,
      );
    if (batch.length < BATCH) return judged;
    last = batch.at(-1)!.digest;
    // SQLite answers without going through the event loop.
    await setImmediate();
  }
}

async function readBatch(database: Database, last: string) {
  return await database.read
    .selectFrom("signature")
    .leftJoin("verification", (join) =>
      join.on("verification.id", "=", (expression) =>
        expression
          .selectFrom("verification as newest")
          .select("newest.id")
          .whereRef("newest.signature_digest", "=", "signature.digest")
          .orderBy("newest.id", "desc")
          .limit(1),
      ),
    )
    .select(["signature.digest", "verification.keyring_version", "verification.valid_until"])
    .where("signature.format", "=", "simple-signing")
    .where("signature.digest", ">", last)
    .orderBy("signature.digest")
    .limit(BATCH)
    .execute();
}

async function judgeAgain(
  database: Database,
  verifier: SignatureVerifier,
  digests: readonly string[],
  now: number,
): Promise<number> {
  return await database.write(async (writer) => {
    await holdTrust(writer);
    const rows = await writer
      .selectFrom("signature")
      .select(["digest", "manifest_digest", "format", "bytes"])
      .where("digest", "in", digests)
      .execute();
    for (const row of rows)
      await verifier.record(writer, { ...row, manifestDigest: row.manifest_digest }, "server", now);
    return rows.length;
  });
}
