/** Taking tags, manifests and blobs out of a repository: the next version does not hold them. Bytes go when collection finds that nobody holds them. */
import type { Database, Writer } from "../db/database.ts";
import { ContentError } from "./content-error.ts";
import { commitVersion, inVersion, isServed } from "./membership.ts";
import { type Unit, batches } from "./units.ts";
import { splitTagKey, tagKey } from "./names.ts";
import { removePending } from "./pending.ts";
import { type LockedRepository, type ServedRepository, lockRepository, lockServed } from "./repositories.ts";
import { listUncarried } from "./signature-carriers.ts";
import { findTag, refuseImmutable } from "./tags.ts";

/**
 * Removes a tag; its manifest stays.
 * @throws ContentError `tag-unknown`, `tag-immutable`
 */
export async function deleteTag(
  database: Database,
  served: ServedRepository,
  name: string,
  by: string,
  now: number,
): Promise<void> {
  await database.write(async (writer) => {
    const repository = await lockRepository(writer, served.repositoryId);
    const digest = await findTag(writer, repository, name);
    if (digest === undefined) throw new ContentError("tag-unknown", `there is no tag ${name}`, { tag: name });
    refuseImmutable(repository, name);
    const tag: Unit = { kind: "tag", key: tagKey(name, digest) };
    const remove = [tag, ...(await listUncarried(writer, repository, [tag]))];
    await commitVersion(writer, repository, { add: [], remove }, by, now);
  });
}

/**
 * Removes a manifest with its tags, its signatures, and the blobs that no other manifest of the repository names. Lists that name it stay, and then lack it, as in a
 * mirror of some platforms.
 * @throws ContentError `manifest-unknown`; `tag-immutable` when the repository's rules fix a tag of it, or of a list that leads to it
 */
export async function deleteManifest(
  database: Database,
  served: ServedRepository,
  digest: string,
  by: string,
  now: number,
): Promise<void> {
  await database.write(async (writer) => {
    const { repository, latest } = await lockServed(writer, served);
    if (!(await isServed(writer, latest, { kind: "manifest", key: digest }))) {
      throw new ContentError("manifest-unknown", `the repository has no manifest ${digest}`, { digest });
    }
    // What a fixed tag names stays whole, too.
    const tagged = repository.immutableTags.length === 0 ? [] : await listReaching(writer, repository, digest);
    for (const one of tagged)
      for (const key of await listTagKeys(writer, repository, one)) refuseImmutable(repository, splitTagKey(key).name);
    const remove = await planDeletion(writer, repository, digest);
    await commitVersion(writer, repository, { add: [], remove }, by, now);
  });
}

/**
 * What goes with a manifest: its tags, its signatures, those that nothing else carries, the blobs that nothing else names. Takes it from the pending content at once. Not asked: whether
 * rules fix one of its tags.
 */
export async function planDeletion(
  writer: Writer,
  repository: LockedRepository,
  digest: string,
): Promise<readonly Unit[]> {
  await removePending(writer, repository.id, "manifest", digest);
  const tags = await listTagKeys(writer, repository, digest);
  const own: readonly Unit[] = [
    { kind: "manifest", key: digest },
    ...tags.map((key) => ({ kind: "tag" as const, key })),
  ];
  const signatures = await listSignatureKeys(writer, repository, digest);
  const blobs = await listExclusiveBlobs(writer, repository, digest);
  return [
    ...own,
    ...signatures.map((key) => ({ kind: "signature" as const, key })),
    ...(await listUncarried(writer, repository, own)),
    ...blobs.map((key) => ({ kind: "blob" as const, key })),
  ];
}

/**
 * Removes a blob from a repository.
 * @throws ContentError `blob-unknown`; `blob-in-use` when a manifest of the repository names it, which could not be pulled any more
 */
export async function deleteBlob(
  database: Database,
  served: ServedRepository,
  digest: string,
  by: string,
  now: number,
): Promise<void> {
  await database.write(async (writer) => {
    const { repository, latest } = await lockServed(writer, served);
    if (!(await isServed(writer, latest, { kind: "blob", key: digest }))) {
      throw new ContentError("blob-unknown", `the repository has no blob ${digest}`, { digest });
    }
    const user = await findUser(writer, repository, digest);
    if (user !== undefined) {
      throw new ContentError("blob-in-use", `the manifest ${user} names this blob: delete the manifest first`, {
        digest,
        manifest: user,
      });
    }
    await removePending(writer, repository.id, "blob", digest);
    await commitVersion(writer, repository, { add: [], remove: [{ kind: "blob", key: digest }] }, by, now);
  });
}

async function listTagKeys(writer: Writer, repository: LockedRepository, digest: string): Promise<string[]> {
  const rows = await writer
    .selectFrom("tag")
    .crossJoin("membership")
    .select("tag.key")
    .whereRef("membership.unit_key", "=", "tag.key")
    .where("tag.manifest_digest", "=", digest)
    .where("membership.repository_id", "=", repository.id)
    .where("membership.unit_kind", "=", "tag")
    .where(inVersion(repository.latestVersion))
    .execute();
  return rows.map((row) => row.key);
}

/** A manifest, and the lists of the version that name it or one that leads to it. */
async function listReaching(writer: Writer, repository: LockedRepository, digest: string): Promise<Iterable<string>> {
  const found = new Set<string>();
  for (let newest = [digest]; newest.length > 0;) {
    for (const one of newest) found.add(one);
    const parents: string[] = [];
    for (const batch of batches(newest)) {
      const rows = await writer
        .selectFrom("manifest_child")
        .crossJoin("membership")
        .select("manifest_child.manifest_digest")
        .distinct()
        .whereRef("membership.unit_key", "=", "manifest_child.manifest_digest")
        .where("manifest_child.child_digest", "in", batch)
        .where("membership.repository_id", "=", repository.id)
        .where("membership.unit_kind", "=", "manifest")
        .where(inVersion(repository.latestVersion))
        .execute();
      parents.push(...rows.map((row) => row.manifest_digest));
    }
    newest = [...new Set(parents)].filter((one) => !found.has(one));
  }
  return found;
}

/** Those that have no manifest of their own; the others go with the last manifest that carries them. */
async function listSignatureKeys(writer: Writer, repository: LockedRepository, digest: string): Promise<string[]> {
  const rows = await writer
    .selectFrom("signature")
    .crossJoin("membership")
    .select("signature.digest")
    .whereRef("membership.unit_key", "=", "signature.digest")
    .where("signature.manifest_digest", "=", digest)
    .where("signature.format", "=", "simple-signing")
    .where("membership.repository_id", "=", repository.id)
    .where("membership.unit_kind", "=", "signature")
    .where(inVersion(repository.latestVersion))
    .execute();
  return rows.map((row) => row.digest);
}

/** Blobs of a manifest that no other manifest of the version or among the pending ones names. */
async function listExclusiveBlobs(writer: Writer, repository: LockedRepository, digest: string): Promise<string[]> {
  const own = await writer
    .selectFrom("manifest_blob")
    .select("blob_digest")
    .where("manifest_digest", "=", digest)
    .execute();
  const exclusive: string[] = [];
  for (const { blob_digest: blob } of own)
    if ((await findUser(writer, repository, blob, digest)) === undefined) exclusive.push(blob);
  return exclusive;
}

/** A manifest, of the version or pending, that names a blob; `except` does not count. */
async function findUser(
  writer: Writer,
  repository: LockedRepository,
  blob: string,
  except = "",
): Promise<string | undefined> {
  const member = await writer
    .selectFrom("manifest_blob")
    .crossJoin("membership")
    .select("manifest_blob.manifest_digest")
    .whereRef("membership.unit_key", "=", "manifest_blob.manifest_digest")
    .where("manifest_blob.blob_digest", "=", blob)
    .where("manifest_blob.manifest_digest", "!=", except)
    .where("membership.repository_id", "=", repository.id)
    .where("membership.unit_kind", "=", "manifest")
    .where(inVersion(repository.latestVersion))
    .limit(1)
    .executeTakeFirst();
  if (member !== undefined) return member.manifest_digest;
  const pending = await writer
    .selectFrom("manifest_blob")
    .crossJoin("pending")
    .select("manifest_blob.manifest_digest")
    .whereRef("pending.unit_key", "=", "manifest_blob.manifest_digest")
    .where("manifest_blob.blob_digest", "=", blob)
    .where("manifest_blob.manifest_digest", "!=", except)
    .where("pending.repository_id", "=", repository.id)
    .where("pending.unit_kind", "=", "manifest")
    .limit(1)
    .executeTakeFirst();
  return pending?.manifest_digest;
}
