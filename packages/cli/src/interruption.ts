import { type ExitCode, exitCodes } from "./command-line/exit-code.ts";

/** Milliseconds that clean-up may take after Ctrl-C; then the process ends anyway. */
const MAX_CLEAN_UP_MS = 5000;

/**
 * What happens on Ctrl-C, a hang-up or a polite kill: whatever was begun and not finished is taken back, then the process ends. Without anything to take back it
 * ends at once.
 */
export class Interruption {
  readonly #abort: AbortController = new AbortController();
  readonly #cleanUps: Set<() => Promise<unknown>> = new Set();
  #isListening = false;

  /** Aborts when the process is asked to end. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Never settles: for waiting until the process has ended. */
  readonly ended: Promise<never> = new Promise(() => {});

  /**
   * Names what has to be taken back if the process is asked to end. Until somebody does, signals end the process as they do any other.
   * @param cleanUp may be called after the thing was finished or taken back already
   * @returns call it when there is nothing to take back any more
   */
  onInterrupt(cleanUp: () => Promise<unknown>): () => void {
    this.#listen();
    this.#cleanUps.add(cleanUp);
    return () => this.#cleanUps.delete(cleanUp);
  }

  /** Lets `work`, such as the writing of a small file, come to its end before the process does. */
  async finish<T>(work: Promise<T>): Promise<T> {
    const done = this.onInterrupt(() => work);
    try {
      return await work;
    } finally {
      done();
    }
  }

  #listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    const signals = { SIGINT: exitCodes.interrupted, SIGHUP: exitCodes.hungUp, SIGTERM: exitCodes.terminated };
    for (const [name, status] of Object.entries(signals)) {
      process.on(name, () => {
        // Asked twice: now.
        if (this.signal.aborted || this.#cleanUps.size === 0) process.exit(status);
        void this.#end(status);
      });
    }
  }

  async #end(status: ExitCode): Promise<void> {
    this.#abort.abort();
    setTimeout(() => process.exit(status), MAX_CLEAN_UP_MS);
    await Promise.allSettled([...this.#cleanUps].map((cleanUp) => cleanUp()));
    process.exit(status);
  }
}
