import { StoreError } from "@signet/core";
import { FIRST_RETRY_MS, MAX_RETRY_WAIT_MS } from "./limits.ts";

/** Time and chance, injected so that tests need neither. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
}

export interface RetryPolicy {
  /** Further attempts after the first. */
  readonly times: number;
  readonly clock: Clock;
  /** From 0 (included) to 1 (excluded). */
  readonly random: () => number;
  /** Milliseconds since the epoch after which no attempt is started any more. */
  readonly deadline?: number;
  /** Which of the retryable errors may be tried again. Default all; a request that changes something is asked twice only if it was turned away at the door. */
  readonly mayRetry?: (error: StoreError) => boolean;
}

/**
 * Runs `attempt` until it succeeds, fails for good, or no attempts or time are left; then the last error is thrown. Only a StoreError that says `retryable`
 * is tried again. Waits grow by two with up to half of each left to chance, so that many clients do not come back together; a server's `Retry-After`
 * (`details.retryAfterMs`) takes precedence. No wait is longer than a minute.
 */
export async function withRetries<T>(policy: RetryPolicy, attempt: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof StoreError) || !error.retryable || failures >= policy.times) throw error;
      if (policy.mayRetry?.(error) === false) throw error;
      await waitBeforeRetry(policy, error, failures);
    }
  }
}

/**
 * Waits as long as `error` or the number of `failures` before it asks for.
 * @throws the error itself when the deadline would pass meanwhile
 */
export async function waitBeforeRetry(policy: RetryPolicy, error: StoreError, failures: number): Promise<void> {
  const wait = retryWait(error, failures, policy.random);
  if (policy.deadline !== undefined && policy.clock.now() + wait >= policy.deadline) throw error;
  await policy.clock.sleep(wait);
}

function retryWait(error: StoreError, failures: number, random: () => number): number {
  const asked = error.details["retryAfterMs"];
  if (typeof asked === "number") return Math.min(asked, MAX_RETRY_WAIT_MS);
  const whole = Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_WAIT_MS);
  return Math.round(whole * (1 - random() / 2));
}

/**
 * Milliseconds that a `Retry-After` header asks for (RFC 9110, section 10.2.3): seconds or a date. Undefined when there is none or it cannot be read.
 * @param now milliseconds since the epoch
 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Only the one date form that senders may still produce; Date.parse alone would take almost anything.
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
