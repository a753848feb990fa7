import { type Digest, FormatError, StoreError, type UntrustedManifest, parseManifest } from "@signet/core";
import type { RegistryClient } from "../registry/client.ts";
import { companionSuffixes, companionTag, referrersTag } from "../registry/companion-tags.ts";
import type { RawManifest } from "../transports/transport.ts";

/** What was deleted with an image. */
export interface DeletedCompanions {
  /** Tags that are gone: cosign's, and the one that stood in for the list of referrers. */
  readonly tags: readonly string[];
  readonly referrers: readonly Digest[];
  /** Why something was left. */
  readonly warnings: readonly string[];
}

/**
 * Deletes what belongs to a manifest that is deleted, or about to be: its referrers, what cosign keeps under its tags, and the tag that lists referrers. A tag alone is deleted
 * where the registry can do that, else the manifest it names, and with it other tags of the same manifest. Left alone are manifests that turn out to be images, or
 * to refer to something else: whoever may push could give them such a name.
 *
 * Not deleted: what belongs to these in turn.
 * @param options.dryRun says what would be deleted, and deletes nothing
 * @throws StoreError `registry-…` when the registry refuses, or cannot say what there is
 */
export async function deleteCompanions(
  client: RegistryClient,
  repository: string,
  digest: Digest,
  options: { readonly dryRun?: boolean } = {},
): Promise<DeletedCompanions> {
  const dryRun = options.dryRun === true;
  const tags: string[] = [];
  const referrers: Digest[] = [];
  const warnings: string[] = [];
  const listing = await client.listReferrers(repository, digest);
  warnings.push(...listing.warnings);
  for (const { digest: referrer } of listing.referrers) {
    const manifest = await ifThere(() => client.fetchManifest(repository, { digest: referrer }));
    if (manifest === undefined) continue;
    const parsed = tryParse(manifest);
    if (parsed === undefined || parsed.kind === "schema1" || parsed.subject?.digest !== digest)
      warnings.push(`${referrer} is listed as referring to ${digest}, and does not: not deleted`);
    else if (dryRun || (await ifThere(() => deleteByDigest(client, repository, referrer))) === true)
      referrers.push(referrer);
  }
  for (const suffix of companionSuffixes) {
    const tag = companionTag(digest, suffix);
    const manifest = tag === undefined ? undefined : await client.fetchTagged(repository, tag);
    if (manifest === undefined) continue;
    if (looksLikeImage(manifest)) warnings.push(`${repository}:${tag} names an image: not deleted`);
    else if (dryRun || (await deleteTagged(client, repository, tag!, manifest.digest))) tags.push(tag!);
  }
  const list = referrersTag(digest);
  const manifest = listing.from === "tag" ? await client.fetchTagged(repository, list) : undefined;
  if (manifest !== undefined && tryParse(manifest)?.kind === "list" && warnings.length === 0) {
    if (dryRun || (await deleteTagged(client, repository, list, manifest.digest))) tags.push(list);
  }
  return { tags, referrers, warnings };
}

async function deleteTagged(client: RegistryClient, repository: string, tag: string, digest: Digest): Promise<boolean> {
  if (await client.deleteTag(repository, tag)) return true;
  return (await ifThere(() => deleteByDigest(client, repository, digest))) === true;
}

async function deleteByDigest(client: RegistryClient, repository: string, digest: Digest): Promise<true> {
  await client.deleteManifest(repository, digest);
  return true;
}

/** Undefined for what somebody else has deleted already. */
async function ifThere<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof StoreError && error.code === "image-missing") return undefined;
    throw error;
  }
}

/** Layers of a file system, or a list of images: nothing that cosign puts under its tags. */
function looksLikeImage(manifest: RawManifest): boolean {
  const parsed = tryParse(manifest);
  if (parsed?.kind !== "image") return true;
  return parsed.layers.some(({ mediaType }) => /\.(?:image\.layer|image\.rootfs)\./.test(mediaType));
}

function tryParse(manifest: RawManifest): UntrustedManifest | undefined {
  try {
    return parseManifest(manifest.bytes, manifest.declaredMediaType);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
