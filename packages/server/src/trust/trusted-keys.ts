/** The server's keyring: keys are added, renewed, and withdrawn for good. */
import {
  type Certificate,
  FormatError,
  UsageError,
  concatBytes,
  equalBytes,
  holdsSecretKey,
  parseKeyring,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { Database, Reader, Writer } from "../db/database.ts";
import { countKeyringChange } from "./server-keyring.ts";
import { type TrustAuthor, changeTrust } from "./trust-change.ts";
import { removeEverywhere } from "./withdrawal.ts";

/** Keys of one server: far above any genuine keyring, and all of them are tried in memory. */
const MAX_TRUSTED_KEYS = 1_000;
/** Bytes of one certificate with its renewals; a key with photographs and a hundred certifications has a tenth. */
const MAX_CERTIFICATE_BYTES = 1_048_576;
/** Characters of a reason, which every refusal repeats. */
const MAX_REASON_CHARACTERS = 1_000;

/** A key of the keyring, as it is listed. User ids are the key owner's words. */
export interface TrustedKey {
  /** Of the primary key, upper-case hex. */
  readonly fingerprint: string;
  readonly userIds: readonly string[];
  readonly state: "trusted" | "withdrawn";
  readonly reason: string;
  /** Milliseconds since 1970, UTC. */
  readonly createdAt: number;
}

/**
 * Trusts the keys of a file. Of one that is trusted already, what is new is taken over: later expiry, revocations, subkeys.
 *
 * @param file public keys, binary or armored
 * @returns the fingerprints, in the file's order
 * @throws FormatError `secret-key-refused`; `key-malformed` when there is no usable key; `key-withdrawn` for one that was withdrawn; `input-too-large`.
 *   Nothing is added then
 */
export async function addTrustedKey(
  database: Database,
  file: Uint8Array,
  reason: string,
  author: TrustAuthor,
): Promise<readonly string[]> {
  if (holdsSecretKey(file)) {
    throw new FormatError("secret-key-refused", "the file holds a secret key; the server needs the public half", {
      hint: "write it with `gpg --export`",
    });
  }
  const { certificates, warnings } = parseKeyring(file, nodeEngine);
  if (certificates.length === 0) {
    throw new FormatError("key-malformed", `there is no usable key in the file: ${warnings.slice(0, 3).join("; ")}`);
  }
  return await database.write(async (writer) => {
    await changeTrust(writer);
    for (const certificate of certificates) await addCertificate(writer, certificate, reason, author);
    const { count } = await writer
      .selectFrom("trusted_key")
      .select((expression) => expression.fn.countAll<number>().as("count"))
      .where("state", "=", "trusted")
      .executeTakeFirstOrThrow();
    if (count > MAX_TRUSTED_KEYS) {
      throw new FormatError("input-too-large", `the server's keyring may hold ${MAX_TRUSTED_KEYS} keys`);
    }
    const version = await countKeyringChange(writer);
    const fingerprints = [...new Set(certificates.map(({ fingerprint }) => fingerprint))];
    for (const target of fingerprints) {
      await author.audit(writer, {
        at: author.now,
        actor: author.by,
        action: "key.add",
        target,
        detail: { reason: reason.slice(0, MAX_REASON_CHARACTERS), keyring_version: version },
      });
    }
    return fingerprints;
  });
}

async function addCertificate(
  writer: Writer,
  certificate: Certificate,
  reason: string,
  { now }: TrustAuthor,
): Promise<void> {
  const withdrawn = await writer
    .selectFrom("tombstone")
    .select(["subject", "reason"])
    .where("kind", "=", "key")
    .where("subject", "in", keySubjects(certificate))
    .executeTakeFirst();
  if (withdrawn !== undefined) {
    throw new FormatError("key-withdrawn", `the key ${withdrawn.subject} was withdrawn: ${withdrawn.reason}`, {
      hint: "a withdrawn key never comes back; ask its owner for a new one",
    });
  }
  const { fingerprint, raw } = certificate;
  const known = await writer
    .selectFrom("trusted_key")
    .select("certificate")
    .where("fingerprint", "=", fingerprint)
    .executeTakeFirst();
  // Both copies are kept one after the other: reading them makes one key of them, in which a revocation of either counts.
  const bytes = known === undefined || equalBytes(known.certificate, raw) ? raw : concatBytes([known.certificate, raw]);
  if (bytes.length > MAX_CERTIFICATE_BYTES) {
    throw new FormatError("input-too-large", `the key ${fingerprint} has more than ${MAX_CERTIFICATE_BYTES} bytes`);
  }
  const values = { certificate: bytes, state: "trusted" as const, reason: reason.slice(0, MAX_REASON_CHARACTERS) };
  await writer
    .insertInto("trusted_key")
    .values({ fingerprint, ...values, created_at: now })
    .onConflict((conflict) => conflict.column("fingerprint").doUpdateSet(values))
    .execute();
}

/** What of a key a tombstone names: signatures say their key by its fingerprint, or by its id alone where they are old. */
function keySubjects({ primary, subkeys }: Certificate): readonly string[] {
  return [primary, ...subkeys].flatMap(({ fingerprint, keyId }) => [fingerprint, keyId]);
}

const fingerprintForm = /^(?:[0-9A-F]{40}|[0-9A-F]{64})$/;

/**
 * Withdraws a key for good: in one transaction it is no longer trusted, every signature that names it or one of its subkeys leaves every version of every repository, and
 * none is ever stored again.
 *
 * @param fingerprint of the primary key, hex; also of a key that the server never trusted, whose subkeys are then not known
 * @returns digests of the signatures that went
 * @throws UsageError `key-missing` for what is no fingerprint
 */
export async function withdrawKey(
  database: Database,
  fingerprint: string,
  reason: string,
  author: TrustAuthor,
): Promise<readonly string[]> {
  const name = fingerprint.toUpperCase().replaceAll(" ", "");
  if (!fingerprintForm.test(name)) {
    throw new UsageError("key-missing", `${JSON.stringify(fingerprint.slice(0, 100))} is no fingerprint of a key`, {
      hint: "give all 40 (or 64) hex digits; key ids can be forged",
    });
  }
  return await database.write(async (writer) => {
    await changeTrust(writer);
    const subjects = await listSubjects(writer, name);
    const said = reason.slice(0, MAX_REASON_CHARACTERS);
    await writer
      .insertInto("tombstone")
      .values(
        subjects.map((subject) => ({
          kind: "key" as const,
          subject,
          reason: said,
          created_by: author.by,
          created_at: author.now,
        })),
      )
      .onConflict((conflict) => conflict.columns(["kind", "subject"]).doNothing())
      .execute();
    await writer
      .updateTable("trusted_key")
      .set({ state: "withdrawn", reason: said })
      .where("fingerprint", "=", name)
      .execute();
    const version = await countKeyringChange(writer);
    const signatures = await listSignaturesOf(writer, subjects);
    await removeEverywhere(writer, signatures, author);
    await author.audit(writer, {
      at: author.now,
      actor: author.by,
      action: "key.withdraw",
      target: name,
      detail: { reason: said, keyring_version: version, signatures: signatures.length },
    });
    return signatures;
  });
}

async function listSubjects(writer: Writer, fingerprint: string): Promise<readonly string[]> {
  const row = await writer
    .selectFrom("trusted_key")
    .select("certificate")
    .where("fingerprint", "=", fingerprint)
    .executeTakeFirst();
  const known = row === undefined ? [] : parseKeyring(row.certificate, nodeEngine).certificates.flatMap(keySubjects);
  // A key id is the end of a version 4 fingerprint and the beginning of a version 6 one (RFC 9580 section 5.5.4).
  const keyId = fingerprint.length === 40 ? fingerprint.slice(-16) : fingerprint.slice(0, 16);
  return [...new Set([fingerprint, keyId, ...known])];
}

async function listSignaturesOf(writer: Writer, subjects: readonly string[]): Promise<readonly string[]> {
  const rows = await writer
    .selectFrom("signature")
    .select("digest")
    .where((expression) =>
      expression.or([
        expression("claimed_fingerprint", "in", subjects),
        expression.and([expression("claimed_fingerprint", "is", null), expression("claimed_key_id", "in", subjects)]),
      ]),
    )
    .orderBy("digest")
    .execute();
  return rows.map((row) => row.digest);
}

/** All keys, also those that were withdrawn, by fingerprint. */
export async function listTrustedKeys(reader: Reader): Promise<readonly TrustedKey[]> {
  const rows = await reader.selectFrom("trusted_key").selectAll().orderBy("fingerprint").execute();
  return rows.map((row) => ({
    fingerprint: row.fingerprint,
    userIds: parseKeyring(row.certificate, nodeEngine).certificates.at(-1)?.userIds ?? [],
    state: row.state,
    reason: row.reason,
    createdAt: row.created_at,
  }));
}
