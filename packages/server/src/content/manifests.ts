/** Manifests: read by digest, put by digest or tag. */
import type { Database, Reader, Writer } from "../db/database.ts";
import { holdTrust } from "../trust/trust-change.ts";
import { planCarried } from "./carried-index.ts";
import type { CarriedSignature } from "./carried-signatures.ts";
import { ContentError } from "./content-error.ts";
import { checkBlobDescriptors, checkManifestDescriptors } from "./descriptors.ts";
import { listClosure } from "./closure.ts";
import type { ManifestFacts } from "./manifest-facts.ts";
import { factColumns, insertLinks } from "./manifest-links.ts";
import { commitVersion, isServed, listPresent } from "./membership.ts";
import type { Unit } from "./units.ts";
import { tagKey } from "./names.ts";
import { addPending } from "./pending.ts";
import { refuseOverQuota } from "./quotas.ts";
import { type ServedRepository, ensureRepository, lockRepository } from "./repositories.ts";
import { listUncarried } from "./signature-carriers.ts";
import { findTag, planTag } from "./tags.ts";

/** A manifest as it is served. */
export interface StoredManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** A manifest that this path serves, or undefined. */
export async function findManifest(
  reader: Reader,
  served: ServedRepository,
  digest: string,
): Promise<StoredManifest | undefined> {
  if (!(await isServed(reader, served, { kind: "manifest", key: digest }))) return undefined;
  const row = await reader
    .selectFrom("manifest")
    .select(["digest", "media_type", "bytes"])
    .where("digest", "=", digest)
    .executeTakeFirst();
  return row && { digest: row.digest, mediaType: row.media_type, bytes: row.bytes };
}

/** What a push of a manifest asks for. */
export interface ManifestPut {
  readonly path: string;
  readonly manifest: ManifestFacts;
  readonly tags: readonly string[];
  /** Signatures that the manifest carries; default none. */
  readonly signatures?: readonly CarriedSignature[];
  /** The account that pushes. */
  readonly by: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Stores a manifest, durable when this resolves. With a tag, as a list, or with a subject it makes the repository's next version, together with everything below it
 * that the repository has; by digest alone it stays pending until one of these names it, or until maintenance commits it.
 *
 * @throws ContentError `manifest-blob-unknown` when the repository lacks a blob that the manifest names; `manifest-invalid` when it says something else of what it names than that is; `tag-immutable`; `quota-exceeded`; for signatures that it carries
 *   `signature-withdrawn`, `signatures-too-many`
 */
export async function putManifest(database: Database, put: ManifestPut): Promise<void> {
  const { manifest, now } = put;
  const { signatures = [] } = put;
  await database.write(async (writer) => {
    if (signatures.length > 0) await holdTrust(writer);
    const { repositoryId } = await ensureRepository(writer, put.path, now);
    const repository = await lockRepository(writer, repositoryId);
    const present = await listPresent(writer, repository, "blob", manifest.blobs);
    const missing = manifest.blobs.find((digest) => !present.has(digest));
    if (missing !== undefined) {
      throw new ContentError("manifest-blob-unknown", `the repository has no blob ${missing}`, { digest: missing });
    }
    if (manifest.kind === "list") await checkManifestDescriptors(writer, repository, manifest.descriptors);
    else await checkBlobDescriptors(writer, manifest.descriptors);
    const isHere = (await listPresent(writer, repository, "manifest", [manifest.digest])).has(manifest.digest);
    await insertManifest(writer, manifest, now);
    const isRoot = put.tags.length > 0 || manifest.kind === "list" || manifest.subject !== undefined;
    if (!isRoot) {
      await addPending(writer, repository.id, "manifest", manifest.digest, now);
      if (!isHere) await refuseOverQuota(writer, repository.id);
      return;
    }
    const add = await listClosure(writer, repository, manifest.digest);
    const carried = await planCarried(writer, repository, manifest.digest, signatures, now);
    add.push(...carried);
    const remove: Unit[] = [];
    for (const tag of put.tags) {
      const old = await findTag(writer, repository, tag);
      if (old === manifest.digest) continue;
      remove.push(...(await planTag(writer, repository, tag, old)));
      const key = tagKey(tag, manifest.digest);
      await writer
        .insertInto("tag")
        .values({ key, name: tag, manifest_digest: manifest.digest, created_at: now, touched_at: now })
        .onConflict((conflict) => conflict.column("key").doUpdateSet({ touched_at: now }))
        .execute();
      add.push({ kind: "tag", key });
    }
    // What a tag carried that names another manifest now goes, unless this one or another one carries it.
    const kept = new Set(carried.map((unit) => unit.key));
    remove.push(...(await listUncarried(writer, repository, remove)).filter((unit) => !kept.has(unit.key)));
    await commitVersion(writer, repository, { add, remove }, put.by, now);
    if (!isHere) await refuseOverQuota(writer, repository.id);
  });
}

/** Of docker schema 1, other bytes can have the digest already, in any repository: the bytes that are there stay, since what a digest names must not change for those who have it. */
async function insertManifest(writer: Writer, manifest: ManifestFacts, now: number): Promise<void> {
  const inserted = await writer
    .insertInto("manifest")
    .values({
      digest: manifest.digest,
      media_type: manifest.mediaType,
      bytes: manifest.bytes,
      ...factColumns(manifest),
      os: null,
      architecture: null,
      variant: null,
      created_at: now,
      touched_at: now,
    })
    .onConflict((conflict) => conflict.column("digest").doUpdateSet({ touched_at: now }))
    .returning("created_at")
    .executeTakeFirstOrThrow();
  if (inserted.created_at !== now) return;
  await insertLinks(writer, manifest);
}
