/** Blocks of a deflate stream (RFC 1951), each in the form that Go's compress/flate would choose: fixed, dynamic or stored. See `go-gzip.ts`. */
import { concatBytes } from "@signet/core";
import { HuffmanCode } from "./huffman-code.ts";

/** Symbols of the literal and length alphabet: 256 octets, the end of the block, 29 lengths. */
const LITERALS = 286;
const OFFSETS = 30;
const CODE_LENGTHS = 19;
const END_OF_BLOCK = 256;
const FIRST_LENGTH = 257;

/** Octets that a stored block can hold. */
const MAX_STORED_BYTES = 65_535;

/** Marks the end of a list of code lengths. */
const END_OF_LENGTHS = 255;

/** Of code i: the bits behind it, and the length (less 3) or offset (less 1) it begins at. */
const lengthBits: readonly number[] = [
  ...[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0],
];
const lengthBases: readonly number[] = [
  ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 255],
];
const offsetBits: readonly number[] = Array.from({ length: OFFSETS }, (_, code) => Math.max(0, (code >> 1) - 1));
const offsetBases: readonly number[] = Array.from({ length: OFFSETS }, (_, code) => {
  return code < 2 ? code : (2 + (code & 1)) << ((code >> 1) - 1);
});

/** RFC 1951, 3.2.7. */
const lengthsOrder: readonly number[] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

const fixedLiterals = new HuffmanCode(LITERALS);
for (let symbol = 0; symbol < LITERALS; symbol++) {
  if (symbol < 144) fixedLiterals.set(symbol, symbol + 48, 8);
  else if (symbol < 256) fixedLiterals.set(symbol, symbol + 400 - 144, 9);
  else if (symbol < 280) fixedLiterals.set(symbol, symbol - 256, 7);
  else fixedLiterals.set(symbol, symbol + 192 - 280, 8);
}
const fixedOffsets = new HuffmanCode(OFFSETS);
for (let symbol = 0; symbol < OFFSETS; symbol++) fixedOffsets.set(symbol, symbol, 5);

/** One step of a block: an octet, or a match with its length (less 3) and offset (less 1). */
export type Token = number | { readonly length: number; readonly offset: number };

/** Writes one deflate stream. */
export class BlockWriter {
  readonly #parts: Uint8Array[] = [];
  #octets: number[] = [];
  #bits = 0;
  #bitCount = 0;
  readonly #literalCounts = new Int32Array(LITERALS);
  readonly #offsetCounts = new Int32Array(OFFSETS);
  readonly #literals = new HuffmanCode(LITERALS);
  readonly #offsets = new HuffmanCode(OFFSETS);
  readonly #lengths = new HuffmanCode(CODE_LENGTHS);
  readonly #lengthCounts = new Int32Array(CODE_LENGTHS);

  /**
   * @param input what the tokens stand for; undefined where it is not at hand any more, so that it cannot be stored
   */
  write(tokens: readonly Token[], input: Uint8Array | undefined): void {
    const { literals, offsets } = this.#count(tokens);
    const isStorable = input !== undefined && input.length <= MAX_STORED_BYTES;
    const extra = isStorable ? this.#extraBits() : 0;
    const codeLengths = this.#listLengths(literals, offsets);
    this.#lengths.generate(this.#lengthCounts, 7);
    const sent = this.#lengthsSent();
    const fixed = 3 + fixedLiterals.cost(this.#literalCounts) + fixedOffsets.cost(this.#offsetCounts) + extra;
    const dynamic = this.#dynamicCost(sent) + extra;
    if (isStorable && (input.length + 5) * 8 < Math.min(fixed, dynamic)) {
      this.#writeStored(input);
      return;
    }
    const isDynamic = dynamic < fixed;
    if (isDynamic) this.#writeDynamicHead(literals, offsets, sent, codeLengths);
    else this.#put(2, 3);
    this.#writeTokens(tokens, isDynamic ? this.#literals : fixedLiterals, isDynamic ? this.#offsets : fixedOffsets);
  }

  /** An empty stored block ends the stream. */
  finish(): Uint8Array {
    this.#writeStoredHead(0, true);
    this.#flushParts();
    return concatBytes(this.#parts);
  }

  /** Frequencies and the codes made for them. @returns how many symbols are in use, from 0 to the last one */
  #count(tokens: readonly Token[]): { literals: number; offsets: number } {
    const literalCounts = this.#literalCounts.fill(0);
    const offsetCounts = this.#offsetCounts.fill(0);
    const add = (counts: Int32Array, symbol: number): void => {
      counts[symbol] = counts[symbol]! + 1;
    };
    for (const token of tokens) {
      if (typeof token === "number") add(literalCounts, token);
      else {
        add(literalCounts, FIRST_LENGTH + codeOf(token.length, lengthBases));
        add(offsetCounts, codeOf(token.offset, offsetBases));
      }
    }
    add(literalCounts, END_OF_BLOCK);
    const literals = literalCounts.findLastIndex((count) => count !== 0) + 1;
    let offsets = offsetCounts.findLastIndex((count) => count !== 0) + 1;
    if (offsets === 0) {
      offsetCounts[0] = 1;
      offsets = 1;
    }
    this.#literals.generate(literalCounts, 15);
    this.#offsets.generate(offsetCounts, 15);
    return { literals, offsets };
  }

  #extraBits(): number {
    const lengths = lengthBits.reduce((sum, bits, code) => sum + bits * this.#literalCounts[FIRST_LENGTH + code]!, 0);
    return lengths + offsetBits.reduce((sum, bits, code) => sum + bits * this.#offsetCounts[code]!, 0);
  }

  /** The code lengths of both alphabets, runs shortened (RFC 1951, 3.2.7): codes, and behind 16, 17 and 18 how long the run is. */
  #listLengths(literals: number, offsets: number): readonly number[] {
    const counts = this.#lengthCounts.fill(0);
    const all = [...this.#literals.lengths.subarray(0, literals), ...this.#offsets.lengths.subarray(0, offsets)];
    all.push(END_OF_LENGTHS);
    const list: number[] = [];
    const emit = (code: number, ...behind: readonly number[]): void => {
      list.push(code, ...behind);
      counts[code] = counts[code]! + 1;
    };
    let size = all[0]!;
    let count = 1;
    for (const next of all.slice(1)) {
      if (next === size) {
        count++;
        continue;
      }
      if (size !== 0) {
        emit(size);
        count--;
        for (; count >= 3; count -= Math.min(6, count)) emit(16, Math.min(6, count) - 3);
      } else {
        for (; count >= 11; count -= Math.min(138, count)) emit(18, Math.min(138, count) - 11);
        if (count >= 3) {
          emit(17, count - 3);
          count = 0;
        }
      }
      for (; count > 0; count--) emit(size);
      size = next;
      count = 1;
    }
    return list;
  }

  #lengthsSent(): number {
    let sent = CODE_LENGTHS;
    while (sent > 4 && this.#lengthCounts[lengthsOrder[sent - 1]!] === 0) sent--;
    return sent;
  }

  #dynamicCost(sent: number): number {
    const counts = this.#lengthCounts;
    const head = 3 + 5 + 5 + 4 + 3 * sent + this.#lengths.cost(counts);
    const runs = counts[16]! * 2 + counts[17]! * 3 + counts[18]! * 7;
    return head + runs + this.#literals.cost(this.#literalCounts) + this.#offsets.cost(this.#offsetCounts);
  }

  #writeDynamicHead(literals: number, offsets: number, sent: number, codeLengths: readonly number[]): void {
    this.#put(4, 3);
    this.#put(literals - FIRST_LENGTH, 5);
    this.#put(offsets - 1, 5);
    this.#put(sent - 4, 4);
    for (const symbol of lengthsOrder.slice(0, sent)) this.#put(this.#lengths.lengths[symbol]!, 3);
    for (let at = 0; at < codeLengths.length; at++) {
      const code = codeLengths[at]!;
      this.#putSymbol(this.#lengths, code);
      if (code >= 16) this.#put(codeLengths[++at]!, code === 16 ? 2 : code === 17 ? 3 : 7);
    }
  }

  #writeTokens(tokens: readonly Token[], literals: HuffmanCode, offsets: HuffmanCode): void {
    for (const token of tokens) {
      if (typeof token === "number") {
        this.#putSymbol(literals, token);
        continue;
      }
      const lengthCode = codeOf(token.length, lengthBases);
      this.#putSymbol(literals, FIRST_LENGTH + lengthCode);
      this.#put(token.length - lengthBases[lengthCode]!, lengthBits[lengthCode]!);
      const offsetCode = codeOf(token.offset, offsetBases);
      this.#putSymbol(offsets, offsetCode);
      this.#put(token.offset - offsetBases[offsetCode]!, offsetBits[offsetCode]!);
    }
    this.#putSymbol(literals, END_OF_BLOCK);
  }

  #writeStored(input: Uint8Array): void {
    this.#writeStoredHead(input.length, false);
    this.#flushParts();
    this.#parts.push(input.slice());
  }

  #writeStoredHead(length: number, isLast: boolean): void {
    this.#put(isLast ? 1 : 0, 3);
    if (this.#bitCount > 0) this.#put(0, 8 - this.#bitCount);
    this.#put(length, 16);
    this.#put(~length & 0xffff, 16);
  }

  #putSymbol(code: HuffmanCode, symbol: number): void {
    this.#put(code.codes[symbol]!, code.lengths[symbol]!);
  }

  #put(value: number, bits: number): void {
    this.#bits |= value << this.#bitCount;
    this.#bitCount += bits;
    while (this.#bitCount >= 8) {
      this.#octets.push(this.#bits & 0xff);
      this.#bits >>>= 8;
      this.#bitCount -= 8;
    }
  }

  #flushParts(): void {
    this.#parts.push(Uint8Array.from(this.#octets));
    this.#octets = [];
  }
}

/** The last code that begins at or below `value`. */
function codeOf(value: number, bases: readonly number[]): number {
  let low = 0;
  let high = bases.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (bases[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
