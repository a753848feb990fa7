/** Recorded verification results whose signature is gone. */
import type { Writer } from "../db/database.ts";
import { type Unit, batches } from "./units.ts";

/** Forgets what was recorded of signatures that no version of the repository holds any more: a later one of the same bytes begins without results. */
export async function forgetRecorded(writer: Writer, repositoryId: number, units: readonly Unit[]): Promise<void> {
  const keys = [...new Set(units.filter((unit) => unit.kind === "signature").map((unit) => unit.key))];
  for (const batch of batches(keys)) {
    await writer
      .deleteFrom("recorded_verification")
      .where("repository_id", "=", repositoryId)
      .where("signature_digest", "in", batch)
      .where((expression) =>
        expression.not(
          expression.exists(
            expression
              .selectFrom("membership")
              .select("membership.unit_key")
              .where("membership.repository_id", "=", repositoryId)
              .where("membership.unit_kind", "=", "signature")
              .whereRef("membership.unit_key", "=", "recorded_verification.signature_digest"),
          ),
        ),
      )
      .execute();
  }
}
