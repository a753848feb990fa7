/** What may never be stored again. */
import type { Writer } from "../db/database.ts";
import { ContentError } from "./content-error.ts";

/**
 * Tombstones are read in the transaction that inserts, after `holdTrust`, so that nothing withdrawn comes back by a race.
 *
 * @param key the fingerprint that the signature names, or its key id where it names no more
 * @throws ContentError `signature-withdrawn`
 */
export async function refuseWithdrawn(writer: Writer, digest: string, key: string | undefined): Promise<void> {
  const row = await writer
    .selectFrom("tombstone")
    .select(["kind", "reason"])
    .where((expression) =>
      expression.or([
        expression.and({ kind: "signature", subject: digest }),
        expression.and({ kind: "key", subject: key ?? "" }),
      ]),
    )
    .executeTakeFirst();
  if (row === undefined) return;
  throw new ContentError("signature-withdrawn", `this ${row.kind} was withdrawn: ${row.reason}`);
}
