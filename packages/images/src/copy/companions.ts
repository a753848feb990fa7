/** What belongs to an image and lies beside it (cosign's tags, referrers), carried along when the image is copied. */
import {
  type Digest,
  FormatError,
  MAX_SIGNATURES_PER_MANIFEST,
  SignetError,
  StoreError,
  type UntrustedDescriptor,
  type UntrustedManifest,
  artifactTypeOf,
  equalBytes,
  parseManifest,
  parseSignatureBlob,
  sha256Digest,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { CompanionSuffix } from "../registry/companion-tags.ts";
import { saysManifestMissing } from "../registry/missing-manifest.ts";
import { isSameLayer, parseAttachmentManifest } from "../stores/attachment-manifest.ts";
import { readSignatureLayers } from "../stores/attachment-store.ts";
import type { FoundCompanion } from "../transports/companion.ts";
import type { BlobDescriptor, ImageDestination, ImageSource, RawManifest } from "../transports/transport.ts";
import { transferBlobs } from "./blob-transfer.ts";
import type { CopyProgress } from "./copy-progress.ts";
import { distinctInstances, readContent, readInstanceContent } from "./manifest-content.ts";

/** Which companions are carried along: everything, what signs, or nothing. */
export type CompanionSelection = "all" | "signatures" | "none";

/** Steps from an image to what belongs to it: an attestation, its signature, and one to spare. */
const MAX_DEPTH = 3;

/** Companions of one copy; a list of 50 platforms with ten each has half as many. */
const MAX_COMPANIONS = 1_000;

/** Manifests asked about at a time; each takes four requests at once, and a host is given sixteen connections. */
const PARALLEL_SEARCHES = 4;

/** Bytes of all their manifests together, which are held until they are written. */
const MAX_MANIFEST_BYTES_HELD: number = 64 * 1024 * 1024;

/** Artifacts that are signatures: notation's, and sigstore bundles as cosign attaches them since version 3. */
const signatureTypes: readonly RegExp[] = [
  /^application\/vnd\.cncf\.notary\.signature$/,
  /^application\/vnd\.dev\.sigstore\.bundle\.v0\.\d+\+json$/,
];

export interface CompanionOptions {
  /** Default: all that the destination has a place for, with a warning about the rest. `all` fails where there is no place. */
  readonly companions?: CompanionSelection | undefined;
  /** Leaves signatures behind, those among the companions as well; SBOMs and attestations come along all the same. */
  readonly removeSignatures?: boolean;
  readonly parallelBlobs?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: CopyProgress) => void;
}

/** What was carried along. */
export interface CompanionResult {
  /** Manifests under cosign's tags. */
  readonly tags: number;
  readonly referrers: number;
  /** How many of both the destination had already. */
  readonly present: number;
  /** How many there was no place for, and how many speak of a digest that a conversion changed. */
  readonly leftBehind: number;
  readonly warnings: readonly string[];
}

/** What a copy will carry along; found before anything is written. */
export interface CompanionPlan {
  /** How many belong to manifests that are converted: they speak of the old digest, and stay behind. */
  readonly outdated: number;
  /**
   * The signatures of a manifest that the destination is to be given as such. Without those that travel under their tag; with those that do not because the destination
   * has no tags, such as a dir: image.
   * @param blobs what the source gave as signatures
   */
  signaturesFor(manifest: RawManifest, blobs: readonly Uint8Array[]): Promise<readonly Uint8Array[]>;
  /** Writes them; after the image's manifests, before its name. */
  store(): Promise<CompanionResult>;
}

/** A companion with its content, and the manifest it belongs to. */
interface Companion {
  readonly subject: Digest;
  /** Undefined for a referrer. */
  readonly suffix: CompanionSuffix | undefined;
  readonly manifest: RawManifest;
  readonly blobs: readonly BlobDescriptor[];
  /** Of a companion that is a list, such as an index of SBOMs. */
  readonly instances: readonly RawManifest[];
}

/**
 * Finds what belongs to the manifests of a copy, and to that in turn: every byte that will be written is held against its digest. Nothing in here is verified; whether a
 * signature is one is for a policy to say.
 *
 * Costs four requests for each manifest in a registry (five for the first where there is no referrers API), and as many for each companion but signatures. A copy within one
 * repository costs none, unless it converts.
 *
 * @param manifests those that are copied unchanged
 * @param converted those whose bytes change, as the source has them: what belongs to them is counted, and never carried along
 * @throws StoreError, FormatError with the hint `--companions none` whenever it cannot be told what there is, or it is more than can be: a proof is not lost in silence
 */
export async function planCompanions(
  source: ImageSource,
  destination: ImageDestination,
  manifests: readonly RawManifest[],
  converted: readonly RawManifest[],
  options: CompanionOptions,
): Promise<CompanionPlan> {
  const selection = options.companions ?? "all";
  const nothing = selection === "none" || (selection === "signatures" && options.removeSignatures === true);
  const images = isSameRepository(source, destination) ? [] : manifests.map(nameOf);
  if (nothing || images.length + converted.length === 0 || source.companions === undefined) return emptyPlan;
  const search = new Search(source, options);
  const found = await searchAll(search, images);
  const outdated = (await searchAll(search, converted.map(nameOf))).length;
  return new Plan(source, destination, { found, outdated, warnings: search.warnings }, new Set(images), options);
}

/** The first one alone: it tells whether the registry has the referrers API. The others side by side. */
async function searchAll(search: Search, digests: readonly Digest[]): Promise<readonly Companion[]> {
  const found: (readonly Companion[])[] = [];
  const visit = async (index: number): Promise<void> => {
    const digest = digests[index]!;
    try {
      found[index] = await search.visit(digest, 1);
    } catch (error) {
      throw withCompanionsHint(error, digest);
    }
  };
  if (digests.length === 0) return [];
  await visit(0);
  const queue = digests.keys();
  queue.next();
  await Promise.all(
    Array.from({ length: PARALLEL_SEARCHES }, async () => {
      for (const index of queue) await visit(index);
    }),
  );
  return found.flat();
}

const emptyPlan: CompanionPlan = {
  outdated: 0,
  signaturesFor: async (_manifest, blobs) => blobs,
  store: async () => ({ tags: 0, referrers: 0, present: 0, leftBehind: 0, warnings: [] }),
};

function isSameRepository(
  { name: { reference: from } }: ImageSource,
  { name: { reference: to } }: ImageDestination,
): boolean {
  return from !== undefined && to !== undefined && from.domain === to.domain && from.path === to.path;
}

function withCompanionsHint(error: unknown, digest: Digest): unknown {
  if (!(error instanceof SignetError)) return error;
  const message = `what belongs to ${digest} cannot be carried along: ${error.message}`;
  const hint = `copy without it: --companions none${error.hint === undefined ? "" : `; or ${error.hint}`}`;
  if (error instanceof StoreError) {
    const { code, status, retryable, side, details } = error;
    return new StoreError(code, message, {
      cause: error,
      hint,
      retryable,
      details,
      ...(status === undefined ? {} : { status }),
      ...(side === undefined ? {} : { side }),
    });
  }
  if (error instanceof FormatError) return new FormatError(error.code, message, { cause: error, hint });
  return error;
}

/** Goes from the image's manifests to all that belongs to them. */
class Search {
  readonly warnings = new Set<string>();
  readonly #source: ImageSource;
  readonly #options: CompanionOptions;
  readonly #visited = new Set<Digest>();
  #count = 0;
  #bytesHeld = 0;

  constructor(source: ImageSource, options: CompanionOptions) {
    this.#source = source;
    this.#options = options;
  }

  async visit(subject: Digest, depth: number): Promise<readonly Companion[]> {
    if (this.#visited.has(subject)) return [];
    this.#visited.add(subject);
    this.#options.signal?.throwIfAborted();
    const { companions, warnings } = await this.#source.companions!(subject);
    for (const warning of warnings) this.warnings.add(warning);
    const taken: Companion[] = [];
    for (const one of companions) {
      const companion = await this.#take(subject, one);
      if (companion !== undefined) taken.push(companion);
    }
    if (taken.length > 0 && depth > MAX_DEPTH) throw tooMuch(`more than ${MAX_DEPTH} steps from the image`);
    this.#count += taken.length;
    if (this.#count > MAX_COMPANIONS) throw tooMuch(`more than ${MAX_COMPANIONS} companions`);
    const all = [...taken];
    for (const { suffix, manifest } of taken) {
      // Nobody signs the manifest that holds the signatures: it changes with each of them.
      if (suffix !== "sig") all.push(...(await this.visit(nameOf(manifest), depth + 1)));
    }
    return all;
  }

  async #take(subject: Digest, found: FoundCompanion): Promise<Companion | undefined> {
    if (found.kind === "referrer") return await this.#takeReferrer(subject, found.listed.digest);
    const { suffix, manifest, tag } = found;
    const parsed = parseManifest(manifest.bytes, manifest.declaredMediaType);
    if (!this.#isWanted(suffix, parsed)) return undefined;
    // It may have to be merged with what is there: what cannot be is found out before anything is written.
    if (suffix === "sig") parseAttachmentManifest(manifest, tag);
    return { subject, suffix, manifest, ...(await this.#contentOf(manifest)) };
  }

  async #takeReferrer(subject: Digest, digest: Digest): Promise<Companion | undefined> {
    const manifest = await this.#fetchReferrer(subject, digest);
    if (manifest === undefined) return undefined;
    const parsed = parseManifest(manifest.bytes, manifest.declaredMediaType);
    if (subjectOf(parsed) !== subject) {
      this.warnings.add(`${digest} is listed as referring to ${subject}, and does not: left out`);
      return undefined;
    }
    if (!this.#isWanted(undefined, parsed)) return undefined;
    return { subject, suffix: undefined, manifest, ...(await this.#contentOf(manifest)) };
  }

  async #fetchReferrer(subject: Digest, digest: Digest): Promise<RawManifest | undefined> {
    try {
      return await this.#source.manifest(digest);
    } catch (error) {
      const isGone = error instanceof StoreError && error.code === "image-missing";
      if (!isGone || (error.status !== undefined && !saysManifestMissing(error))) throw error;
      this.warnings.add(`${digest} is listed as referring to ${subject}, but is not there any more`);
      return undefined;
    }
  }

  #isWanted(suffix: CompanionSuffix | undefined, parsed: UntrustedManifest): boolean {
    const signs = suffix === "sig" || (suffix === undefined && isSignatureType(artifactTypeOf(parsed)));
    if (signs) return this.#options.removeSignatures !== true;
    return this.#options.companions !== "signatures";
  }

  async #contentOf(manifest: RawManifest): Promise<Pick<Companion, "blobs" | "instances">> {
    this.#hold(manifest);
    const content = readContent(manifest);
    if (content.kind === "image") return { blobs: content.blobs, instances: [] };
    const blobs: BlobDescriptor[] = [];
    const instances: RawManifest[] = [];
    for (const instance of distinctInstances(content.list)) {
      const one = await this.#source.manifest(instance.digest);
      blobs.push(...readInstanceContent(one, instance).blobs);
      this.#hold(one);
      instances.push(one);
    }
    return { blobs, instances };
  }

  #hold({ bytes }: RawManifest): void {
    this.#bytesHeld += bytes.length;
    if (this.#bytesHeld > MAX_MANIFEST_BYTES_HELD)
      throw tooMuch(`their manifests are larger than ${MAX_MANIFEST_BYTES_HELD} bytes together`);
  }
}

class Plan implements CompanionPlan {
  readonly outdated: number;
  readonly #source: ImageSource;
  readonly #destination: ImageDestination;
  readonly #options: CompanionOptions;
  readonly #warnings: Set<string>;
  /** What the destination has a place for. */
  readonly #kept: readonly Companion[];
  readonly #attached = new Map<Digest, Companion>();
  #leftBehind = 0;

  constructor(
    source: ImageSource,
    destination: ImageDestination,
    search: { readonly found: readonly Companion[]; readonly outdated: number; readonly warnings: Set<string> },
    images: ReadonlySet<Digest>,
    options: CompanionOptions,
  ) {
    this.#source = source;
    this.#destination = destination;
    this.#options = options;
    this.#warnings = search.warnings;
    this.outdated = search.outdated;
    const kept: Companion[] = [];
    for (const companion of search.found) {
      const { suffix, subject, manifest } = companion;
      const isKept = destination.companions !== undefined && this.#whyUnsupported(manifest) === undefined;
      if (isKept) kept.push(companion);
      // An image's own can be given to the destination as signatures; whether it takes them it says then.
      if (suffix === "sig" && images.has(subject)) this.#attached.set(subject, companion);
      else if (!isKept) this.#leftBehind++;
    }
    this.#kept = kept;
    if (this.#leftBehind > 0) this.#sayLeftBehind();
  }

  #whyUnsupported(manifest: RawManifest): string | undefined {
    const { mediaType } = parseManifest(manifest.bytes, manifest.declaredMediaType);
    return this.#destination.manifestUnsupported?.(mediaType);
  }

  #sayLeftBehind(): void {
    const count = this.#leftBehind;
    const what = `${count} ${count === 1 ? "artifact" : "artifacts"} (attestations, SBOMs, referrers)`;
    const problem = `${this.#destination.name.text} has no place for ${what} that ${count === 1 ? "belongs" : "belong"} to the image`;
    if (this.#options.companions === "all") {
      throw new StoreError("destination-unsuitable", problem, {
        side: "destination",
        hint: "copy to docker:// or oci:, or without them: --companions signatures",
      });
    }
    this.#warnings.add(`${problem}: left behind`);
  }

  async signaturesFor(manifest: RawManifest, blobs: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const attached = this.#attached.get(nameOf(manifest));
    if (attached === undefined) return blobs;
    const { layers } = parseAttachmentManifest(attached.manifest, "sigstore attachments");
    if (this.#kept.includes(attached)) return blobs.filter((blob) => !isAmong(blob, layers));
    const label = `sigstore attachments of ${nameOf(manifest)}`;
    const read = await readSignatureLayers(layers, label, (layer) => this.#source.blob(layer));
    const added = read.map(({ bytes }) => bytes).filter((bytes) => !blobs.some((blob) => equalBytes(blob, bytes)));
    return [...blobs, ...added];
  }

  async store(): Promise<CompanionResult> {
    let present = 0;
    const counts = { tags: 0, referrers: 0 };
    for (const [subject, companions] of Map.groupBy(this.#kept, (one) => one.subject)) {
      const referrers = companions.filter(({ suffix }) => suffix === undefined);
      counts.referrers += referrers.length;
      counts.tags += companions.length - referrers.length;
      present += await this.#storeReferrers(subject, referrers);
      for (const companion of companions)
        if (companion.suffix !== undefined) present += await this.#storeTagged(companion);
    }
    return { ...counts, present, leftBehind: this.#leftBehind + this.outdated, warnings: [...this.#warnings] };
  }

  /** @returns how many were there already */
  async #storeReferrers(subject: Digest, referrers: readonly Companion[]): Promise<number> {
    if (referrers.length === 0) return 0;
    const there = await this.#destination.companions!.referrersOf(subject);
    const missing = referrers.filter(({ manifest }) => !there.has(nameOf(manifest)));
    for (const companion of missing) await this.#sendContent(companion);
    if (missing.length > 0) {
      await this.#destination.companions!.putReferrers(
        subject,
        missing.map(({ manifest }) => manifest),
      );
    }
    for (const { manifest } of missing) this.#report(manifest);
    return referrers.length - missing.length;
  }

  /** @returns how many were there already: 0 or 1 */
  async #storeTagged(companion: Companion): Promise<number> {
    const { subject, suffix, manifest } = companion;
    await this.#sendContent(companion);
    const outcome = await this.#destination.companions!.putTagged(subject, suffix!, manifest);
    if (outcome === "present") return 1;
    if (outcome === "replaced") {
      this.#warnings.add(`the destination had another .${suffix} for ${subject}, which the source's replaced`);
    }
    this.#report(manifest);
    return 0;
  }

  async #sendContent({ blobs, instances }: Companion): Promise<void> {
    const distinct = new Map(blobs.map((blob) => [blob.digest, blob]));
    const { parallelBlobs, signal } = this.#options;
    await transferBlobs(this.#source, this.#destination, [...distinct.values()], {
      ...(parallelBlobs === undefined ? {} : { parallelBlobs }),
      ...(signal === undefined ? {} : { signal }),
    });
    for (const instance of instances) await this.#destination.putManifest(instance, { instance: true });
  }

  #report(manifest: RawManifest): void {
    this.#options.onProgress?.({ kind: "companion-done", digest: nameOf(manifest) });
  }
}

function isSignatureType(artifactType: string | undefined): boolean {
  return artifactType !== undefined && signatureTypes.some((type) => type.test(artifactType));
}

function subjectOf(parsed: UntrustedManifest): Digest | undefined {
  return parsed.kind === "schema1" ? undefined : parsed.subject?.digest;
}

/** Whether a signature blob is one of these layers. */
function isAmong(blob: Uint8Array, layers: readonly UntrustedDescriptor[]): boolean {
  let parsed: ReturnType<typeof parseSignatureBlob>;
  try {
    parsed = parseSignatureBlob(blob);
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
  if (parsed.format !== "sigstore-json") return false;
  const { mimeType: mediaType, payload, annotations } = parsed;
  const layer = { mediaType, digest: sha256Digest(payload, nodeEngine), size: payload.length, urls: [], annotations };
  return layers.slice(0, MAX_SIGNATURES_PER_MANIFEST).some((one) => isSameLayer(one, layer));
}

/** The digest under which stores keep what belongs to a manifest. */
function nameOf(manifest: RawManifest): Digest {
  return manifest.namedDigest ?? manifest.digest;
}

function tooMuch(problem: string): FormatError {
  return new FormatError("input-too-large", problem);
}
