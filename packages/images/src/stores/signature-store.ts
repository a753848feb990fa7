import type { Digest, Reference, SignetError } from "@signet/core";

/** One stored signature blob, as it came; parsing it is the verifier's matter. */
export interface StoredSignature {
  readonly bytes: Uint8Array;
  /** Path or URL, without credentials. */
  readonly location: string;
}

/** Asked with each signature as it is found, in order: true when no further one is wanted, so that nobody waits for places behind it. */
export type IsEnough = (signature: StoredSignature) => boolean;

/** One look at a place where a signature could have been. */
export interface StoreAttempt {
  readonly location: string;
  /** `found`, `absent`, `skipped` (not a signature, for example an HTML page answered with 200), `failed` (it could not be told; see {@link attemptsOf}). */
  readonly outcome: "found" | "absent" | "skipped" | "failed";
  /** HTTP status, where there was one. */
  readonly status?: number;
}

/** All signatures found for one manifest. An empty list means that the store said there are none, never that it could not be asked. */
export interface SignatureReading {
  /** For people: the store that was asked, such as `https://sig.example.com/store` or `registry.example.com (signatures API)`. */
  readonly store: string;
  readonly signatures: readonly StoredSignature[];
  readonly attempts: readonly StoreAttempt[];
  readonly warnings: readonly string[];
  /** The first place that could not be told, of stores that are read on behind it (those of releases): a signature may be there. */
  readonly failure?: SignetError;
}

/** What a deletion was about that perhaps did not come to its end. */
export interface DeletionNote {
  /** The tag that was deleted by; undefined for a name by digest. */
  readonly tag: string | undefined;
  /** The image or list first, then the instances that were to go with it. Claims: the store may be anybody's. */
  readonly manifests: readonly Digest[];
}

/** A place where signatures of manifests are kept, by repository and manifest digest. */
export interface SignatureStore {
  /** For people and messages. */
  readonly label: string;
  /** @throws StoreError when it cannot be told whether there are signatures (unreachable, 403, 5xx, a directory in place of a file …) */
  read(reference: Reference, digest: Digest): Promise<SignatureReading>;
  /** Reads the place that is written to, where that is another one than `read` reads. */
  readWritten?(reference: Reference, digest: Digest): Promise<SignatureReading>;
  /** Undefined when it can be written; else why not. */
  readonly unwritable: string | undefined;
  /** The same for one signature, where it depends on its kind. Default: `unwritable`. */
  unwritableFor?(blob: Uint8Array): string | undefined;
  /** True when nothing can be removed: `replace` and `remove` then fail if they would have to. Default false. */
  readonly appendOnly?: boolean;
  /** Makes `blobs` the manifest's signatures, in order. */
  replace(reference: Reference, digest: Digest, blobs: readonly Uint8Array[]): Promise<void>;
  /** Adds one signature unless an equal one is there; returns where it lies. */
  add(reference: Reference, digest: Digest, blob: Uint8Array): Promise<string>;
  /** Removes what writers that died left there, where they can leave anything. */
  tidy?(reference: Reference, digest: Digest): Promise<void>;
  /** Keeps a note until `remove` or a new signature of its first manifest, where the signatures outlive their manifest. */
  noteDeletion?(reference: Reference, note: DeletionNote): Promise<void>;
  /** Takes the note back: nothing was deleted. */
  forgetDeletion?(reference: Reference, digest: Digest): Promise<void>;
  /** The notes of a repository. */
  readDeletions?(reference: Reference): Promise<readonly DeletionNote[]>;
  /** Removes all signatures of the manifest, and then the note that its deletion has begun. */
  remove(reference: Reference, digest: Digest): Promise<void>;
}
