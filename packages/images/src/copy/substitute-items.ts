/** Images whose own manifest their place cannot serve: a local storage unpacks layers, an archive and an engine keep no manifest at all. */
import type { ImageDestination, ImageSource } from "../transports/transport.ts";
import { type CopyItem, nameOf } from "./copy-items.ts";
import type { CopyOptions } from "./copy-options.ts";
import { readContent } from "./manifest-content.ts";
import { unsuitable } from "./unsuitable.ts";

/**
 * Puts the manifests in place under which the source can give its blobs, where these are not the image's own. What was judged stays what is copied, for config and
 * layers are the same; signatures about the old manifest would be worth nothing.
 * @throws StoreError `destination-unsuitable` when that would change a digest that is to be preserved, or lose signatures
 */
export async function substituteManifests(
  source: ImageSource,
  items: readonly CopyItem[],
  options: CopyOptions,
): Promise<readonly CopyItem[]> {
  if (source.substitute === undefined) return items;
  const result: CopyItem[] = [];
  for (const item of items) {
    const substitute = await source.substitute(item.manifest);
    if (substitute === undefined) {
      result.push(item);
      continue;
    }
    const { reason } = substitute;
    const { digest } = item.manifest;
    if (options.preserveDigests === true || items.length > 1)
      throw unsuitable(`cannot copy ${digest} as it is: ${reason}`, "copy it from the registry that it came from");
    if (options.removeSignatures !== true && (await source.signatures(nameOf(item.manifest))).signatures.length > 0) {
      throw unsuitable(
        `cannot copy the signatures of ${digest}: ${reason}`,
        "copy the image without them (--remove-signatures), or from the registry that it came from",
      );
    }
    const manifest = await substitute.fetch();
    result.push({ ...item, manifest, instance: undefined, content: readContent(manifest) });
  }
  return result;
}

/** @throws StoreError `destination-unsuitable` where a digest is to be preserved and the destination keeps no manifest */
export function checkDigestKept(destination: ImageDestination, top: CopyItem, options: CopyOptions): void {
  if (options.preserveDigests !== true || destination.digestNotKept === undefined) return;
  throw unsuitable(
    `cannot copy ${top.manifest.digest} to ${destination.name.text} and preserve its digest: ${destination.digestNotKept}`,
    "copy to dir: or docker://",
  );
}
