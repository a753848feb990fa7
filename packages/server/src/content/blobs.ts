/** Blobs: what is served of them, and how they come into a repository. */
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Database, Reader, Writer } from "../db/database.ts";
import { isServed } from "./membership.ts";
import { addPending } from "./pending.ts";
import { holdQuota, refuseOverQuota } from "./quotas.ts";
import { type HeldVersion, type ServedRepository, ensureRepository, findServed } from "./repositories.ts";

/** A blob that a path serves. */
export interface StoredBlob {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly location: string;
}

/** A blob that this path serves, or undefined. */
export async function findBlob(reader: Reader, served: HeldVersion, digest: string): Promise<StoredBlob | undefined> {
  if (!(await isServed(reader, served, { kind: "blob", key: digest }))) return undefined;
  return await reader
    .selectFrom("blob")
    .select(["digest", "size", "location"])
    .where("digest", "=", digest)
    .executeTakeFirst();
}

/**
 * Notes bytes that are durable in the blob store as a blob, pending in a repository. When the same blob is known already, its older bytes stay and the new ones go.
 * @throws ContentError `quota-exceeded`; whatever is thrown, the new bytes are the caller's to remove
 */
export async function addBlob(
  database: Database,
  store: BlobStore,
  blob: StoredBlob,
  path: string,
  now: number,
  finish: (writer: Writer) => Promise<void>,
): Promise<void> {
  const kept = await database.write(async (writer) => {
    const { repositoryId } = await ensureRepository(writer, path, now);
    await holdQuota(writer, repositoryId);
    const row = await writer
      .insertInto("blob")
      .values({ ...blob, created_at: now, touched_at: now })
      .onConflict((conflict) => conflict.column("digest").doUpdateSet({ touched_at: now }))
      .returning("location")
      .executeTakeFirstOrThrow();
    await addPending(writer, repositoryId, "blob", blob.digest, now);
    // First the upload goes, whose bytes are the blob's now.
    await finish(writer);
    await refuseOverQuota(writer, repositoryId);
    return row.location;
  });
  // After the commit, and best effort: collection finds places that no row names.
  if (kept !== blob.location) await store.remove(blob.location).catch(() => undefined);
}

/** A blob that one repository serves and another is to know as well. */
interface Mount {
  readonly from: string;
  readonly to: string;
  readonly digest: string;
  readonly now: number;
  /** What else the transaction does, once the blob is known. */
  readonly finish?: (writer: Writer) => Promise<void>;
}

/**
 * Makes a blob of one repository known in another, or anew in the same, without its bytes moving. Whether the caller may read the first and write to the second was decided before.
 * @returns undefined when the first does not serve it
 * @throws ContentError `quota-exceeded`
 */
export async function mountBlob(database: Database, mount: Mount): Promise<StoredBlob | undefined> {
  const { from, to, digest, now } = mount;
  const source = await findServed(database.read, from);
  // Looked at before the turn of a writer is taken: most often there is nothing to mount.
  if (source === undefined || !(await isServed(database.read, source, { kind: "blob", key: digest }))) return undefined;
  return await database.write(async (writer) => {
    const served = await findServed(writer, from);
    if (served === undefined || !(await isServed(writer, served, { kind: "blob", key: digest }))) return undefined;
    const { repositoryId } = await ensureRepository(writer, to, now);
    await holdQuota(writer, repositoryId);
    const blob = await writer
      .updateTable("blob")
      .set({ touched_at: now })
      .where("digest", "=", digest)
      .returning(["digest", "size", "location"])
      .executeTakeFirst();
    if (blob === undefined) return undefined;
    await addPending(writer, repositoryId, "blob", digest, now);
    await mount.finish?.(writer);
    await refuseOverQuota(writer, repositoryId);
    return blob;
  });
}

/** Paths whose repositories hold a blob, in their latest version or pending. */
export async function listBlobHolders(
  reader: Reader,
  digest: string,
  limit: number,
): Promise<readonly Pick<ServedRepository, "path" | "visibility">[]> {
  const members = reader
    .selectFrom("membership")
    .select("repository_id")
    .where("unit_kind", "=", "blob")
    .where("unit_key", "=", digest)
    .where("version_removed", "is", null);
  const pending = reader
    .selectFrom("pending")
    .select("repository_id")
    .where("unit_kind", "=", "blob")
    .where("unit_key", "=", digest);
  return await reader
    .selectFrom("distribution")
    .innerJoin("repository", "repository.id", "distribution.repository_id")
    .select(["distribution.path", "repository.visibility"])
    .where("repository.id", "in", members.union(pending))
    .where("distribution.version", "is", null)
    .limit(limit)
    .execute();
}
