/**
 * What belongs to images in an OCI layout: cosign's tags as names in `index.json`, and manifests with a `subject` that `index.json` or a referrers tag in it lists
 * (image-spec 1.1, image-layout; distribution specification 1.1, "Referrers Tag Schema").
 */
import {
  type Digest,
  FormatError,
  OCI_INDEX_TYPE,
  StoreError,
  type UntrustedReferrer,
  describeReferrer,
  parseManifest,
  parseReferrers,
} from "@signet/core";
import { type CompanionSuffix, companionSuffixes, companionTag, referrersTag } from "../registry/companion-tags.ts";
import type { PresentAttachments } from "../stores/attachment-manifest.ts";
import { mergeAttachments } from "../stores/merge-attachments.ts";
import type { CompanionListing, CompanionWriter, FoundCompanion, TagOutcome } from "./companion.ts";
import type { IndexEntry } from "./oci-index.ts";
import { isLayoutManifest, makeIndexEntry } from "./oci-manifest.ts";
import type { RawManifest } from "./transport.ts";

/** Manifests of one layout that are looked into for their subject; each is a file. */
const MAX_LOOKED_INTO = 10_000;

/** Finds what belongs to the manifests of one layout. The layout is gone through once. */
export class LayoutCompanions {
  readonly #entries: readonly IndexEntry[];
  readonly #read: (entry: IndexEntry) => Promise<RawManifest>;
  readonly #location: string;
  #bySubject: Promise<Subjects> | undefined;

  /** @param read fetches a manifest that `index.json` lists, checking its digest; fails with `image-missing` when its file is not there */
  constructor(entries: readonly IndexEntry[], read: (entry: IndexEntry) => Promise<RawManifest>, location: string) {
    this.#entries = entries;
    this.#read = read;
    this.#location = location;
  }

  async find(digest: Digest): Promise<CompanionListing> {
    const companions: FoundCompanion[] = [];
    for (const suffix of companionSuffixes) {
      const tag = companionTag(digest, suffix);
      const entry = tag === undefined ? undefined : this.#named(tag);
      if (entry !== undefined) companions.push({ kind: "tag", suffix, tag: tag!, manifest: await this.#read(entry) });
    }
    const { referrers, warnings } = await (this.#bySubject ??= this.#lookForSubjects());
    const listed = new Map((referrers.get(digest) ?? []).map((one) => [one.digest, one]));
    for (const one of await this.#listedByTag(digest)) if (!listed.has(one.digest)) listed.set(one.digest, one);
    for (const one of listed.values()) companions.push({ kind: "referrer", listed: one });
    return { companions, warnings };
  }

  async #listedByTag(digest: Digest): Promise<readonly UntrustedReferrer[]> {
    const tag = referrersTag(digest);
    const entry = this.#named(tag);
    if (entry?.mediaType !== OCI_INDEX_TYPE) return [];
    return parseReferrers((await this.#read(entry)).bytes, `${this.#location}: ${tag}`);
  }

  /** @throws FormatError `image-malformed` when the name stands for several manifests */
  #named(tag: string): IndexEntry | undefined {
    const named = this.#entries.filter(({ refName }) => refName === tag);
    if (named.some(({ digest }) => digest !== named[0]!.digest))
      throw new FormatError("image-malformed", `${this.#location}: several manifests are called ${tag}`);
    return named[0];
  }

  async #lookForSubjects(): Promise<Subjects> {
    const referrers = new Map<Digest, UntrustedReferrer[]>();
    const warnings: string[] = [];
    if (this.#entries.length > MAX_LOOKED_INTO) {
      throw new StoreError(
        "image-missing",
        `${this.#location}: more than ${MAX_LOOKED_INTO} manifests; which of them refer to the image cannot be told`,
        { side: "source", hint: "use a smaller layout, or copy without what refers to the image: --companions none" },
      );
    }
    for (const entry of this.#entries) {
      if (!isLayoutManifest(entry.mediaType)) continue;
      const found = await this.#subjectOf(entry);
      if (typeof found === "string") warnings.push(found);
      else if (found !== undefined)
        referrers.set(found.subject, [...(referrers.get(found.subject) ?? []), found.referrer]);
    }
    return { referrers, warnings };
  }

  /** A manifest of another image may be damaged or missing: that is said, and this image can be read all the same. */
  async #subjectOf(
    entry: IndexEntry,
  ): Promise<{ readonly subject: Digest; readonly referrer: UntrustedReferrer } | string | undefined> {
    try {
      const manifest = await this.#read(entry);
      const parsed = parseManifest(manifest.bytes, manifest.declaredMediaType);
      if (parsed.kind === "schema1" || parsed.subject === undefined) return undefined;
      return { subject: parsed.subject.digest, referrer: describeReferrer(parsed, entry.digest) };
    } catch (error) {
      const isMissing = error instanceof StoreError && error.code === "image-missing";
      if (!isMissing && !(error instanceof FormatError)) throw error;
      return `it cannot be told what ${entry.digest} refers to: ${error.message}`;
    }
  }
}

interface Subjects {
  readonly referrers: ReadonlyMap<Digest, readonly UntrustedReferrer[]>;
  readonly warnings: readonly string[];
}

/** What a layout destination lends to the writer of companions. */
export interface CompanionStage {
  /** For messages. */
  readonly location: string;
  putManifest(manifest: RawManifest): Promise<void>;
  putBlob(digest: Digest, bytes: Uint8Array): Promise<void>;
  /** What the layout has under a name already. */
  named(tag: string): Promise<(PresentAttachments & { readonly digest: Digest }) | undefined>;
}

/** Keeps what belongs to an image in a layout: staged with it, and named in `index.json` when the destination commits. */
export class StagedCompanions implements CompanionWriter {
  readonly entries: IndexEntry[] = [];
  readonly #stage: CompanionStage;

  constructor(stage: CompanionStage) {
    this.#stage = stage;
  }

  /** What is there is found blob by blob. */
  async referrersOf(): Promise<ReadonlySet<Digest>> {
    return new Set();
  }

  async putReferrers(_subject: Digest, manifests: readonly RawManifest[]): Promise<void> {
    for (const manifest of manifests) {
      await this.#stage.putManifest(manifest);
      const { mediaType, digest, size, artifactType } = describeReferrer(
        parseManifest(manifest.bytes, manifest.declaredMediaType),
        manifest.namedDigest ?? manifest.digest,
      );
      const type = artifactType === undefined ? {} : { artifactType };
      this.entries.push({ mediaType, digest, size, refName: undefined, ...type });
    }
  }

  async putTagged(subject: Digest, suffix: CompanionSuffix, manifest: RawManifest): Promise<TagOutcome> {
    const tag = companionTag(subject, suffix)!;
    const present = await this.#stage.named(tag);
    if (present?.digest === manifest.digest) return "present";
    if (present === undefined || suffix === "sbom") {
      await this.#put(manifest, tag);
      return present === undefined ? "stored" : "replaced";
    }
    const merged = mergeAttachments(present, manifest, suffix, `${this.#stage.location}: ${tag}`);
    if (merged === undefined) return "present";
    if (merged.config !== undefined) await this.#stage.putBlob(merged.config.digest, merged.config.bytes);
    await this.#put({ bytes: merged.bytes, digest: merged.digest, declaredMediaType: undefined }, tag);
    return "merged";
  }

  async #put(manifest: RawManifest, tag: string): Promise<void> {
    await this.#stage.putManifest(manifest);
    this.entries.push(makeIndexEntry(manifest, tag));
  }
}
