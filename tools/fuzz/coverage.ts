import { type Profiler, Session } from "node:inspector";

/** Tells whether an execution reached code that none before it had reached, by V8's own block coverage. */
export interface CoverageProbe extends Disposable {
  /** Number of blocks first reached since the last call. */
  takeNew(): number;
  /** Blocks reached so far. */
  readonly total: number;
}

/** @param watched only scripts whose URL holds this text count, such as `packages/core/src/` */
export function startCoverage(watched: string): CoverageProbe {
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  const seen = new Set<string>();
  return {
    takeNew() {
      let fresh = 0;
      // In-process sessions answer synchronously.
      session.post(
        "Profiler.takePreciseCoverage",
        (error: Error | null, answer: Profiler.TakePreciseCoverageReturnType) => {
          if (error !== null) throw error;
          for (const script of answer.result) {
            if (!script.url.includes(watched)) continue;
            for (const { ranges } of script.functions) {
              for (const { startOffset, endOffset, count } of ranges) {
                if (count === 0) continue;
                // The order of magnitude of the count tells loops apart, as AFL's buckets do.
                const place = `${script.scriptId}:${startOffset}:${endOffset}:${Math.min(6, Math.floor(Math.log2(count)))}`;
                if (!seen.has(place)) {
                  seen.add(place);
                  fresh++;
                }
              }
            }
          }
        },
      );
      return fresh;
    },
    get total() {
      return seen.size;
    },
    [Symbol.dispose]() {
      session.post("Profiler.stopPreciseCoverage");
      session.disconnect();
    },
  };
}
