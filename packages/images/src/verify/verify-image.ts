import { type Digest, type Platform, SignetError, StoreError } from "@signet/core";
import { distinctInstances, instanceFor, readContent, readInstanceContent } from "../copy/manifest-content.ts";
import type { EndpointAttempt, ImageSource, RawManifest } from "../transports/transport.ts";
import { mapBounded } from "./bounded-map.ts";
import { type JudgeOptions, type ManifestVerdict, judgeManifest, makeTrustAnchors } from "./manifest-verdict.ts";

export interface VerifyOptions extends JudgeOptions {
  /** Which instance of a list is judged. Default: that of this process. */
  readonly platform?: Platform;
  /** Judges the list itself and every instance. Default false: the platform's instance alone, as the reference implementation does. */
  readonly all?: boolean;
}

/** What a manifest is to the image: the image itself, an instance of its list, or the list. */
export type ManifestRole = "image" | "instance" | "list";

export interface JudgedManifest {
  readonly role: ManifestRole;
  readonly digest: Digest;
  /** What the list says of an instance. Untrusted text. */
  readonly platform?: Platform;
}

/** How one manifest was judged. */
export type ManifestOutcome =
  | (JudgedManifest & ManifestVerdict & { readonly outcome: "accepted" | "rejected" })
  | (JudgedManifest & { readonly outcome: "undetermined"; readonly error: SignetError });

/** The verdict on an image: accepted when every manifest that was judged is. */
export interface ImageVerdict {
  /** Canonical name with its transport. */
  readonly image: string;
  /** Of the image's own manifest; for a list, the list's. */
  readonly digest: Digest;
  readonly outcome: "accepted" | "rejected";
  /** At least one. `undetermined` is among them only beside a rejection. */
  readonly manifests: readonly ManifestOutcome[];
  /** Where registries.conf let the image be looked for, the place that served it last; absent where its name is the only place. */
  readonly endpoints?: readonly EndpointAttempt[];
}

/** Manifests of one list judged at a time. */
const PARALLEL_MANIFESTS = 4;

/**
 * Judges an image by a policy. Its own manifest is fetched once; the verdict is about the digest of those bytes. Of a list the platform's instance is judged
 * under the list's name, or with `all` the list and every instance.
 *
 * Not checked: layers and config, which are not fetched.
 *
 * @throws StoreError, FormatError, PolicyError, UndeterminedError when it could not be told. With `all`, a rejection of one manifest is an answer even if
 *   another could not be judged
 */
export async function verifyImage(source: ImageSource, options: VerifyOptions): Promise<ImageVerdict> {
  const top = await source.manifest();
  checkAskedDigest(source, top);
  const judging: JudgeOptions = { ...options, trustAnchors: options.trustAnchors ?? makeTrustAnchors(options) };
  const manifests = await judgeAll(source, await selectManifests(source, top, options), judging);
  const endpoints = source.endpoints?.() ?? [];
  return {
    image: source.name.text,
    digest: top.digest,
    outcome: manifests.some(({ outcome }) => outcome === "rejected") ? "rejected" : "accepted",
    manifests,
    ...(endpoints.length === 0 ? {} : { endpoints }),
  };
}

/** One of the manifests that are to be judged. */
export interface SelectedManifest extends Omit<JudgedManifest, "digest"> {
  readonly digest: Digest;
  readonly fetch: () => Promise<RawManifest>;
}

/**
 * The manifests of an image that are judged: itself, or of a list the platform's instance, or with `all` the list and every instance. None is fetched yet.
 * @throws FormatError for a top manifest that cannot be read; StoreError `image-missing` when a list has nothing for the platform
 */
export async function selectManifests(
  source: Pick<ImageSource, "manifest">,
  top: RawManifest,
  options: Pick<VerifyOptions, "platform" | "all">,
): Promise<readonly SelectedManifest[]> {
  const content = readContent(top);
  const own = { digest: top.digest, fetch: async () => top };
  if (content.kind === "image") return [{ role: "image", ...own }];
  const instances =
    options.all === true ? distinctInstances(content.list) : [instanceFor(content.list, options.platform)];
  const selected = instances.map((instance): SelectedManifest => ({
    role: "instance",
    digest: instance.digest,
    ...(instance.platform === undefined ? {} : { platform: instance.platform }),
    fetch: async () => {
      const manifest = await source.manifest(instance.digest);
      readInstanceContent(manifest, instance);
      return manifest;
    },
  }));
  return options.all === true ? [{ role: "list", ...own }, ...selected] : selected;
}

async function judgeAll(
  source: ImageSource,
  selected: readonly SelectedManifest[],
  options: JudgeOptions,
): Promise<readonly ManifestOutcome[]> {
  const outcomes = await mapBounded(
    selected,
    PARALLEL_MANIFESTS,
    async ({ fetch, ...named }): Promise<ManifestOutcome> => {
      try {
        const manifest = await fetch();
        const judged = await judgeManifest(source, manifest, options);
        return { ...named, digest: manifest.digest, ...judged, outcome: judged.verdict.verdict };
      } catch (error) {
        if (!(error instanceof SignetError)) throw error;
        return { ...named, outcome: "undetermined", error };
      }
    },
  );
  if (outcomes.some(({ outcome }) => outcome === "rejected")) return outcomes;
  for (const outcome of outcomes) if (outcome.outcome === "undetermined") throw outcome.error;
  return outcomes;
}

/** A source compares as well; that a name's own digest decides must not hang on one place alone. */
export function checkAskedDigest(
  source: { readonly name: Pick<ImageSource["name"], "text" | "reference"> },
  top: RawManifest,
): void {
  const asked = source.name.reference?.digest;
  if (asked === undefined || asked === top.digest || asked === top.namedDigest) return;
  throw new StoreError(
    "digest-mismatch",
    `${source.name.text}: the manifest that was received has digest ${top.digest}`,
    {
      side: "source",
    },
  );
}
