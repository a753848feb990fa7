/** One image, fetched once, under as many policies as are asked about. */
import { type Digest, InternalError, SignetError, UsageError } from "@signet/core";
import { distinctInstances, readContent } from "../copy/manifest-content.ts";
import { type OpenOptions, openImageSource } from "../transports/open.ts";
import type { EndpointAttempt, ImageName, ImageSource } from "../transports/transport.ts";
import { type RecentReadings, shareSource } from "./shared-source.ts";
import { type ImageVerdict, type VerifyOptions, verifyImage } from "./verify-image.ts";

/** How an image was judged; whatever prevented judging is `undetermined` and never accepted. */
export type ImageOutcome =
  | ImageVerdict
  | {
      readonly outcome: "undetermined";
      readonly error: SignetError;
      /** As in {@link ImageVerdict}; all may have failed. */
      readonly endpoints?: readonly EndpointAttempt[];
    };

/** Images judged at a time: hides the registries' round trips, and is no load on them. */
const DEFAULT_JOBS = 8;

/** More would only queue up at the registries' connection limits. */
const MAX_JOBS = 64;

/** @throws UsageError `command-line-malformed` for an impossible number of jobs */
export function checkJobs(jobs: number = DEFAULT_JOBS): number {
  if (Number.isInteger(jobs) && jobs >= 1 && jobs <= MAX_JOBS) return jobs;
  throw new UsageError("command-line-malformed", `jobs must be a whole number from 1 to ${MAX_JOBS}`);
}

/** One image under several policies. */
export interface JudgedImage {
  /** One a policy, in their order. */
  readonly outcomes: readonly ImageOutcome[];
  /** The digests that the name stands for: that of its manifest and, for a list where they are wanted, those of its instances. Empty when it could not be read. */
  readonly digests: readonly Digest[];
}

/**
 * Judges one image under each of `policies`. Its manifest and signatures are fetched once; never throws for what an image, registry or store does.
 * @param wantsInstances whether `digests` shall name the instances of a list
 */
export async function judgeUnderPolicies(
  name: ImageName,
  open: OpenOptions,
  policies: readonly VerifyOptions[],
  recent: RecentReadings,
  wantsInstances = false,
): Promise<JudgedImage> {
  try {
    await using source = await openImageSource(name, open);
    const shared = shareSource(source, recent);
    const outcomes: ImageOutcome[] = [];
    for (const policy of policies) {
      // A place may have served the image before something else failed.
      const explain = (error: unknown): ImageOutcome => undetermined(error, shared.endpoints?.());
      outcomes.push(await verifyImage(shared, policy).catch(explain));
    }
    return { outcomes, digests: await readDigests(shared, wantsInstances) };
  } catch (error) {
    return { outcomes: policies.map(() => undetermined(error)), digests: [] };
  }
}

async function readDigests(source: ImageSource, wantsInstances: boolean): Promise<readonly Digest[]> {
  try {
    const manifest = await source.manifest();
    if (!wantsInstances) return [manifest.digest];
    const content = readContent(manifest);
    if (content.kind === "image") return [manifest.digest];
    return [manifest.digest, ...distinctInstances(content.list).map(({ digest }) => digest)];
  } catch (error) {
    if (error instanceof SignetError) return [];
    throw error;
  }
}

/**
 * What was thrown, as an outcome.
 * @param endpoints places that were tried, where the source could still tell; default: those that the error names
 */
export function undetermined(
  error: unknown,
  endpoints: readonly EndpointAttempt[] = [],
): ImageOutcome & { readonly outcome: "undetermined" } {
  if (error instanceof SignetError) {
    const named = error.details["endpoints"] as readonly EndpointAttempt[] | undefined;
    const tried = endpoints.length > 0 ? endpoints : named;
    return { outcome: "undetermined", error, ...(tried === undefined ? {} : { endpoints: tried }) };
  }
  const text = error instanceof Error ? error.message : String(error);
  return {
    outcome: "undetermined",
    error: new InternalError(`judging failed in an unforeseen way: ${text}`, { cause: error }),
  };
}
