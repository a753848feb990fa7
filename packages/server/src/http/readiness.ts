/** Whether the server can do its work: database and blob store are asked, not assumed. */
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Database } from "../db/database.ts";

/** Milliseconds for which an answer holds: however often anybody asks, the parts are asked once a second at most. */
const KEPT_MS = 1_000;
/** Milliseconds after which a part that does not answer counts as failed. */
const ANSWER_MS = 5_000;

export interface Readiness {
  readonly isReady: boolean;
  /** Parts that failed: `database`, `blobs`, or `draining`. Why is in the log. */
  readonly failed: readonly string[];
}

/** Asks the parts. */
export class ReadinessCheck {
  readonly #parts: Readonly<Record<string, () => Promise<void>>>;
  readonly #onFailure: (part: string, error: unknown) => void;
  #kept: { readonly until: number; readonly result: Promise<Readiness> } | undefined;
  isDraining = false;

  constructor(database: Database, blobs: BlobStore, onFailure: (part: string, error: unknown) => void) {
    this.#parts = { database: () => database.ping(), blobs: () => blobs.ping() };
    this.#onFailure = onFailure;
  }

  async ask(): Promise<Readiness> {
    if (this.isDraining) return { isReady: false, failed: ["draining"] };
    const now = performance.now();
    if (this.#kept === undefined || now >= this.#kept.until) this.#kept = { until: now + KEPT_MS, result: this.#ask() };
    return await this.#kept.result;
  }

  async #ask(): Promise<Readiness> {
    const failed: string[] = [];
    const asked = Object.entries(this.#parts).map(async ([part, ping]) => {
      try {
        await inTime(ping());
      } catch (error) {
        failed.push(part);
        this.#onFailure(part, error);
      }
    });
    await Promise.all(asked);
    return { isReady: failed.length === 0, failed: failed.sort() };
  }
}

async function inTime(work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
