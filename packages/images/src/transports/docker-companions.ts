/** What belongs to images in a registry: cosign's tags beside them, and referrers. */
import { type Digest, InternalError, OCI_MANIFEST_TYPE, parseManifest } from "@signet/core";
import type { RegistryClient } from "../registry/client.ts";
import { type CompanionSuffix, companionSuffixes, companionTag } from "../registry/companion-tags.ts";
import { readPresent } from "../stores/attachment-store.ts";
import { mergeAttachments } from "../stores/merge-attachments.ts";
import { chunksOf } from "./blob-check.ts";
import type { CompanionListing, CompanionWriter, FoundCompanion, TagOutcome } from "./companion.ts";
import type { RawManifest } from "./transport.ts";

/**
 * Looks for what belongs to a manifest. That takes four requests, or five for the first manifest of a repository whose registry has no referrers API; they run
 * side by side. A manifest that is there comes with the same request that looks for it.
 */
export async function findRegistryCompanions(
  client: RegistryClient,
  repository: string,
  digest: Digest,
): Promise<CompanionListing> {
  const [referrers, ...tagged] = await Promise.all([
    client.listReferrers(repository, digest),
    ...companionSuffixes.map((suffix) => findTagged(client, repository, digest, suffix)),
  ]);
  return {
    companions: [
      ...tagged.filter((one) => one !== undefined),
      ...referrers.referrers.map((listed) => ({ kind: "referrer" as const, listed })),
    ],
    warnings: referrers.warnings,
  };
}

async function findTagged(
  client: RegistryClient,
  repository: string,
  digest: Digest,
  suffix: CompanionSuffix,
): Promise<FoundCompanion | undefined> {
  const tag = companionTag(digest, suffix);
  const manifest = tag === undefined ? undefined : await client.fetchTagged(repository, tag);
  return manifest === undefined ? undefined : { kind: "tag", suffix, tag: tag!, manifest };
}

/**
 * Keeps what belongs to a repository's manifests.
 * @param makeKnown called before anything that refers to a manifest is stored; the manifest should be there then
 */
export function registryCompanions(
  client: RegistryClient,
  repository: string,
  makeKnown: (subject: Digest) => Promise<void>,
): CompanionWriter {
  return new RegistryCompanions(client, repository, makeKnown);
}

class RegistryCompanions implements CompanionWriter {
  readonly #client: RegistryClient;
  readonly #repository: string;
  readonly #makeKnown: (subject: Digest) => Promise<void>;

  constructor(client: RegistryClient, repository: string, makeKnown: (subject: Digest) => Promise<void>) {
    this.#client = client;
    this.#repository = repository;
    this.#makeKnown = makeKnown;
  }

  async referrersOf(subject: Digest): Promise<ReadonlySet<Digest>> {
    const { referrers } = await this.#client.listReferrers(this.#repository, subject);
    return new Set(referrers.map(({ digest }) => digest));
  }

  async putReferrers(subject: Digest, manifests: readonly RawManifest[]): Promise<void> {
    await this.#makeKnown(subject);
    await this.#client.storeReferrers(this.#repository, subject, manifests);
  }

  async putTagged(subject: Digest, suffix: CompanionSuffix, manifest: RawManifest): Promise<TagOutcome> {
    const tag = companionTag(subject, suffix);
    if (tag === undefined) throw new InternalError(`${subject} is too long for a tag`);
    const label = `${this.#client.domain}/${this.#repository}:${tag}`;
    const { mediaType } = parseManifest(manifest.bytes, manifest.declaredMediaType);
    let outcome: TagOutcome = "present";
    await this.#client.updateTag(this.#repository, tag, async (current) => {
      if (current?.digest === manifest.digest) return undefined;
      if (current === undefined || suffix === "sbom") {
        outcome = current === undefined ? "stored" : "replaced";
        return { bytes: manifest.bytes, mediaType };
      }
      const present = await readPresent(this.#client, this.#repository, current, label);
      const merged = mergeAttachments(present, manifest, suffix, label);
      if (merged === undefined) return undefined;
      if (merged.config !== undefined) await this.#putBlob(merged.config);
      outcome = "merged";
      return { bytes: merged.bytes, mediaType: OCI_MANIFEST_TYPE };
    });
    return outcome;
  }

  async #putBlob({ digest, bytes }: { readonly digest: Digest; readonly bytes: Uint8Array }): Promise<void> {
    const descriptor = { digest, size: bytes.length };
    if (!(await this.#client.hasBlob(this.#repository, descriptor)))
      await this.#client.uploadBlob(this.#repository, descriptor, chunksOf(bytes));
  }
}
