/** Mending blobs whose bytes are not what their rows say. */
import { createHash } from "node:crypto";
import { digestAlgorithm, tryParseDigest } from "@signet/core";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Database } from "../db/database.ts";
import { type RepairOutcome, passed } from "./repair-outcome.ts";

/** Places of a store that are compared with the rows before it counts as the wrong one: in the right one, the first is named. */
const MAX_COMPARED = 1_000;

/** The digest of the bytes at a place, by the algorithm of a digest; undefined where that is none. */
export async function digestOf(store: BlobStore, location: string, like: string): Promise<string | undefined> {
  const digest = tryParseDigest(like);
  if (digest === undefined) return undefined;
  const algorithm = digestAlgorithm(digest);
  const hash = createHash(algorithm);
  for await (const chunk of (await store.open(location)) as AsyncIterable<Uint8Array>) hash.update(chunk);
  return `${algorithm}:${hash.digest("hex")}`;
}

/**
 * Makes a blob whose bytes are missing or wrong unknown to clients, so that the next push uploads it again. Looks anew first: since the check, the blob may have been collected and pushed again, to
 * another place.
 */
export async function repairBlob(
  database: Database,
  store: BlobStore,
  digest: string,
  location: string,
): Promise<RepairOutcome> {
  const row = await database.read
    .selectFrom("blob")
    .select("size")
    .where("digest", "=", digest)
    .where("location", "=", location)
    .executeTakeFirst();
  if (row === undefined) return passed;
  const size = await store.size(location);
  if (size === undefined && !(await holdsAny(database, store))) {
    return {
      repaired: false,
      why: "nothing that the database names is in the blob store: is it the right one, and mounted?",
    };
  }
  if (size !== undefined && (await digestOf(store, location, digest)) === digest) {
    if (size === row.size) return passed;
    await database.write((writer) =>
      writer.updateTable("blob").set({ size }).where("digest", "=", digest).where("location", "=", location).execute(),
    );
    return { repaired: true, what: "the bytes are the right ones, and their number was written anew" };
  }
  const gone = await database.write((writer) =>
    writer
      .deleteFrom("blob")
      .where("digest", "=", digest)
      .where("location", "=", location)
      .returning("location")
      .execute(),
  );
  if (gone.length === 0) return passed;
  await store.remove(location);
  return { repaired: true, what: "the blob is unknown now, so that the next push brings it again" };
}

/** False for a store of something else, such as the empty folder where none is mounted: there, every blob of the registry would be forgotten. */
async function holdsAny(database: Database, store: BlobStore): Promise<boolean> {
  let compared = 0;
  for await (const { location } of store.list()) {
    const row = await database.read
      .selectFrom("blob")
      .select("digest")
      .where("location", "=", location)
      .executeTakeFirst();
    if (row !== undefined) return true;
    compared += 1;
    if (compared === MAX_COMPARED) return false;
  }
  return false;
}
