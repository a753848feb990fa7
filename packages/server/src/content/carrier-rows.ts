/** Rows of carriers that nothing needs any more. */
import type { Writer } from "../db/database.ts";
import { type Unit, batches } from "./units.ts";

/** Forgets what hung on units that no version of the repository holds any more. Nothing depends on it but the size of the table. */
export async function forgetCarriers(writer: Writer, repositoryId: number, units: readonly Unit[]): Promise<void> {
  for (const kind of ["manifest", "tag"] as const) {
    const keys = [...new Set(units.filter((unit) => unit.kind === kind).map((unit) => unit.key))];
    for (const batch of batches(keys)) {
      await writer
        .deleteFrom("signature_carrier")
        .where("repository_id", "=", repositoryId)
        .where("unit_kind", "=", kind)
        .where("unit_key", "in", batch)
        .where((expression) =>
          expression.not(
            expression.exists(
              expression
                .selectFrom("membership")
                .select("membership.unit_key")
                .where("membership.repository_id", "=", repositoryId)
                .where("membership.unit_kind", "=", kind)
                .whereRef("membership.unit_key", "=", "signature_carrier.unit_key"),
            ),
          ),
        )
        .execute();
    }
  }
}
