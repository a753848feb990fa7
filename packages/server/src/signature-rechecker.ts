/** Judges stored signatures again when keys have changed, and from time to time. */
import type { Database } from "./db/database.ts";
import type { ServerLog } from "./http/server-log.ts";
import { recheckSignatures } from "./trust/recheck.ts";
import { KeyringReader, readKeyringVersion } from "./trust/server-keyring.ts";

/** Milliseconds between two looks at the version of the keyring, which another process may have changed: one small read. */
const LOOK_MS = 5_000;
/** Milliseconds between two passes while the keys stay: keys and signatures expire meanwhile. Pulls do not wait for it; they judge by the time they come. */
const PASS_MS = 60 * 60 * 1_000;

/** Rechecks until it is stopped; failures are logged, and the next time comes all the same. */
export class SignatureRechecker {
  readonly #abort = new AbortController();
  readonly #database: Database;
  readonly #now: () => number;
  readonly #log: ServerLog;
  readonly #keyrings = new KeyringReader();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #last: { readonly version: number; readonly at: number } | undefined;

  constructor(database: Database, options: { readonly now: () => number; readonly log: ServerLog }) {
    this.#database = database;
    this.#now = options.now;
    this.#log = options.log;
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
    }, LOOK_MS);
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    try {
      // Read before the pass: keys that change during it are looked at in the next one.
      const version = await readKeyringVersion(this.#database.read);
      const at = this.#now();
      if (this.#last?.version !== version || at - this.#last.at >= PASS_MS) {
        const { signal } = this.#abort;
        const judged = await recheckSignatures(this.#database, { now: this.#now, keyrings: this.#keyrings, signal });
        this.#last = { version, at };
        if (judged > 0) this.#log.info({ judged, keyring: version }, "signatures were judged again");
      }
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#log.error({ err: error }, "judging signatures again failed");
    }
    if (!this.#abort.signal.aborted) this.#wait();
  }
}
