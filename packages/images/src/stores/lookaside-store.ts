/** Lookaside stores: signatures as files in a folder or on a web server, found by repository and digest (registries.d, sections 2 to 4). */
import { type Digest, PolicyError, type Reference, StoreError } from "@signet/core";
import type { WebAccess } from "../registry/client.ts";
import { type LookasideBase, repositoryFolder, signatureFolder, signatureUrl } from "./lookaside-url.ts";
import {
  addSignature,
  readSignatureFolder,
  removeSignatures,
  replaceSignatures,
  tidySignatures,
} from "./signature-folder.ts";
import { readDeletionNotes, removeDeletionNote, writeDeletionNote } from "./deletion-note.ts";
import type { DeletionNote, SignatureReading, SignatureStore } from "./signature-store.ts";

export interface LookasideStoreOptions {
  readonly read: LookasideBase;
  readonly write: LookasideBase;
  /** Gives the connections for a store on the web; called at most once, before the first look. */
  readonly openWeb: (host: string) => WebAccess;
}

/**
 * A lookaside store that is read at one place and written at the same or another one. Written is only to folders: a web server's files are published
 * by other means.
 */
export function lookasideStore(options: LookasideStoreOptions): SignatureStore {
  return new LookasideStore(options);
}

class LookasideStore implements SignatureStore {
  readonly label: string;
  readonly unwritable: string | undefined;
  readonly #options: LookasideStoreOptions;
  #web: WebAccess | undefined;

  constructor(options: LookasideStoreOptions) {
    this.#options = options;
    this.label = options.read.label;
    this.unwritable = whyUnwritable(options.write);
  }

  async read(reference: Reference, digest: Digest): Promise<SignatureReading> {
    const { read, openWeb } = this.#options;
    switch (read.scheme) {
      case "file":
        return readSignatureFolder(signatureFolder(read, reference, digest), read.label);
      case "http":
      case "https": {
        const { readLookasideWeb } = await import("./lookaside-http.ts");
        this.#web ??= openWeb(new URL(`${read.origin}/`).host);
        return readLookasideWeb(this.#web, read.label, (position) => signatureUrl(read, reference, digest, position));
      }
      default:
        throw new PolicyError(
          "registries-d-malformed",
          `cannot read signatures from ${read.label}: ${schemeProblem(read)}`,
          {
            hint: "registries.d takes https://, http:// and file:/// for reading",
          },
        );
    }
  }

  async readWritten(reference: Reference, digest: Digest): Promise<SignatureReading> {
    return readSignatureFolder(this.#writableFolder(reference, digest), this.#options.write.label);
  }

  async replace(reference: Reference, digest: Digest, blobs: readonly Uint8Array[]): Promise<void> {
    await replaceSignatures(this.#writableFolder(reference, digest), blobs);
    await removeDeletionNote(this.#writableFolder(reference, digest), reference, digest);
  }

  async add(reference: Reference, digest: Digest, blob: Uint8Array): Promise<string> {
    const location = await addSignature(this.#writableFolder(reference, digest), blob);
    await removeDeletionNote(this.#writableFolder(reference, digest), reference, digest);
    return location;
  }

  async tidy(reference: Reference, digest: Digest): Promise<void> {
    await tidySignatures(this.#writableFolder(reference, digest));
  }

  async noteDeletion(reference: Reference, note: DeletionNote): Promise<void> {
    await writeDeletionNote(this.#writableFolder(reference, note.manifests[0]!), reference, note);
  }

  async forgetDeletion(reference: Reference, digest: Digest): Promise<void> {
    await removeDeletionNote(this.#writableFolder(reference, digest), reference, digest);
  }

  async readDeletions(reference: Reference): Promise<readonly DeletionNote[]> {
    if (this.unwritable !== undefined) return [];
    return readDeletionNotes(repositoryFolder(this.#options.write, reference), reference);
  }

  async remove(reference: Reference, digest: Digest): Promise<void> {
    const folder = this.#writableFolder(reference, digest);
    await removeSignatures(folder);
    await removeDeletionNote(folder, reference, digest);
  }

  #writableFolder(reference: Reference, digest: Digest): string {
    if (this.unwritable !== undefined) {
      throw new StoreError("signature-store-unwritable", `cannot write signatures: ${this.unwritable}`, {
        side: "destination",
        hint: "add `lookaside-staging: file:///…` to the section of registries.d, and publish that folder on the web server",
      });
    }
    return signatureFolder(this.#options.write, reference, digest);
  }
}

function whyUnwritable(base: LookasideBase): string | undefined {
  if (base.scheme === "file") return undefined;
  if (base.scheme === "http" || base.scheme === "https") return `${base.label} can only be read over ${base.scheme}`;
  return `${base.label}: ${schemeProblem(base)}`;
}

function schemeProblem(base: LookasideBase): string {
  return base.scheme === "" ? "the URL has no scheme" : `the scheme ${base.scheme}: is not known`;
}
