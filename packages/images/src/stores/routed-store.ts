/** Two stores as one: simple signing goes to lookaside or the signatures API, sigstore signatures to attachments (registries.d, section 6). */
import { type Digest, FormatError, type Reference, parseSignatureBlob } from "@signet/core";
import type { SignatureReading, SignatureStore } from "./signature-store.ts";

/**
 * Joins the store of an image's simple signing signatures with that of its sigstore attachments. Read are both, simple signing first. Written is each signature to the one
 * of its kind; attachments are only ever added to, as the reference does, since an image's signature of one kind says nothing about those of the other.
 *
 * @param simple also gets what is no signature of a known kind, and says so
 */
export function routedStore(simple: SignatureStore, attachments: SignatureStore): SignatureStore {
  return new RoutedStore(simple, attachments);
}

class RoutedStore implements SignatureStore {
  readonly label: string;
  readonly unwritable: string | undefined;
  readonly appendOnly: boolean;
  readonly readWritten?: (reference: Reference, digest: Digest) => Promise<SignatureReading>;
  readonly tidy?: NonNullable<SignatureStore["tidy"]>;
  readonly noteDeletion?: NonNullable<SignatureStore["noteDeletion"]>;
  readonly forgetDeletion?: NonNullable<SignatureStore["forgetDeletion"]>;
  readonly readDeletions?: NonNullable<SignatureStore["readDeletions"]>;
  readonly #simple: SignatureStore;
  readonly #attachments: SignatureStore;

  constructor(simple: SignatureStore, attachments: SignatureStore) {
    this.#simple = simple;
    this.#attachments = attachments;
    this.label = simple.label;
    this.unwritable = simple.unwritable;
    this.appendOnly = simple.appendOnly ?? false;
    if (simple.tidy !== undefined) this.tidy = (...args) => simple.tidy!(...args);
    // Attachments are found by the same digests; one note is enough.
    if (simple.noteDeletion !== undefined) this.noteDeletion = (...args) => simple.noteDeletion!(...args);
    if (simple.forgetDeletion !== undefined) this.forgetDeletion = (...args) => simple.forgetDeletion!(...args);
    if (simple.readDeletions !== undefined) this.readDeletions = (...args) => simple.readDeletions!(...args);
    if (simple.readWritten !== undefined) {
      this.readWritten = async (reference, digest) =>
        joinReadings(await simple.readWritten!(reference, digest), await attachments.read(reference, digest));
    }
  }

  unwritableFor(blob: Uint8Array): string | undefined {
    return isSigstore(blob) ? this.#attachments.unwritable : this.#simple.unwritable;
  }

  async read(reference: Reference, digest: Digest): Promise<SignatureReading> {
    const [simple, attachments] = await Promise.all([
      this.#simple.read(reference, digest),
      this.#attachments.read(reference, digest),
    ]);
    return joinReadings(simple, attachments);
  }

  async replace(reference: Reference, digest: Digest, blobs: readonly Uint8Array[]): Promise<void> {
    const simple = blobs.filter((blob) => !isSigstore(blob));
    const sigstore = blobs.filter(isSigstore);
    // First what may be switched off, so that a refusal changes nothing.
    for (const blob of sigstore) await this.#attachments.add(reference, digest, blob);
    // Sigstore signatures alone say nothing of the others; no signatures at all mean that there shall be none.
    if (simple.length > 0 || sigstore.length === 0) await this.#simple.replace(reference, digest, simple);
  }

  add(reference: Reference, digest: Digest, blob: Uint8Array): Promise<string> {
    return (isSigstore(blob) ? this.#attachments : this.#simple).add(reference, digest, blob);
  }

  async remove(reference: Reference, digest: Digest): Promise<void> {
    if (this.#attachments.unwritable === undefined) await this.#attachments.remove(reference, digest);
    await this.#simple.remove(reference, digest);
  }
}

function joinReadings(simple: SignatureReading, attachments: SignatureReading): SignatureReading {
  if (attachments.attempts.length === 0) return simple;
  return {
    store: `${simple.store} and ${attachments.store}`,
    signatures: [...simple.signatures, ...attachments.signatures],
    attempts: [...simple.attempts, ...attachments.attempts],
    warnings: [...simple.warnings, ...attachments.warnings],
  };
}

function isSigstore(blob: Uint8Array): boolean {
  try {
    return parseSignatureBlob(blob).format === "sigstore-json";
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
