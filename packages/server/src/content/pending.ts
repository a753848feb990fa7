/** Content that was uploaded or mounted and that no version holds yet. */
import type { Writer } from "../db/database.ts";

/** Notes a unit as pending, or that it was asked for again: collection counts from the last time. */
export async function addPending(
  writer: Writer,
  repositoryId: number,
  kind: "blob" | "manifest",
  key: string,
  now: number,
): Promise<void> {
  await writer
    .insertInto("pending")
    .values({ repository_id: repositoryId, unit_kind: kind, unit_key: key, added_at: now })
    .onConflict((conflict) =>
      conflict.columns(["repository_id", "unit_kind", "unit_key"]).doUpdateSet({ added_at: now }),
    )
    .execute();
}

/** Forgets a unit that is being removed from the repository. */
export async function removePending(
  writer: Writer,
  repositoryId: number,
  kind: "blob" | "manifest",
  key: string,
): Promise<void> {
  await writer
    .deleteFrom("pending")
    .where("repository_id", "=", repositoryId)
    .where("unit_kind", "=", kind)
    .where("unit_key", "=", key)
    .execute();
}
