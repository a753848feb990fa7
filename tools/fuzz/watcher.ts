import { Worker } from "node:worker_threads";
import type { FuzzReport } from "./fuzzer.ts";
import type { WorkerTask } from "./worker.ts";

/** Milliseconds without a finished execution after which the input under way counts as a hang. A parse takes microseconds. */
const HANG_MS = 20_000;

/** Octets of shared memory for the input under way. */
const SHARED_BYTES = 8 + 128 * 1024;

/** Megabytes: a parser that needs more for inputs of 64 KiB has lost its limits. */
const MAX_HEAP_MB = 512;

/**
 * Fuzzes one target in a thread of its own, so that a hang or an exhausted heap is a finding and not the end of the run.
 * @returns the report
 * @throws Error with the input for a crash, a hang or an exhausted heap
 */
export async function watchFuzz(target: string, executions: number, seed: number): Promise<FuzzReport> {
  const shared = new SharedArrayBuffer(SHARED_BYTES);
  const task: WorkerTask = { target, executions, seed, shared };
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const header = new Int32Array(shared, 0, 2);
  const inputUnderWay = (): string =>
    Buffer.from(new Uint8Array(shared, 8, Atomics.load(header, 1)).slice()).toString("base64");

  let seen = -1;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<FuzzReport>((resolve, reject) => {
      timer = setInterval(() => {
        const now = Atomics.load(header, 0);
        if (now === seen && now > 0)
          reject(new Error(`${target}: no progress for ${HANG_MS} ms\ninput (base64): ${inputUnderWay()}`));
        seen = now;
      }, HANG_MS);
      worker.once("message", (message: { report?: FuzzReport; finding?: string }) => {
        if (message.report !== undefined) resolve(message.report);
        else reject(new Error(message.finding));
      });
      worker.once("error", (error: Error) =>
        reject(new Error(`${target}: ${error.message}\ninput (base64): ${inputUnderWay()}`, { cause: error })),
      );
      worker.once("exit", (code) => reject(new Error(`${target}: the worker ended with status ${code}`)));
    });
  } finally {
    clearInterval(timer);
    await worker.terminate();
  }
}
