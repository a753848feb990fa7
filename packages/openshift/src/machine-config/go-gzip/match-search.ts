/** The search for repetitions of Go's compress/flate at its best level: lazy matching over hash chains in a sliding window. See `go-gzip.ts`. */
import { BlockWriter, type Token } from "./block-writer.ts";

const WINDOW = 1 << 15;
const WINDOW_MASK = WINDOW - 1;
const MIN_MATCH = 4;
const MAX_MATCH = 258;
const HASH_BITS = 17;

/** Tokens of one block. */
const MAX_TOKENS = 1 << 14;

/** Candidates of one search at level 9. (Its other setting, to try less behind a good match, has no effect in Go either.) */
const CHAIN = 4096;

/** No block starts here: its beginning has left the window. */
const NOWHERE = Number.MAX_SAFE_INTEGER;

/** @returns a whole deflate stream */
export function deflateAsGo(input: Uint8Array): Uint8Array {
  const search = new MatchSearch();
  search.write(input);
  return search.finish();
}

class MatchSearch {
  readonly #writer = new BlockWriter();
  readonly #window = new Uint8Array(2 * WINDOW);
  readonly #heads = new Int32Array(1 << HASH_BITS);
  readonly #previous = new Int32Array(WINDOW);
  /** What is added to places in the window, so that 0 means that there is none. */
  #hashOffset = 1;
  #index = 0;
  #end = 0;
  #blockStart = 0;
  #tokens: Token[] = [];
  #chainHead = -1;
  #length = MIN_MATCH - 1;
  #offset = 0;
  /** True: the octet before `#index` was not written yet, in the hope of a better match here. */
  #isPending = false;

  write(input: Uint8Array): void {
    for (let rest = input; rest.length > 0;) {
      this.#step(false);
      rest = rest.subarray(this.#fill(rest));
    }
  }

  finish(): Uint8Array {
    this.#step(true);
    return this.#writer.finish();
  }

  #fill(input: Uint8Array): number {
    if (this.#index >= 2 * WINDOW - (MIN_MATCH + MAX_MATCH)) {
      this.#window.copyWithin(0, WINDOW, 2 * WINDOW);
      this.#index -= WINDOW;
      this.#end -= WINDOW;
      this.#blockStart =
        this.#blockStart >= WINDOW && this.#blockStart !== NOWHERE ? this.#blockStart - WINDOW : NOWHERE;
      this.#hashOffset += WINDOW;
    }
    const count = Math.min(input.length, this.#window.length - this.#end);
    this.#window.set(input.subarray(0, count), this.#end);
    this.#end += count;
    return count;
  }

  #step(isLast: boolean): void {
    const lastHashed = this.#end - (MIN_MATCH - 1);
    for (;;) {
      const lookahead = this.#end - this.#index;
      if (lookahead < MIN_MATCH + MAX_MATCH && !isLast) return;
      if (lookahead === 0) {
        if (this.#isPending) this.#tokens.push(this.#window[this.#index - 1]!);
        this.#isPending = false;
        if (this.#tokens.length > 0) this.#writeBlock(this.#index);
        return;
      }
      if (this.#index < lastHashed) this.#chainHead = this.#insert(this.#index);
      const before = { length: this.#length, offset: this.#offset };
      this.#length = MIN_MATCH - 1;
      this.#offset = 0;
      const head = this.#chainHead - this.#hashOffset;
      if (head >= Math.max(0, this.#index - WINDOW) && lookahead > before.length && before.length < MAX_MATCH)
        this.#findMatch(head, lookahead);
      if (before.length >= MIN_MATCH && this.#length <= before.length) {
        this.#tokens.push({ length: before.length - 3, offset: before.offset - 1 });
        const next = this.#index + before.length - 1;
        for (let index = this.#index + 1; index < next; index++) if (index < lastHashed) this.#insert(index);
        this.#index = Math.max(next, this.#index + 1);
        this.#isPending = false;
        this.#length = MIN_MATCH - 1;
        if (this.#tokens.length === MAX_TOKENS) this.#writeBlock(this.#index);
      } else {
        if (this.#isPending) {
          this.#tokens.push(this.#window[this.#index - 1]!);
          if (this.#tokens.length === MAX_TOKENS) this.#writeBlock(this.#index);
        }
        this.#index++;
        this.#isPending = true;
      }
    }
  }

  /** Puts the place into its hash chain. @returns the place before it in the chain, with `#hashOffset` */
  #insert(index: number): number {
    const window = this.#window;
    const octets = (window[index]! << 24) | (window[index + 1]! << 16) | (window[index + 2]! << 8) | window[index + 3]!;
    const hash = Math.imul(octets, 0x1e35a7bd) >>> (32 - HASH_BITS);
    const head = this.#heads[hash]!;
    this.#previous[index & WINDOW_MASK] = head;
    this.#heads[hash] = index + this.#hashOffset;
    return head;
  }

  /** Sets length and offset to the longest match at `#index`, the nearest of those; leaves them when there is none. */
  #findMatch(head: number, lookahead: number): void {
    const window = this.#window;
    const at = this.#index;
    const most = Math.min(MAX_MATCH, lookahead);
    const lowest = at - WINDOW;
    let candidate = head;
    for (let left = CHAIN; left > 0; left--) {
      if (window[at + this.#length] === window[candidate + this.#length]) {
        let length = 0;
        while (length < most && window[candidate + length] === window[at + length]) length++;
        // A match of four octets far away costs more than it saves.
        if (length > this.#length && (length > MIN_MATCH || at - candidate <= 4096)) {
          this.#length = length;
          this.#offset = at - candidate;
          if (length >= most) return;
        }
      }
      if (candidate === lowest) return;
      candidate = this.#previous[candidate & WINDOW_MASK]! - this.#hashOffset;
      if (candidate < lowest || candidate < 0) return;
    }
  }

  #writeBlock(end: number): void {
    const input = this.#blockStart <= end ? this.#window.subarray(this.#blockStart, end) : undefined;
    this.#blockStart = end;
    this.#writer.write(this.#tokens, input);
    this.#tokens = [];
  }
}
