import type { SignetError } from "@signet/core";
import { type ImageNameOptions, parseImageName } from "../transports/image-name.ts";
import type { OpenOptions } from "../transports/open.ts";
import type { EndpointAttempt } from "../transports/transport.ts";
import { mapBounded } from "./bounded-map.ts";
import {
  type ImageOutcome,
  type JudgedImage,
  checkJobs,
  judgeUnderPolicies,
  undetermined,
} from "./judge-under-policies.ts";
import { makeTrustAnchors } from "./manifest-verdict.ts";
import { RecentReadings } from "./shared-source.ts";
import type { ImageVerdict, VerifyOptions } from "./verify-image.ts";

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

/**
 * Judges many images, several at a time. Each name is one row, in the order given; an image named twice is fetched and judged once. All rows are kept with all
 * their evidence; for thousands of images see `simulateImages`.
 * @throws UsageError `command-line-malformed` for an impossible number of jobs; otherwise never
 */
export async function verifyImages(names: readonly string[], options: VerifyManyOptions): Promise<readonly ImageRow[]> {
  const jobs = checkJobs(options.jobs);
  const verify: VerifyOptions = { ...options, trustAnchors: options.trustAnchors ?? makeTrustAnchors(options) };
  const recent = new RecentReadings();
  // By canonical name: the same image must not get two answers within one run.
  const judged = new Map<string, Promise<JudgedImage>>();
  return mapBounded(names, jobs, async (name, index): Promise<ImageRow> => {
    let outcome: ImageOutcome;
    try {
      const parsed = await parseImageName(name, options.names);
      let image = judged.get(parsed.text);
      if (image === undefined) {
        image = judgeUnderPolicies(parsed, options.open ?? {}, [verify], recent);
        judged.set(parsed.text, image);
      }
      outcome = (await image).outcomes[0]!;
    } catch (error) {
      outcome = undetermined(error);
    }
    const row = { name, ...outcome };
    options.onRow?.(row, index);
    return row;
  });
}
