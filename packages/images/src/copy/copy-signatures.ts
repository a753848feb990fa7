/** The signatures of a copy: read from the source, made anew, and laid beside those that the destination has. */
import {
  type Digest,
  FormatError,
  MAX_SIGNATURES_PER_MANIFEST,
  UsageError,
  equalBytes,
  formatReference,
  parseSignatureBlob,
} from "@signet/core";
import { ATTACHMENTS_DISABLED, attachmentsDisabledHint } from "../stores/attachment-store.ts";
import type { ImageDestination, ImageSource } from "../transports/transport.ts";
import type { CompanionPlan } from "./companions.ts";
import { formatNames } from "./convert-items.ts";
import type { Conversion } from "./convert-items.ts";
import { type CopyItem, nameOf } from "./copy-items.ts";
import type { CopyOptions, SignManifest } from "./copy-options.ts";
import { unsuitable } from "./unsuitable.ts";

/** A manifest with its signatures. */
export interface SignedItem extends CopyItem {
  /** From the source, all of them. */
  readonly carried: readonly Uint8Array[];
  /** Those that the destination has, and that the source has not. */
  readonly kept: readonly Uint8Array[];
  readonly made: readonly Uint8Array[];
  /** What the destination has not yet, of both. */
  readonly added: readonly Uint8Array[];
  /** What the destination will have, in order: first what it had. */
  readonly all: readonly Uint8Array[];
}

/** What signs the copy. */
export interface CopySigning {
  readonly signers: readonly SignManifest[];
  readonly identity: string;
}

/**
 * What is to be signed for. Asked before anything is fetched, so that a copy which cannot be signed ends at once.
 * @returns undefined when nothing is to be signed
 * @throws StoreError `destination-unsuitable`; UsageError `identity-missing`
 */
export async function planSigning(
  destination: ImageDestination,
  options: CopyOptions,
): Promise<CopySigning | undefined> {
  const signers = options.sign === undefined ? [] : [options.sign].flat();
  if (signers.length === 0) return undefined;
  const reason = await destination.signaturesUnsupported();
  if (reason !== undefined) {
    throw unsuitable(
      `cannot sign for ${destination.name.text}: ${reason}`,
      "sign the image where it can keep signatures, such as dir: or docker://",
    );
  }
  return { signers, identity: signIdentity(destination, options) };
}

function signIdentity(destination: ImageDestination, options: CopyOptions): string {
  if (options.signIdentity !== undefined) return options.signIdentity;
  const { reference } = destination.name;
  if (reference !== undefined) return formatReference(reference);
  throw new UsageError("identity-missing", `${destination.name.text} has no docker reference to sign for`, {
    hint: "say which image the signature is for: --sign-identity host/repo:tag",
  });
}

/**
 * Reads what the source has for each manifest, in the same order; nothing when signatures are to be left behind.
 * @param companions takes those that travel in another way
 * @throws StoreError `destination-unsuitable` when there are some and the destination cannot keep them
 */
export async function readCarried(
  source: ImageSource,
  destination: ImageDestination,
  items: readonly CopyItem[],
  companions: CompanionPlan,
  options: CopyOptions,
): Promise<readonly (readonly Uint8Array[])[]> {
  if (options.removeSignatures === true) return items.map(() => []);
  const carried: (readonly Uint8Array[])[] = [];
  for (const { manifest } of items) {
    options.signal?.throwIfAborted();
    const { signatures } = await source.signatures(nameOf(manifest));
    const blobs = await companions.signaturesFor(
      manifest,
      signatures.map(({ bytes }) => bytes),
    );
    const reason = blobs.length === 0 ? undefined : await destination.signaturesUnsupported(blobs);
    if (reason !== undefined)
      throw unsuitable(`cannot copy signatures to ${destination.name.text}: ${reason}`, removalHint(reason));
    carried.push(blobs);
  }
  return carried;
}

function removalHint(reason: string): string {
  return reason.startsWith(ATTACHMENTS_DISABLED) ? attachmentsDisabledHint : "copy without them: --remove-signatures";
}

/**
 * Refuses a conversion of what is signed: the signatures would be about a digest that the copy does not have.
 * @param items before the conversion
 * @throws FormatError `conversion-refused`
 */
export function refuseInvalidation(
  items: readonly CopyItem[],
  carried: readonly (readonly Uint8Array[])[],
  { changed, format }: Conversion,
): void {
  const lost = items.reduce(
    (count, { manifest }, index) => count + (changed.has(manifest.digest) ? carried[index]!.length : 0),
    0,
  );
  if (lost === 0) return;
  throw new FormatError(
    "conversion-refused",
    `converting ${items.at(-1)!.manifest.digest} to ${formatNames[format!]} would invalidate ${lost} ${lost === 1 ? "signature" : "signatures"}`,
    {
      hint: "--remove-signatures leaves them behind; together with --sign-by the new digest is signed",
      details: { signatures: lost },
    },
  );
}

/**
 * Makes the new signatures and lays all of a manifest's together. What the destination has for the same manifest stays, equal ones are not added twice.
 * @param items as they will be written
 * @throws StoreError `destination-unsuitable` for more than a reader looks at; what signing throws
 */
export async function collectSignatures(
  destination: ImageDestination,
  items: readonly CopyItem[],
  carried: readonly (readonly Uint8Array[])[],
  signing: CopySigning | undefined,
): Promise<readonly SignedItem[]> {
  const canKeep = (await destination.signaturesUnsupported()) === undefined;
  const signed: SignedItem[] = [];
  for (const [index, item] of items.entries()) {
    const ofSource = carried[index]!;
    const name = nameOf(item.manifest);
    const held = canKeep ? ((await destination.heldSignatures?.(name, { top: item.isTop })) ?? []) : [];
    const made: Uint8Array[] = [];
    for (const sign of signing?.signers ?? []) {
      const present = [...held, ...ofSource, ...made];
      const blob = await sign(item.manifest.bytes, item.manifest.digest, signing!.identity, present);
      if (blob !== undefined) made.push(blob);
    }
    const all = [...held];
    for (const blob of [...ofSource, ...made]) if (!includesBlob(all, blob)) all.push(blob);
    if (all.length > MAX_SIGNATURES_PER_MANIFEST) throw tooMany(item.manifest.digest, all.length);
    const kept = held.filter((blob) => !includesBlob(ofSource, blob));
    signed.push({ ...item, carried: ofSource, kept, made, added: all.slice(held.length), all });
  }
  return signed;
}

function tooMany(digest: Digest, count: number): Error {
  return unsuitable(
    `${digest} would have ${count} signatures; readers stop at ${MAX_SIGNATURES_PER_MANIFEST}`,
    "leave the source's behind: --remove-signatures",
  );
}

function includesBlob(blobs: readonly Uint8Array[], blob: Uint8Array): boolean {
  const content = contentOf(blob);
  return blobs.some((one) => equalBytes(contentOf(one), content));
}

/** The OpenPGP message without the frame that some stores put around it: the same signature looks different in different stores. */
function contentOf(blob: Uint8Array): Uint8Array {
  try {
    const parsed = parseSignatureBlob(blob);
    return parsed.format === "simple-signing" ? parsed.message : blob;
  } catch (error) {
    if (error instanceof FormatError) return blob;
    throw error;
  }
}
