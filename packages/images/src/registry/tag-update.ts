/** Changing what a tag names when others may be changing it too. */
import { StoreError } from "@signet/core";
import type { RawManifest } from "../transports/transport.ts";
import { type ManifestVersion, type TagCondition, fetchTagged, manifestLabel, storeManifest } from "./manifests.ts";
import type { RegistrySession } from "./session.ts";

/** What a tag shall name. */
export interface TagContent {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

/**
 * Makes the new content of a tag from what it names now.
 * @param current undefined when there is no such tag
 * @returns undefined when nothing has to change. Asked again after a change of its own, it must say so then
 */
export type TagChange = (current: RawManifest | undefined) => Promise<TagContent | undefined>;

/** Rounds of reading and writing before it is given up: as many writers at once meet one tag at most in practice. */
const MAX_ROUNDS = 16;

/** Milliseconds from a write until it is looked at again: longer than another writer's request is on its way, who looked before and writes after. */
const SETTLE_MS = 250;

/** Milliseconds added to that, and waited before a further round, at most and left to chance: so that two do not keep in step. */
const JITTER_MS = 200;

/**
 * Changes a tag by reading, changing and writing its manifest, so that what others add meanwhile is not lost.
 *
 * Guaranteed where the registry knows conditional requests (`If-Match`): no change of anybody is lost. Elsewhere the tag is read again just before it is written, and once more
 * a quarter of a second after; should another writer have come in between, everything is done again on top of his. Among writers that all do so a change is lost only
 * if the write of one is on its way for longer than that. Tools that do not look back (cosign, skopeo) can still overwrite what was written since they read.
 *
 * @returns whether something was written
 * @throws StoreError `store-busy` when others kept changing it; what reading, writing and `change` throw
 */
export async function updateTag(
  session: RegistrySession,
  repository: string,
  tag: string,
  change: TagChange,
): Promise<boolean> {
  let written = false;
  let version = await fetchTagged(session, repository, tag);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const content = await change(version?.manifest);
    if (content === undefined) return written;
    const latest = await fetchTagged(session, repository, tag);
    const isUnchanged = latest?.manifest.digest === version?.manifest.digest;
    const isStored = isUnchanged && (await write(session, repository, tag, content, latest));
    if (isStored) written = true;
    await pause(session, isStored ? SETTLE_MS : 0);
    version = await fetchTagged(session, repository, tag);
  }
  throw new StoreError(
    "store-busy",
    `${manifestLabel(session, repository, { tag })} is changed by others all the time; given up after ${MAX_ROUNDS} attempts`,
    { side: "destination", retryable: true, hint: "try again when they are done" },
  );
}

/** False when the tag was changed in the meantime, and the registry noticed. */
async function write(
  session: RegistrySession,
  repository: string,
  tag: string,
  { bytes, mediaType }: TagContent,
  latest: ManifestVersion | undefined,
): Promise<boolean> {
  const condition: TagCondition | undefined =
    latest === undefined ? "absent" : latest.etag === undefined ? undefined : { etag: latest.etag };
  try {
    await storeManifest(session, repository, { tag }, bytes, mediaType, condition);
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.status === 412) return false;
    throw error;
  }
}

async function pause(session: RegistrySession, milliseconds: number): Promise<void> {
  const { clock, random } = session.retry;
  await clock.sleep(milliseconds + Math.round(random() * JITTER_MS));
}
