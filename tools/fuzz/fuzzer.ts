import { InternalError, SignetError } from "@signet/core";
import { startCoverage } from "./coverage.ts";
import { mutate } from "./mutator.ts";
import { makeSeededRandom } from "@signet/testkit";

/** One parser under test. */
export interface FuzzTarget {
  readonly name: string;
  /** Valid and nearly valid documents to start from. */
  readonly seeds: readonly Uint8Array[];
  /** Pieces of the format worth splicing in. */
  readonly words: readonly Uint8Array[];
  /** So many times slower than most is one execution: a run of equal time has that many fewer. Default 1. */
  readonly cost?: number;
  /** Parses `bytes`. It may throw a `SignetError`, and nothing else. */
  run(bytes: Uint8Array): void | Promise<void>;
}

export interface FuzzOptions {
  readonly executions: number;
  readonly seed: number;
  /** Called before each execution, so that a watcher can save an input that hangs. */
  readonly announce?: (input: Uint8Array) => void;
}

export interface FuzzReport {
  readonly executions: number;
  readonly corpus: number;
  readonly blocks: number;
  readonly parsed: number;
}

/** Thrown for an input that makes a parser fail in a way of its own. */
export class FuzzFinding extends Error {
  readonly input: Uint8Array;
  constructor(target: string, input: Uint8Array, cause: unknown) {
    super(
      `${target}: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}\ninput (base64): ${Buffer.from(input).toString("base64")}`,
      { cause },
    );
    this.input = input;
  }
}

/** Executions between two looks at coverage: a look costs about as much as ten executions, and all inputs of a batch count as the ones that reached new code. */
const COVERAGE_BATCH = 8;

/** One mutation in this many starts from a seed again, so that a corpus of deep failures does not crowd out what parses. */
const SEED_SHARE = 3;

/** Inputs kept; the newest ones are the deepest. */
const MAX_CORPUS = 4_000;

/**
 * Runs `target` on mutations of its seeds; a batch that reaches new code puts its inputs, one by one checked, into the corpus.
 * @throws FuzzFinding at the first input that does anything but parse or throw a `SignetError`
 */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzReport> {
  const random = makeSeededRandom(options.seed);
  using coverage = startCoverage("/packages/");
  const corpus = [...target.seeds];
  let parsed = 0;
  const execute = async (input: Uint8Array): Promise<void> => {
    options.announce?.(input);
    try {
      const pending = target.run(input);
      if (pending !== undefined) await pending;
      parsed++;
    } catch (error) {
      if (!(error instanceof SignetError) || error instanceof InternalError)
        throw new FuzzFinding(target.name, input, error);
    }
  };
  for (const seed of target.seeds) await execute(seed);
  coverage.takeNew();

  let executions = target.seeds.length;
  while (executions < options.executions) {
    const batch: Uint8Array[] = [];
    for (let i = 0; i < COVERAGE_BATCH; i++) {
      const start = random.pick(random.integer(SEED_SHARE) === 0 ? target.seeds : corpus);
      const input = mutate(start, corpus, target.words, random);
      await execute(input);
      batch.push(input);
    }
    executions += batch.length;
    if (coverage.takeNew() === 0) continue;
    // Which one it was cannot be told without running each again against a fresh map; keeping the batch is cheaper and does no harm.
    for (const input of batch) corpus.push(input);
    if (corpus.length > MAX_CORPUS) corpus.splice(target.seeds.length, corpus.length - MAX_CORPUS);
  }
  return { executions, corpus: corpus.length, blocks: coverage.total, parsed };
}
