import { InternalError, SignetError, UsageError } from "@signet/core";
import { type ImageNameOptions, parseImageName } from "../transports/image-name.ts";
import { type OpenOptions, openImageSource } from "../transports/open.ts";
import type { EndpointAttempt, ImageName } from "../transports/transport.ts";
import { mapBounded } from "./bounded-map.ts";
import { makeTrustAnchors } from "./manifest-verdict.ts";
import { type ImageVerdict, type VerifyOptions, verifyImage } from "./verify-image.ts";

export interface VerifyManyOptions extends VerifyOptions {
  /** How images are opened; docker:// needs `docker`. */
  readonly open?: OpenOptions;
  /** How names are read. */
  readonly names?: ImageNameOptions;
  /** Images judged at a time, 1 to 64. Default 8. */
  readonly jobs?: number;
  /** Called as each image is done, in the order in which they are done. */
  readonly onRow?: (row: ImageRow, index: number) => void;
}

/** One image's outcome. Whatever prevented judging is `undetermined` and never accepted. */
export type ImageRow =
  | ({ /** The name as it was given. */ readonly name: string } & ImageVerdict)
  | {
      readonly name: string;
      readonly outcome: "undetermined";
      readonly error: SignetError;
      /** As in {@link ImageVerdict}; all may have failed. */
      readonly endpoints?: readonly EndpointAttempt[];
    };

/** Images judged at a time: hides the registries' round trips, and is no load on them. */
const DEFAULT_JOBS = 8;

/** More would only queue up at the registries' connection limits. */
const MAX_JOBS = 64;

/**
 * Judges many images, several at a time. Each name is one row, in the order given; an image named twice is fetched and judged once.
 * @throws UsageError `command-line-malformed` for an impossible number of jobs; otherwise never
 */
export async function verifyImages(names: readonly string[], options: VerifyManyOptions): Promise<readonly ImageRow[]> {
  const jobs = options.jobs ?? DEFAULT_JOBS;
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > MAX_JOBS)
    throw new UsageError("command-line-malformed", `jobs must be a whole number from 1 to ${MAX_JOBS}`);
  const verify: VerifyOptions = { ...options, trustAnchors: options.trustAnchors ?? makeTrustAnchors(options) };
  // By canonical name: the same image must not get two answers within one run.
  const judged = new Map<string, Promise<ImageVerdict>>();
  // Places that were tried for an image, by the error that then ended its judging.
  const served = new WeakMap<object, readonly EndpointAttempt[]>();
  return mapBounded(names, jobs, async (name, index): Promise<ImageRow> => {
    let row: ImageRow;
    try {
      const parsed = await parseImageName(name, options.names);
      let verdict = judged.get(parsed.text);
      if (verdict === undefined) {
        verdict = openAndVerify(parsed, options.open ?? {}, verify, served);
        judged.set(parsed.text, verdict);
      }
      row = { name, ...(await verdict) };
    } catch (error) {
      const problem = asSignetError(error);
      const endpoints = served.get(problem) ?? (problem.details["endpoints"] as readonly EndpointAttempt[] | undefined);
      row = { name, outcome: "undetermined", error: problem, ...(endpoints && { endpoints }) };
    }
    options.onRow?.(row, index);
    return row;
  });
}

async function openAndVerify(
  name: ImageName,
  open: OpenOptions,
  verify: VerifyOptions,
  served: WeakMap<object, readonly EndpointAttempt[]>,
): Promise<ImageVerdict> {
  await using source = await openImageSource(name, open);
  try {
    return await verifyImage(source, verify);
  } catch (error) {
    // A place served the image, and what came later failed.
    const endpoints = source.endpoints?.() ?? [];
    if (error instanceof SignetError && endpoints.length > 0) served.set(error, endpoints);
    throw error;
  }
}

function asSignetError(error: unknown): SignetError {
  if (error instanceof SignetError) return error;
  return new InternalError(
    `judging failed in an unforeseen way: ${error instanceof Error ? error.message : String(error)}`,
    {
      cause: error,
    },
  );
}
