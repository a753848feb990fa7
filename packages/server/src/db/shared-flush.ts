/** One flush for all who wait for one. */

/**
 * Lets many wait for bytes to be on disk, with as few flushes as will do: whoever asks while one is under way shares the next.
 *
 * After a flush has failed nobody is told any more that anything is durable: the system may have dropped the bytes and report success the next time.
 */
export class SharedFlush {
  readonly #flush: () => Promise<void>;
  #asked = 0;
  #flushed = 0;
  #running: Promise<void> | undefined;
  #failure: Error | undefined;

  /** @param flush puts on disk all that was written before it was called, or rejects */
  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
  }

  /** What a flush has failed with. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Resolves when a flush that began after this call has succeeded; rejects with what the first failed one threw. */
  async wait(): Promise<void> {
    this.#asked += 1;
    const mine = this.#asked;
    while (this.#flushed < mine) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#running ??= this.#run();
      await this.#running;
    }
  }

  async #run(): Promise<void> {
    const asked = this.#asked;
    try {
      await this.#flush();
      this.#flushed = asked;
    } catch (error) {
      this.#failure = error as Error;
    } finally {
      this.#running = undefined;
    }
  }
}
