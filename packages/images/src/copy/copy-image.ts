import type { Digest } from "@signet/core";
import type { ImageDestination, ImageSource, RawManifest } from "../transports/transport.ts";
import { transferBlobs } from "./blob-transfer.ts";
import { planCompanions } from "./companions.ts";
import { type Conversion, convertItems, formatNames } from "./convert-items.ts";
import { type CopyItem, collectBlobs, nameOf, selectItems } from "./copy-items.ts";
import type { CopyOptions, CopyResult } from "./copy-options.ts";
import { type SignedItem, collectSignatures, planSigning, readCarried, refuseInvalidation } from "./copy-signatures.ts";
import { describeNameChange } from "./name-change.ts";
import { checkDigestKept, substituteManifests } from "./substitute-items.ts";
import { unsuitable } from "./unsuitable.ts";

/**
 * Copies one image, byte for byte unless a conversion is asked for or the destination takes only one format. In this order: the manifests are fetched, once each; `enforce`
 * judges them; what lies beside the image and the source's signatures are read; what has to be is converted, and what the destination cannot take is refused; signatures are made; blobs move; manifests
 * and signatures are written; the destination commits. A failure anywhere leaves the destination as it was, once its `close` has been called. The caller opens and closes
 * both sides.
 *
 * Not checked: any policy, unless `enforce` does. Not done: recompression, and conversion of anything that a signature is about. A docker archive and an engine hold
 * config and layers only; from a local storage, which unpacks layers, an image comes with another manifest for the same config and layers.
 * @throws StoreError `destination-unsuitable`, `digest-mismatch`, `image-missing` and others of the two sides; FormatError `conversion-refused` and those of malformed
 *   manifests; UsageError `identity-missing`; what `enforce` and `sign` throw
 */
export async function copyImage(
  source: ImageSource,
  destination: ImageDestination,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const signing = await planSigning(destination, options);
  const judged = await selectItems(source, options);
  for (const { manifest, instance, content } of judged) {
    if (content.kind === "image" || judged.length === 1) await options.enforce?.(manifest, instance);
  }
  const fetched = await substituteManifests(source, judged, options);
  const conversion = convertItems(fetched, destination, options);
  const { items, format } = conversion;
  const top = items.at(-1)!;
  checkDigestKept(destination, top, options);
  checkName(destination, top);
  const blobs = collectBlobs(items);
  const companions = await planCompanions(source, destination, ...byConversion(fetched, conversion), options);
  const carried = await readCarried(source, destination, fetched, companions, options);
  refuseInvalidation(fetched, carried, conversion);
  if (format !== undefined) options.onProgress?.({ kind: "converted", format, digest: top.manifest.digest });
  options.onProgress?.({ kind: "planned", manifests: items.map(({ manifest }) => manifest.digest), blobs: blobs.own });
  const signed = await collectSignatures(destination, items, carried, signing);

  const transferred = await transferBlobs(source, destination, blobs.own, options);
  await writeManifests(destination, signed, options);
  const accompanied = await companions.store();
  await writeSignatures(destination, signed, options);
  options.signal?.throwIfAborted();
  await destination.commit();

  const nameChange = describeNameChange(carried.flat(), destination.name.reference);
  const count = (of: (item: SignedItem) => readonly unknown[]): number =>
    signed.reduce((sum, item) => sum + of(item).length, 0);
  return {
    digest: top.manifest.digest,
    manifests: items.map(({ manifest }) => manifest.digest),
    ...(format === undefined ? {} : { converted: { format, sourceDigest: fetched.at(-1)!.manifest.digest } }),
    blobs: transferred,
    foreignLayers: blobs.foreign,
    signatures: {
      carried: count((item) => item.carried),
      kept: count((item) => item.kept),
      made: count((item) => item.made),
    },
    companions: accompanied,
    warnings: [
      ...(nameChange === undefined ? [] : [nameChange]),
      ...describeOutdated(companions.outdated, conversion, options),
    ],
  };
}

/** The manifests that stay as they are, and those that do not: what belongs to a manifest is about its digest, and cannot follow it through a conversion. */
function byConversion(
  items: readonly CopyItem[],
  { changed }: Conversion,
): readonly [unchanged: readonly RawManifest[], converted: readonly RawManifest[]] {
  const manifests = items.map(({ manifest }) => manifest);
  return [
    manifests.filter(({ digest }) => !changed.has(digest)),
    manifests.filter(({ digest }) => changed.has(digest)),
  ];
}

function describeOutdated(count: number, { items, format }: Conversion, options: CopyOptions): readonly string[] {
  if (count === 0) return [];
  const isOne = count === 1;
  const what = `${count} ${isOne ? "artifact" : "artifacts"} (signatures, attestations, SBOMs and other referrers)`;
  const without = options.format === undefined ? "to docker:// or dir:" : "without --format";
  return [
    `${what} ${isOne ? "is about a digest" : "are about digests"} that the conversion to ${formatNames[format!]} changed: left behind; copy without conversion (${without}; ` +
      `--preserve-digests refuses any), or make ${isOne ? "it" : "them"} anew and attach to ${items.at(-1)!.manifest.digest}`,
  ];
}

function checkName(destination: ImageDestination, top: CopyItem): void {
  const wanted: Digest | undefined = destination.name.reference?.digest;
  if (wanted === undefined || wanted === top.manifest.digest || wanted === top.manifest.namedDigest) return;
  throw unsuitable(
    `${destination.name.text} names ${wanted}, but the image to be copied is ${top.manifest.digest}`,
    "name the destination by a tag, or choose the list itself with --all",
  );
}

async function writeManifests(
  destination: ImageDestination,
  items: readonly CopyItem[],
  options: CopyOptions,
): Promise<void> {
  for (const { manifest, isTop } of items) {
    options.signal?.throwIfAborted();
    await destination.putManifest(manifest, { instance: !isTop });
    options.onProgress?.({ kind: "manifest-done", digest: manifest.digest });
  }
}

async function writeSignatures(
  destination: ImageDestination,
  items: readonly SignedItem[],
  options: CopyOptions,
): Promise<void> {
  for (const { manifest, isTop, added, all } of items) {
    // A destination that cannot add is given the whole row, also when all of it was there: it may have been written anew.
    if (all.length === 0) continue;
    options.signal?.throwIfAborted();
    if (destination.addSignatures === undefined) await destination.putSignatures(all, nameOf(manifest), { top: isTop });
    else await destination.addSignatures(added, nameOf(manifest), { top: isTop });
    if (added.length === 0) continue;
    options.onProgress?.({ kind: "signatures-done", digest: manifest.digest, count: added.length });
  }
}
