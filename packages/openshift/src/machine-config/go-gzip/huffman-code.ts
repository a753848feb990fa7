/** Huffman codes with the choices of Go's compress/flate (see `go-gzip.ts` on licence and purpose): which of several codes of equal cost is taken shows in the bytes. */

/** Greater than any frequency: where a list of them ends. */
const NO_FREQUENCY = 0x7fffffff;

/** Bits of the longest code, plus one. */
const LEVELS = 16;

/** A code for symbols 0, 1, …; symbols that do not occur have length 0. */
export class HuffmanCode {
  /** Bits as they are written, the first one lowest. */
  readonly codes: Uint16Array;
  readonly lengths: Uint8Array;

  constructor(symbols: number) {
    this.codes = new Uint16Array(symbols);
    this.lengths = new Uint8Array(symbols);
  }

  /** Bits that symbols with these frequencies take. */
  cost(frequencies: Int32Array): number {
    return frequencies.reduce((total, frequency, symbol) => total + frequency * this.lengths[symbol]!, 0);
  }

  /** Makes the shortest code with at most `maxBits` bits a symbol. */
  generate(frequencies: Int32Array, maxBits: number): void {
    const used: Leaf[] = [];
    frequencies.forEach((frequency, symbol) => {
      if (frequency === 0) this.lengths[symbol] = 0;
      else used.push({ symbol, frequency });
    });
    if (used.length <= 2) {
      used.forEach(({ symbol }, index) => this.set(symbol, index, 1));
      return;
    }
    used.sort((a, b) => a.frequency - b.frequency || a.symbol - b.symbol);
    this.#assign(countLengths(used, maxBits), used);
  }

  set(symbol: number, code: number, length: number): void {
    this.codes[symbol] = reverseBits(code, length);
    this.lengths[symbol] = length;
  }

  /** RFC 1951, 3.2.2: rare symbols get the long codes; of one length, they count up in the order of the symbols. */
  #assign(counts: readonly number[], sorted: readonly Leaf[]): void {
    let code = 0;
    let rest = sorted.length;
    counts.forEach((count, length) => {
      code <<= 1;
      if (length === 0 || count === 0) return;
      const chunk = sorted.slice(rest - count, rest).map(({ symbol }) => symbol);
      for (const symbol of chunk.toSorted((a, b) => a - b)) this.set(symbol, code++, length);
      rest -= count;
    });
  }
}

interface Leaf {
  readonly symbol: number;
  readonly frequency: number;
}

interface Level {
  lastFrequency: number;
  nextLeaf: number;
  nextPair: number;
  needed: number;
}

/**
 * How many symbols get each length: boundary package merge, with leaves preferred to pairs only where they are strictly rarer.
 * @param leaves three or more, rarest first
 */
function countLengths(leaves: readonly Leaf[], limit: number): readonly number[] {
  const count = leaves.length;
  const frequencyOf = (index: number): number => leaves[index]?.frequency ?? NO_FREQUENCY;
  const maxBits = Math.min(limit, count - 1);
  const levels: Level[] = Array.from({ length: LEVELS + 1 }, () => {
    return { lastFrequency: 0, nextLeaf: 0, nextPair: 0, needed: 0 };
  });
  const leafCounts = Array.from({ length: LEVELS }, () => new Int32Array(LEVELS));
  for (let bits = 1; bits <= maxBits; bits++) {
    levels[bits] = {
      lastFrequency: frequencyOf(1),
      nextLeaf: frequencyOf(2),
      nextPair: bits === 1 ? NO_FREQUENCY : frequencyOf(0) + frequencyOf(1),
      needed: 0,
    };
    leafCounts[bits]![bits] = 2;
  }
  levels[maxBits]!.needed = 2 * count - 4;
  let at = maxBits;
  for (;;) {
    const level = levels[at]!;
    if (level.nextPair === NO_FREQUENCY && level.nextLeaf === NO_FREQUENCY) {
      level.needed = 0;
      levels[at + 1]!.nextPair = NO_FREQUENCY;
      at++;
      continue;
    }
    const previous = level.lastFrequency;
    const own = leafCounts[at]!;
    if (level.nextLeaf < level.nextPair) {
      level.lastFrequency = level.nextLeaf;
      const leavesLeft = own[at]! + 1;
      own[at] = leavesLeft;
      level.nextLeaf = frequencyOf(leavesLeft);
    } else {
      level.lastFrequency = level.nextPair;
      own.set(leafCounts[at - 1]!.subarray(0, at));
      levels[at - 1]!.needed = 2;
    }
    level.needed--;
    if (level.needed === 0) {
      if (at === maxBits) break;
      levels[at + 1]!.nextPair = previous + level.lastFrequency;
      at++;
    } else while (levels[at - 1]!.needed > 0) at--;
  }
  const top = leafCounts[maxBits]!;
  const counts = [0];
  for (let bits = maxBits; bits > 0; bits--) counts.push(top[bits]! - top[bits - 1]!);
  return counts;
}

function reverseBits(code: number, length: number): number {
  let reversed = 0;
  for (let bit = 0; bit < length; bit++) reversed |= ((code >> bit) & 1) << (length - 1 - bit);
  return reversed;
}
