/** What belongs to an image: its manifest, the manifests that a list names, their blobs. */
import type { Writer } from "../db/database.ts";
import { ContentError } from "./content-error.ts";
import { listPresent } from "./membership.ts";
import { type Unit, batches } from "./units.ts";
import type { LockedRepository } from "./repositories.ts";

/** Levels of lists in lists that are committed together: genuine ones have one, or two where a list names attestations. */
const MAX_LIST_DEPTH = 4;
/** Manifests that one list brings into a version, over all levels. */
const MAX_LISTED = 10_000;

/**
 * A manifest and everything below it that the repository has: what a version must hold so that the image can be pulled.
 * @throws ContentError `manifest-invalid` when it reaches too many
 */
export async function listClosure(writer: Writer, repository: LockedRepository, root: string): Promise<Unit[]> {
  const found = new Set([root]);
  let level: readonly string[] = [root];
  for (let depth = 0; level.length > 0 && depth <= MAX_LIST_DEPTH; depth += 1) {
    const children = new Set<string>();
    for (const batch of batches(level)) {
      const rows = await writer
        .selectFrom("manifest_child")
        .select("child_digest")
        .where("manifest_digest", "in", batch)
        .execute();
      for (const { child_digest: digest } of rows) if (!found.has(digest)) children.add(digest);
    }
    level = [...(await listPresent(writer, repository, "manifest", [...children]))];
    for (const digest of level) found.add(digest);
    if (found.size > MAX_LISTED) {
      throw new ContentError("manifest-invalid", `the list reaches more than ${MAX_LISTED} manifests`);
    }
  }
  const units: Unit[] = [...found].map((key) => ({ kind: "manifest", key }));
  for (const batch of batches([...found])) {
    const blobs = await writer
      .selectFrom("manifest_blob")
      .select("blob_digest")
      .distinct()
      .where("manifest_digest", "in", batch)
      .execute();
    units.push(...blobs.map(({ blob_digest: key }) => ({ kind: "blob" as const, key })));
  }
  return units;
}
