/** Taking signatures back, everywhere and for good. */
import { UsageError } from "@signet/core";
import { removeCarriers } from "./carrier-withdrawal.ts";
import { commitVersion } from "../content/membership.ts";
import { batches } from "../content/units.ts";
import { lockRepository } from "../content/repositories.ts";
import type { Database, Writer } from "../db/database.ts";
import { type TrustAuthor, changeTrust } from "./trust-change.ts";

/** Characters of a reason, which every refusal repeats. */
const MAX_REASON_CHARACTERS = 1_000;

/**
 * Withdraws one signature for good: in one transaction it leaves every version of every repository, and is never stored again. Manifests that carry it (sigstore attachments,
 * referrers) go with it.
 *
 * @param digest of the signature; also of one that was never seen
 * @throws UsageError `digest-malformed`
 */
export async function withdrawSignature(
  database: Database,
  digest: string,
  reason: string,
  author: TrustAuthor,
): Promise<void> {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) {
    throw new UsageError("digest-malformed", `${JSON.stringify(digest.slice(0, 100))} is no digest of a signature`);
  }
  const said = reason.slice(0, MAX_REASON_CHARACTERS);
  await database.write(async (writer) => {
    await changeTrust(writer);
    await writer
      .insertInto("tombstone")
      .values({
        kind: "signature",
        subject: digest,
        reason: said,
        created_by: author.by,
        created_at: author.now,
      })
      .onConflict((conflict) => conflict.columns(["kind", "subject"]).doNothing())
      .execute();
    await removeCarriers(writer, digest, author);
    await removeEverywhere(writer, [digest], author);
    await author.audit(writer, {
      at: author.now,
      actor: author.by,
      action: "signature.delete",
      target: digest,
      detail: { reason: said, withdrawn: true },
    });
  });
}

/**
 * Takes signatures out of every repository, in the caller's transaction, which has called `changeTrust`. The next version of each says what went; versions that were made
 * before, pinned ones among them, lose them as well, since what is withdrawn is not to be served under any path.
 */
export async function removeEverywhere(
  writer: Writer,
  signatures: readonly string[],
  { by, now }: TrustAuthor,
): Promise<void> {
  const held = new Map<number, string[]>();
  for (const batch of batches(signatures)) {
    const rows = await writer
      .selectFrom("membership")
      .select(["repository_id", "unit_key", "version_removed"])
      .where("unit_kind", "=", "signature")
      .where("unit_key", "in", batch)
      .execute();
    for (const row of rows) {
      const keys = held.get(row.repository_id) ?? [];
      held.set(row.repository_id, keys);
      if (row.version_removed === null) keys.push(row.unit_key);
    }
  }
  for (const [id, keys] of [...held].toSorted(([a], [b]) => a - b)) {
    // Locked also where only older versions hold them: it counts the change, and whoever keeps answers asks again.
    const repository = await lockRepository(writer, id);
    const remove = keys.map((key) => ({ kind: "signature" as const, key }));
    if (remove.length > 0) await commitVersion(writer, repository, { add: [], remove }, by, now);
  }
  for (const batch of batches(signatures)) {
    await writer.deleteFrom("membership").where("unit_kind", "=", "signature").where("unit_key", "in", batch).execute();
    await writer.deleteFrom("recorded_verification").where("signature_digest", "in", batch).execute();
  }
}
