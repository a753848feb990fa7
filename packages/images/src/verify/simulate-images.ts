/** Many images under a policy that is not in force yet: judged as they come, with a few hundred bytes kept of each. */
import { parseImageName } from "../transports/image-name.ts";
import type { OpenOptions } from "../transports/open.ts";
import type { InventoryImage } from "../inventory/inventory.ts";
import type { ImageName } from "../transports/transport.ts";
import { forEachBounded } from "./bounded-map.ts";
import { type JudgedImage, checkJobs, judgeUnderPolicies, undetermined } from "./judge-under-policies.ts";
import { makeTrustAnchors } from "./manifest-verdict.ts";
import { RecentReadings } from "./shared-source.ts";
import { type SimulatedRow, type SimulatedVerdict, simulatedVerdict } from "./simulated-row.ts";
import type { VerifyOptions } from "./verify-image.ts";

export interface SimulationOptions {
  /** The policy that is not in force yet. */
  readonly next: VerifyOptions;
  /** The policy it is compared with. Default: none. */
  readonly present?: VerifyOptions;
  /** How images are opened; docker:// needs `docker`. */
  readonly open: OpenOptions;
  /** Images judged at a time, 1 to 64. Default 8. */
  readonly jobs?: number;
  /** Positions that need not be judged, since their rows are known. */
  readonly isKnown?: (index: number) => boolean;
  /** Takes each row as it is done; the next image is begun when it has. */
  readonly onRow: (row: SimulatedRow, index: number) => void | Promise<void>;
  /** When it aborts, no further image is begun. */
  readonly signal?: AbortSignal;
}

/**
 * Judges every image of an inventory under one policy or two. Each is fetched once; a manifest that several tags name, its signatures, and key files are read once.
 * Rows come in the order in which they are done, and nothing of an image is kept after its row was handed over.
 *
 * @throws UsageError `command-line-malformed` for an impossible number of jobs; what `onRow` throws. What prevents judging an image is in its row
 */
export async function simulateImages(images: readonly InventoryImage[], options: SimulationOptions): Promise<void> {
  const jobs = checkJobs(options.jobs);
  const sides = options.present === undefined ? [options.next] : [options.next, options.present];
  const policies = sides.map((side) => ({ ...side, trustAnchors: side.trustAnchors ?? makeTrustAnchors(side) }));
  const recent = new RecentReadings();
  const verdicts = new SharedVerdicts();
  const todo = function* (): Generator<readonly [number, InventoryImage]> {
    for (const entry of images.entries()) if (options.isKnown?.(entry[0]) !== true) yield entry;
  };
  await forEachBounded(
    todo(),
    jobs,
    async ([index, image]) => {
      const row = await simulateImage(image, policies, options.open, recent, verdicts);
      await options.onRow(row, index);
    },
    options.signal,
  );
}

async function simulateImage(
  image: InventoryImage,
  policies: readonly VerifyOptions[],
  open: OpenOptions,
  recent: RecentReadings,
  verdicts: SharedVerdicts,
): Promise<SimulatedRow> {
  let name: ImageName | undefined;
  let judged: JudgedImage;
  try {
    if (image.problem !== undefined) throw image.problem;
    name = await parseImageName(image.name);
    judged = await judgeUnderPolicies(name, open, policies, recent, image.running.length > 0);
  } catch (error) {
    judged = { outcomes: policies.map(() => undetermined(error)), digests: [] };
  }
  const { outcomes, digests } = judged;
  const [next, present] = outcomes.map((outcome, index) =>
    verdicts.share(simulatedVerdict(outcome, policies[index]!.policy, name)),
  );
  const known: readonly string[] = digests;
  return {
    digest: digests[0] ?? null,
    next: next!,
    present: present ?? null,
    runsOther: known.length === 0 ? none : image.running.filter((digest) => !known.includes(digest)),
  };
}

const none: readonly string[] = Object.freeze([]);

/** Different verdicts that are kept for sharing. A fleet has a few hundred: scopes times signers times reasons. */
const MAX_SHARED = 1000;

/**
 * Most images of a fleet are judged alike, by the same key in the same scope: equal verdicts become one object. Each is made anew from its JSON, so that it holds on
 * to nothing of the evidence that it was cut out of.
 */
class SharedVerdicts {
  readonly #verdicts = new Map<string, SimulatedVerdict>();

  share(verdict: SimulatedVerdict): SimulatedVerdict {
    const json = JSON.stringify(verdict);
    const known = this.#verdicts.get(json);
    if (known !== undefined) return known;
    const own = JSON.parse(json) as SimulatedVerdict;
    if (this.#verdicts.size < MAX_SHARED) this.#verdicts.set(json, own);
    return own;
  }
}
