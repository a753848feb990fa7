/** A clock that only moves when told to; `sleep` moves it at once and remembers how long was asked for. */
export interface FakeClock {
  /** Milliseconds since the epoch. */
  now(): number;
  advance(milliseconds: number): void;
  /** Resolves in the next turn of the event loop, with the clock moved on. */
  sleep(milliseconds: number): Promise<void>;
  /** Every duration given to `sleep`, in order. */
  readonly slept: readonly number[];
}

/** @param start milliseconds since the epoch, or a date text; default 2026-01-01T00:00:00Z */
export function makeFakeClock(start: number | string = "2026-01-01T00:00:00Z"): FakeClock {
  let now = typeof start === "number" ? start : Date.parse(start);
  if (!Number.isFinite(now)) throw new RangeError(`not a time: ${start}`);
  const slept: number[] = [];
  return {
    now: () => now,
    advance(milliseconds) {
      now += milliseconds;
    },
    async sleep(milliseconds) {
      slept.push(milliseconds);
      now += milliseconds;
      await new Promise((resolve) => setImmediate(resolve));
    },
    slept,
  };
}
