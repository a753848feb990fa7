/** What refers to a manifest: the referrers API of the distribution specification 1.1, and the tag that stands in for it. */
import {
  type Digest,
  FormatError,
  OCI_INDEX_TYPE,
  StoreError,
  type UntrustedReferrer,
  claimedMediaType,
  describeReferrer,
  parseManifest,
  parseReferrers,
  writeReferrers,
} from "@signet/core";
import type { RawManifest } from "../transports/transport.ts";
import { referrersTag } from "./companion-tags.ts";
import { MAX_REFERRERS, MAX_REFERRERS_PAGES, MAX_REFERRERS_PAGE_BYTES } from "./limits.ts";
import { type ManifestName, fetchManifest, fetchTagged, manifestLabel, storeManifest } from "./manifests.ts";
import { saysManifestMissing } from "./missing-manifest.ts";
import { nextPage } from "./next-page.ts";
import type { RegistrySession, SessionDocument } from "./session.ts";
import { updateTag } from "./tag-update.ts";

export interface ReferrersOptions {
  /** Only those of this type. Registries may pass that over, so it is applied here as well. */
  readonly artifactType?: string;
  /** The referrers API is known to be missing here: only the tag is asked for. Default false. */
  readonly tagOnly?: boolean;
}

/** The referrers of one manifest. */
export interface ReferrerList {
  /** Each digest once, in the registry's order. That they really refer to the manifest is for whoever fetches them to check. */
  readonly referrers: readonly UntrustedReferrer[];
  /** What listed them. */
  readonly from: "api" | "tag";
  readonly warnings: readonly string[];
}

/** Statuses with which registries that do not know the referrers API turn it away: no such route, or taken for another one. */
const unknownRoute: ReadonlySet<number> = new Set([400, 404, 405, 406, 501]);

/**
 * Lists what refers to a manifest. A registry without the referrers API is asked for the tag that its clients keep in place of it. An empty list means that the registry
 * said there is nothing, also of a manifest that it does not have.
 *
 * @throws StoreError `registry-…` when it cannot be told; FormatError `input-too-large` for more than {@link MAX_REFERRERS}, `manifest-malformed`
 * Source: distribution specification 1.1, "Listing Referrers" and "Referrers Tag Schema"
 */
export async function listReferrers(
  session: RegistrySession,
  repository: string,
  digest: Digest,
  options: ReferrersOptions = {},
): Promise<ReferrerList> {
  const listed = options.tagOnly === true ? undefined : await listByApi(session, repository, digest, options);
  const { referrers, warnings } = listed ?? (await listByTag(session, repository, digest));
  const distinct = new Map(referrers.map((referrer) => [referrer.digest, referrer]));
  if (distinct.size > MAX_REFERRERS) throw tooMany(session, repository, { digest });
  const { artifactType } = options;
  return {
    referrers: [...distinct.values()].filter(
      (referrer) => artifactType === undefined || referrer.artifactType === artifactType,
    ),
    from: listed === undefined ? "tag" : "api",
    warnings,
  };
}

type Listing = Pick<ReferrerList, "referrers" | "warnings">;

/** Undefined when the registry does not know the API. */
async function listByApi(
  session: RegistrySession,
  repository: string,
  digest: Digest,
  { artifactType }: ReferrersOptions,
): Promise<Listing | undefined> {
  const what = `referrers of ${manifestLabel(session, repository, { digest })}`;
  const referrers: UntrustedReferrer[] = [];
  const query = artifactType === undefined ? "" : `?${new URLSearchParams({ artifactType }).toString()}`;
  let path: string | undefined = `/v2/${repository}/referrers/${digest}${query}`;
  for (let page = 0; path !== undefined; page++) {
    if (page >= MAX_REFERRERS_PAGES) {
      throw new StoreError("registry-error", `${what}: more than ${MAX_REFERRERS_PAGES} pages`, { side: "source" });
    }
    let document: SessionDocument;
    try {
      document = await session.read(
        {
          method: "GET",
          path,
          access: [{ repository, actions: "pull" }],
          headers: { accept: OCI_INDEX_TYPE },
          expect: [200],
          what,
        },
        MAX_REFERRERS_PAGE_BYTES,
      );
    } catch (error) {
      if (page === 0 && error instanceof StoreError && unknownRoute.has(error.status ?? 0)) return undefined;
      throw error;
    }
    const { answer, bytes } = document;
    // Some registries answer a page of their own for every path they do not know.
    if (page === 0 && claimedMediaType(answer.header("content-type")) !== OCI_INDEX_TYPE) return undefined;
    referrers.push(...parseReferrers(bytes, what));
    if (referrers.length > MAX_REFERRERS) throw tooMany(session, repository, { digest });
    path = nextPage(answer.headerLines("link"), answer.url, session.registry, what);
  }
  return { referrers, warnings: [] };
}

async function listByTag(session: RegistrySession, repository: string, digest: Digest): Promise<Listing> {
  const tag = referrersTag(digest);
  const version = await fetchTagged(session, repository, tag);
  if (version === undefined) return { referrers: [], warnings: [] };
  const what = manifestLabel(session, repository, { tag });
  const { bytes, declaredMediaType } = version.manifest;
  if (claimedMediaType(declaredMediaType) !== OCI_INDEX_TYPE) {
    return { referrers: [], warnings: [`${what} is no list of referrers, though it has the name of one`] };
  }
  return { referrers: parseReferrers(bytes, what), warnings: [] };
}

/**
 * Stores manifests that refer to `subject`, whose blobs are there already. A registry that lists referrers itself says so in its answer; for any other the tag
 * that stands in for the list is brought up to date, see {@link updateTag} for what is guaranteed then.
 *
 * Not checked: that the manifests have that subject.
 * @throws StoreError; FormatError `manifest-malformed` when the tag names something that is no list
 */
export async function storeReferrers(
  session: RegistrySession,
  repository: string,
  subject: Digest,
  manifests: readonly RawManifest[],
): Promise<void> {
  const unlisted: UntrustedReferrer[] = [];
  for (const manifest of manifests) {
    const parsed = parseManifest(manifest.bytes, manifest.declaredMediaType);
    const digest = manifest.namedDigest ?? manifest.digest;
    const stored = await storeManifest(session, repository, { digest }, manifest.bytes, parsed.mediaType);
    if (stored.subject === undefined) unlisted.push(describeReferrer(parsed, digest));
  }
  if (unlisted.length > 0) await changeReferrersTag(session, repository, subject, { add: unlisted });
}

/** Changes of a list of referrers. */
interface ListChange {
  readonly add?: readonly UntrustedReferrer[];
  readonly remove?: ReadonlySet<Digest>;
}

/**
 * Adds to and takes from the tag that stands in for a list of referrers. Entries that others put there stay as they are, but for those whose manifests are gone, should the
 * registry refuse the list because of them.
 * @returns whether something was written
 */
export async function changeReferrersTag(
  session: RegistrySession,
  repository: string,
  subject: Digest,
  change: ListChange,
): Promise<boolean> {
  try {
    return await updateList(session, repository, subject, change);
  } catch (error) {
    if (!(error instanceof StoreError) || error.details["registryCode"] !== "MANIFEST_BLOB_UNKNOWN") throw error;
    const gone = await findGone(session, repository, subject);
    if (gone.size === 0) throw error;
    return await updateList(session, repository, subject, {
      ...change,
      remove: new Set([...(change.remove ?? []), ...gone]),
    });
  }
}

async function updateList(
  session: RegistrySession,
  repository: string,
  subject: Digest,
  change: ListChange,
): Promise<boolean> {
  const tag = referrersTag(subject);
  const what = manifestLabel(session, repository, { tag });
  return await updateTag(session, repository, tag, async (current) => {
    if (current === undefined && (change.add ?? []).length === 0) return undefined;
    if (current !== undefined && claimedMediaType(current.declaredMediaType) !== OCI_INDEX_TYPE) {
      throw new FormatError("manifest-malformed", `${what} is no list of referrers, though it has the name of one`, {
        hint: "remove that tag, or copy without what refers to the image: --companions none",
      });
    }
    const bytes = writeReferrers(current?.bytes, change, what);
    return bytes === undefined ? undefined : { bytes, mediaType: OCI_INDEX_TYPE };
  });
}

/** Entries of a list whose manifests somebody deleted. */
async function findGone(session: RegistrySession, repository: string, subject: Digest): Promise<ReadonlySet<Digest>> {
  const gone = new Set<Digest>();
  for (const { digest } of (await listByTag(session, repository, subject)).referrers) {
    try {
      await fetchManifest(session, repository, { digest });
    } catch (error) {
      if (!saysManifestMissing(error)) throw error;
      gone.add(digest);
    }
  }
  return gone;
}

function tooMany(session: RegistrySession, repository: string, name: ManifestName): FormatError {
  return new FormatError(
    "input-too-large",
    `${manifestLabel(session, repository, name)}: more than ${MAX_REFERRERS} referrers`,
    { hint: "no image has that many; ask whoever runs the registry" },
  );
}
