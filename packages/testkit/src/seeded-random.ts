/** Repeatable random numbers for generated cases: the same seed gives the same sequence on every machine. */
export interface SeededRandom {
  /** A number in [0, 1). */
  next(): number;
  /** An integer in [0, below). */
  integer(below: number): number;
  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T;
  bytes(length: number): Uint8Array;
}

/** Not for secrets. The generator is mulberry32: 32 bits of state, enough for test cases. */
export function makeSeededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (below: number): number => Math.floor(next() * below);
  return {
    next,
    integer,
    pick(items) {
      if (items.length === 0) throw new RangeError("cannot pick from an empty list");
      return items[integer(items.length)]!;
    },
    bytes: (length) => Uint8Array.from({ length }, () => integer(256)),
  };
}
