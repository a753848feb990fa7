/** Which blobs of an OCI layout an image needs. */
import { join } from "node:path";
import { type Digest, MAX_MANIFEST_BYTES, SignetError, StoreError, parseManifest } from "@signet/core";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf } from "../config/file-error.ts";
import { blobName } from "../transports/oci-source.ts";

export interface Reachable {
  readonly digests: ReadonlySet<Digest>;
  /** Manifests that are there and could not be read, each with its problem: what they need is not known. */
  readonly unreadable: readonly string[];
}

/** Manifests read for one layout; far more than any layout has, and a bound on hostile ones. */
const MAX_MANIFESTS = 100_000;

/** Follows manifests to instances, configs and layers. A manifest that is not there needs nothing. */
export async function findReachable(path: string, tops: readonly Digest[]): Promise<Reachable> {
  const digests = new Set<Digest>();
  const unreadable: string[] = [];
  const queue = [...tops];
  let count = 0;
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    if (digests.has(digest)) continue;
    digests.add(digest);
    if (++count > MAX_MANIFESTS) return { digests, unreadable: [`more than ${MAX_MANIFESTS} manifests`] };
    try {
      const bytes = await readFileBounded(join(path, blobName(digest)), MAX_MANIFEST_BYTES, "manifest", {
        regularOnly: true,
      });
      const parsed = parseManifest(bytes);
      if (parsed.kind === "list") for (const instance of parsed.instances) queue.push(instance.digest);
      else if (parsed.kind === "image") for (const blob of [parsed.config, ...parsed.layers]) digests.add(blob.digest);
      else for (const layer of parsed.layers) digests.add(layer);
    } catch (error) {
      if (error instanceof StoreError && errnoOf(error.cause) === "ENOENT") continue;
      if (!(error instanceof SignetError)) throw error;
      unreadable.push(error.message);
    }
  }
  return { digests, unreadable };
}
