/** Runs garbage collection from time to time. */
import type { BlobStore } from "./blobs/blob-store.ts";
import { collectGarbage } from "./content/collection.ts";
import type { Database } from "./db/database.ts";
import type { ServerLog } from "./http/server-log.ts";

/** Milliseconds between two searches of the whole blob store: they list every object, for what only a crash leaves. */
const STRAYS_MS = 24 * 60 * 60 * 1_000;

export interface GarbageCollectorOptions {
  /** Milliseconds between the end of one collection and the beginning of the next. */
  readonly interval: number;
  /** Milliseconds. */
  readonly grace: number;
  readonly now: () => number;
  readonly log: ServerLog;
}

/** Collects until it is stopped; failures are logged, and the next time comes all the same. */
export class GarbageCollector {
  readonly #abort = new AbortController();
  readonly #collect: (withStrays: boolean) => Promise<void>;
  readonly #options: GarbageCollectorOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #straysAt: number | undefined;

  constructor(database: Database, blobs: BlobStore, options: GarbageCollectorOptions) {
    this.#options = options;
    this.#collect = async (withStrays) => {
      const { now, grace, log } = options;
      const signal = this.#abort.signal;
      const collected = await collectGarbage(database, blobs, { now: now(), graceMs: grace, withStrays, signal });
      log.info({ ...collected }, "garbage was collected");
    };
    this.#wait();
  }

  /** Ends what runs at its next step, and waits for that. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#abort.abort();
    await this.#running;
  }

  #wait(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#run();
    }, this.#options.interval);
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    const { now, log } = this.#options;
    const withStrays = this.#straysAt === undefined || now() - this.#straysAt >= STRAYS_MS;
    try {
      await this.#collect(withStrays);
      if (withStrays) this.#straysAt = now();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      log.error({ err: error }, "garbage collection failed");
    }
    if (!this.#abort.signal.aborted) this.#wait();
  }
}
