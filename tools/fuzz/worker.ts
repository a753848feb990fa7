import { parentPort, workerData } from "node:worker_threads";
import { FuzzFinding, fuzz } from "./fuzzer.ts";
import { findTarget } from "./targets.ts";

/** What the watcher hands over: the target, and memory in which the input under way can be seen even while it hangs. */
export interface WorkerTask {
  readonly target: string;
  readonly executions: number;
  readonly seed: number;
  /** Int32 count of executions, Int32 length, then the input's octets. */
  readonly shared: SharedArrayBuffer;
}

const task = workerData as WorkerTask;
const header = new Int32Array(task.shared, 0, 2);
const window = new Uint8Array(task.shared, 8);

try {
  const report = await fuzz(findTarget(task.target), {
    executions: task.executions,
    seed: task.seed,
    announce: (input) => {
      window.set(input.length > window.length ? input.subarray(0, window.length) : input);
      Atomics.store(header, 1, Math.min(input.length, window.length));
      Atomics.add(header, 0, 1);
    },
  });
  parentPort!.postMessage({ report });
} catch (error) {
  parentPort!.postMessage({ finding: error instanceof FuzzFinding ? error.message : String(error) });
}
