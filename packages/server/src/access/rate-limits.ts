/** Token buckets: so many at once, so many a second for ever. */
import { LRUCache } from "lru-cache";

export interface RateLimit {
  /** What a key that was quiet may take at once; at least 1. */
  readonly burst: number;
  /** What comes back each second; more than 0. */
  readonly perSecond: number;
}

export interface RateLimiter {
  /**
   * Takes one from the bucket of `key`.
   * @param now milliseconds; a clock that goes back gives nothing
   * @returns 0 when it was there, else the whole seconds after which it will be (for `Retry-After`); then nothing was taken
   */
  take(key: string, now: number): number;
  /** What {@link take} would return, with nothing taken. */
  ask(key: string, now: number): number;
}

interface Bucket {
  level: number;
  filledAt: number;
}

/** Keys remembered: 100,000 are about 20 MB. Whoever is forgotten starts with a full bucket, so that forgetting never refuses anybody. */
const MAX_KEYS = 100_000;

/**
 * A limiter of its own memory: it holds for this process alone, since a limit that waits for a database would cost more than it saves.
 * What must hold for every replica (lock-out) is counted in the database.
 */
export function makeRateLimiter(limit: RateLimit, maxKeys: number = MAX_KEYS): RateLimiter {
  const buckets = new LRUCache<string, Bucket>({ max: maxKeys });
  const levelOf = (bucket: Bucket | undefined, now: number): number =>
    bucket === undefined
      ? limit.burst
      : Math.min(limit.burst, bucket.level + (Math.max(0, now - bucket.filledAt) * limit.perSecond) / 1_000);
  const wait = (level: number): number => (level >= 1 ? 0 : Math.ceil((1 - level) / limit.perSecond));
  return {
    ask: (key, now) => wait(levelOf(buckets.get(key), now)),
    take(key, now) {
      const bucket = buckets.get(key);
      const level = levelOf(bucket, now);
      const seconds = wait(level);
      if (seconds === 0) {
        buckets.set(key, { level: level - 1, filledAt: Math.max(now, bucket?.filledAt ?? now) });
      }
      return seconds;
    },
  };
}
