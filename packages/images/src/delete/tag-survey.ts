/** Which tags of a repository would be hit by the deletion of a manifest. */
import { type Digest, type Reference, SignetError, parseManifest } from "@signet/core";
import type { RegistryClient } from "../registry/client.ts";

export interface TagSurvey {
  /** Other tags than the reference's own that name the digest. */
  readonly sameTags: readonly string[];
  /** For manifests that other tags name, or list as an instance: those tags. */
  readonly users: ReadonlyMap<Digest, readonly string[]>;
  /** False when not every tag could be looked at. */
  readonly isComplete: boolean;
  readonly warnings: readonly string[];
}

/** Tags looked at; each is a request. Repositories with more are kept by machines, and nobody reads the list. */
const MAX_TAGS = 1_000;

/** Requests at a time. */
const PARALLEL_LOOKS = 8;

/**
 * Looks at every tag of the repository. Never fails: what cannot be found out is a warning.
 * @param digest of the manifest that is to be deleted
 */
export async function surveyTags(client: RegistryClient, reference: Reference, digest: Digest): Promise<TagSurvey> {
  const users = new Map<Digest, string[]>();
  const same: string[] = [];
  let tags: readonly string[];
  try {
    tags = await client.listTags(reference.path);
  } catch (error) {
    return unknown(`the registry does not list its tags (${messageOf(error)}); other tags of the image go as well`);
  }
  if (tags.length > MAX_TAGS)
    return unknown(`the repository has ${tags.length} tags, too many to look at; other tags of the image go as well`);
  const queue = tags.values();
  const problems: string[] = [];
  const look = async (tag: string): Promise<void> => {
    const manifest = await client.fetchManifest(reference.path, { tag });
    if (manifest.digest === digest) {
      if (tag !== reference.tag) same.push(tag);
      return;
    }
    const parsed = parseManifest(manifest.bytes, manifest.declaredMediaType);
    const named = parsed.kind === "list" ? parsed.instances.map((instance) => instance.digest) : [];
    for (const one of new Set([manifest.digest, ...named])) users.set(one, [...(users.get(one) ?? []), tag]);
  };
  const workers = Array.from({ length: PARALLEL_LOOKS }, async () => {
    for (const tag of queue) {
      try {
        await look(tag);
      } catch (error) {
        problems.push(`tag ${tag} cannot be looked at (${messageOf(error)})`);
      }
    }
  });
  await Promise.all(workers);
  return { sameTags: same.sort(), users, isComplete: problems.length === 0, warnings: problems.slice(0, 1) };
}

function unknown(warning: string): TagSurvey {
  return { sameTags: [], users: new Map(), isComplete: false, warnings: [warning] };
}

function messageOf(error: unknown): string {
  if (error instanceof SignetError) return error.message;
  throw error;
}
