import { FormatError } from "../errors.ts";
import type { Inflated } from "./engine.ts";

/**
 * A bzip2 reader of our own: Node has none, and the package in common use reads zeros behind the end of its input, allocates a whole block whatever the caller's limit
 * and cannot say where the stream ends. Here every count is checked before it is used, so work and memory are bounded by the input and by `maxBytes`.
 * Layout: bzip2 1.0.8, `decompress.c`.
 */

/** Symbols that share one Huffman table before the next selector applies. */
const GROUP_SIZE = 50;
/** Selectors: 900,000 symbols in groups of 50, and the two that the format's own writer may add. */
const MAX_SELECTORS = 18_002;
/** Bits: the longest Huffman code of the format. */
const MAX_CODE_LENGTH = 20;
const RUN_A = 0;
const RUN_B = 1;

const crcTable = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit++) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1;
  crcTable[byte] = value;
}

interface HuffmanTable {
  readonly minLength: number;
  readonly maxLength: number;
  /** By code length: the largest code, or -1 where no code has that length. */
  readonly limit: Int32Array;
  /** By code length: what to subtract from a code to get its place in `symbols`. */
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
}

class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #held = 0;
  #heldBits = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next `count` bits, at most 24. */
  bits(count: number): number {
    while (this.#heldBits < count) {
      if (this.#at === this.#bytes.length) throw malformed("it ends too early");
      this.#held = ((this.#held << 8) | this.#bytes[this.#at++]!) & 0xffffffff;
      this.#heldBits += 8;
    }
    this.#heldBits -= count;
    return (this.#held >>> this.#heldBits) & ((1 << count) - 1);
  }

  word(): number {
    return ((this.bits(16) << 16) | this.bits(16)) >>> 0;
  }

  /** Whole octets that were not read. */
  octetsLeft(): number {
    return this.#bytes.length - this.#at + (this.#heldBits >> 3);
  }
}

/** Collects output and its checksum; refuses to grow beyond the cap. */
class CappedOutput {
  #bytes: Uint8Array;
  #length = 0;
  #crc = 0xffffffff;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = new Uint8Array(Math.min(maxBytes, 4096));
  }

  write(byte: number, count: number): void {
    const end = this.#length + count;
    if (end > this.#maxBytes) {
      throw new FormatError("input-too-large", `bzip2 data inflates to more than ${this.#maxBytes} octets`);
    }
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.min(this.#maxBytes, Math.max(end, this.#bytes.length * 2)));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.fill(byte, this.#length, end);
    this.#length = end;
    for (let i = 0; i < count; i++) this.#crc = (this.#crc << 8) ^ crcTable[((this.#crc >>> 24) ^ byte) & 255]!;
  }

  /** Checksum of what was written since the last call. */
  takeChecksum(): number {
    const value = ~this.#crc >>> 0;
    this.#crc = 0xffffffff;
    return value;
  }

  result(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/**
 * Inflates the bzip2 stream that `data` begins with; checksums are checked.
 * @param maxBytes octets of output at most
 * @throws FormatError `compression-malformed` for damaged data and the retired randomised form; `input-too-large` beyond `maxBytes`
 */
export function decompressBzip2(data: Uint8Array, maxBytes: number): Inflated {
  const level = (data[3] ?? 0) - 0x30;
  if (data[0] !== 0x42 || data[1] !== 0x5a || data[2] !== 0x68 || level < 1 || level > 9) throw malformed("no header");
  const reader = new BitReader(data.subarray(4));
  const output = new CappedOutput(maxBytes);
  // Undoing the last run-length step never makes a block shorter than four fifths, so no useful block is longer than this.
  const blockSize = Math.min(level * 100_000, Math.ceil(maxBytes * 1.25) + 5);
  let streamChecksum = 0;
  for (;;) {
    const magicHigh = reader.bits(24);
    const magicLow = reader.bits(24);
    if (magicHigh === 0x177245 && magicLow === 0x385090) break;
    if (magicHigh !== 0x314159 || magicLow !== 0x265359) throw malformed("neither a block nor the end of the stream");
    const expected = reader.word();
    streamChecksum = ((streamChecksum << 1) | (streamChecksum >>> 31)) ^ expected;
    readBlock(reader, blockSize, maxBytes, output);
    if (output.takeChecksum() !== expected) throw malformed("a block's checksum is wrong");
  }
  if (reader.word() !== streamChecksum >>> 0) throw malformed("the stream's checksum is wrong");
  return { bytes: output.result(), trailing: reader.octetsLeft() };
}

function readBlock(reader: BitReader, blockSize: number, maxBytes: number, output: CappedOutput): void {
  if (reader.bits(1) === 1) throw malformed("a randomised block");
  const origin = reader.bits(24);
  const alphabet = readAlphabet(reader);
  const tables = reader.bits(3);
  if (tables < 2 || tables > 6) throw malformed("the number of code tables is impossible");
  const selectors = readSelectors(reader, tables);
  const codes: HuffmanTable[] = [];
  for (let i = 0; i < tables; i++) codes.push(readHuffmanTable(reader, alphabet.length + 2));

  const endOfBlock = alphabet.length + 1;
  const block = new Uint32Array(blockSize);
  const counts = new Uint32Array(256);
  let length = 0;
  let run = 0;
  let runWeight = 1;
  const put = (byte: number, count: number): void => {
    if (count > blockSize - length) {
      if (blockSize > maxBytes)
        throw new FormatError("input-too-large", `bzip2 data inflates to more than ${maxBytes} octets`);
      throw malformed("a block is longer than its size allows");
    }
    block.fill(byte, length, length + count);
    counts[byte] = counts[byte]! + count;
    length += count;
  };
  for (let symbols = 0, table = codes[0]!; ; symbols++) {
    if (symbols % GROUP_SIZE === 0) {
      const selector = selectors[symbols / GROUP_SIZE];
      if (selector === undefined) throw malformed("more symbols than selectors");
      table = codes[selector]!;
    }
    const symbol = readSymbol(reader, table);
    if (symbol === RUN_A || symbol === RUN_B) {
      run += runWeight << symbol;
      runWeight *= 2;
      if (run > blockSize) put(alphabet[0]!, run);
      continue;
    }
    if (run > 0) {
      put(alphabet[0]!, run);
      run = 0;
      runWeight = 1;
    }
    if (symbol === endOfBlock) break;
    const byte = alphabet[symbol - 1]!;
    alphabet.copyWithin(1, 0, symbol - 1);
    alphabet[0] = byte;
    put(byte, 1);
  }
  if (origin >= length) throw malformed("a block starts outside itself");
  writeBlock(block, length, origin, counts, output);
}

/** Octets that occur in the block, ascending: the starting order of the move-to-front list. */
function readAlphabet(reader: BitReader): Uint8Array {
  const present: number[] = [];
  const groups = reader.bits(16);
  for (let high = 0; high < 16; high++) {
    if ((groups & (0x8000 >> high)) === 0) continue;
    const members = reader.bits(16);
    for (let low = 0; low < 16; low++) if ((members & (0x8000 >> low)) !== 0) present.push(high * 16 + low);
  }
  if (present.length === 0) throw malformed("a block without octets");
  return Uint8Array.from(present);
}

function readSelectors(reader: BitReader, tables: number): Uint8Array {
  const count = reader.bits(15);
  if (count === 0 || count > MAX_SELECTORS) throw malformed("the number of selectors is impossible");
  const order = [0, 1, 2, 3, 4, 5].slice(0, tables);
  const selectors = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    let position = 0;
    while (reader.bits(1) === 1) if (++position >= tables) throw malformed("a selector is out of range");
    const [selected] = order.splice(position, 1);
    order.unshift(selected!);
    selectors[i] = selected!;
  }
  return selectors;
}

function readHuffmanTable(reader: BitReader, symbolCount: number): HuffmanTable {
  const lengths = new Uint8Array(symbolCount);
  const perLength = new Int32Array(MAX_CODE_LENGTH + 1);
  let length = reader.bits(5);
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_LENGTH) throw malformed("a code length is out of range");
      if (reader.bits(1) === 0) break;
      length += reader.bits(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
    perLength[length]!++;
  }
  const minLength = perLength.findIndex((count) => count > 0);
  const maxLength = perLength.findLastIndex((count) => count > 0);
  const symbols = new Uint16Array(symbolCount);
  const limit = new Int32Array(MAX_CODE_LENGTH + 1).fill(-1);
  const base = new Int32Array(MAX_CODE_LENGTH + 1);
  let place = 0;
  let code = 0;
  for (let bits = minLength; bits <= maxLength; bits++) {
    base[bits] = code - place;
    for (let symbol = 0; symbol < symbolCount; symbol++) if (lengths[symbol] === bits) symbols[place++] = symbol;
    code += perLength[bits]!;
    limit[bits] = code - 1;
    code *= 2;
  }
  return { minLength, maxLength, limit, base, symbols };
}

function readSymbol(reader: BitReader, table: HuffmanTable): number {
  let bits = table.minLength;
  let code = reader.bits(bits);
  while (code > table.limit[bits]!) {
    if (++bits > table.maxLength) throw malformed("a code that no symbol has");
    code = (code << 1) | reader.bits(1);
  }
  const symbol = table.symbols[code - table.base[bits]!];
  if (symbol === undefined) throw malformed("a code that no symbol has");
  return symbol;
}

/** Undoes the Burrows-Wheeler transform and the first run-length step. */
function writeBlock(
  block: Uint32Array,
  length: number,
  origin: number,
  counts: Uint32Array,
  output: CappedOutput,
): void {
  for (let byte = 0, sum = 0; byte < 256; byte++) {
    const count = counts[byte]!;
    counts[byte] = sum;
    sum += count;
  }
  for (let i = 0; i < length; i++) {
    const byte = block[i]! & 255;
    const place = counts[byte]!;
    counts[byte] = place + 1;
    block[place] = block[place]! | (i << 8);
  }
  let at = block[origin]! >>> 8;
  let previous = -1;
  let repeats = 0;
  for (let i = 0; i < length; i++) {
    const entry = block[at]!;
    const byte = entry & 255;
    at = entry >>> 8;
    if (repeats === 4) {
      // After four equal octets comes a count of further ones.
      output.write(previous, byte);
      repeats = 0;
      previous = -1;
    } else {
      output.write(byte, 1);
      repeats = byte === previous ? repeats + 1 : 1;
      previous = byte;
    }
  }
}

function malformed(problem: string): FormatError {
  return new FormatError("compression-malformed", `bzip2 data is damaged: ${problem}`);
}
