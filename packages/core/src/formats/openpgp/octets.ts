import type { OpenPgpRule } from "./fault.ts";
import { OpenPgpFault } from "./fault.ts";

/** Reads fields one after the other out of a packet's body; running out is a fault with the reader's rule. */
export class OctetReader {
  readonly bytes: Uint8Array;
  readonly #rule: OpenPgpRule;
  readonly #what: string;
  at = 0;

  /**
   * @param what names the thing read, for messages
   * @param rule the rule that is broken when the octets run out
   */
  constructor(bytes: Uint8Array, what: string, rule: OpenPgpRule) {
    this.bytes = bytes;
    this.#what = what;
    this.#rule = rule;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  octet(): number {
    if (this.at >= this.bytes.length) throw this.fault("it ends too early");
    return this.bytes[this.at++]!;
  }

  uint16(): number {
    return this.octet() * 256 + this.octet();
  }

  uint32(): number {
    return this.uint16() * 0x10000 + this.uint16();
  }

  /** A view of the next `length` octets. */
  take(length: number): Uint8Array {
    if (length > this.left) throw this.fault("it ends too early");
    const start = this.at;
    this.at += length;
    return this.bytes.subarray(start, this.at);
  }

  rest(): Uint8Array {
    return this.take(this.left);
  }

  /** A multiprecision integer (RFC 9580 section 3.2) without leading zeros; empty for zero. */
  integer(): Uint8Array {
    const bits = this.uint16();
    const value = this.take((bits + 7) >> 3);
    let zeros = 0;
    while (zeros < value.length && value[zeros] === 0) zeros++;
    return zeros === 0 ? value : value.subarray(zeros);
  }

  /** Refuses octets that are left over. */
  end(): void {
    if (this.left > 0) throw this.fault(`${this.left} octets are left over`);
  }

  fault(problem: string): OpenPgpFault {
    return new OpenPgpFault(this.#rule, `${this.#what} is malformed: ${problem}`);
  }
}

/** `value` with zeros in front up to `length` octets, or undefined when it is longer. */
export function padLeft(value: Uint8Array, length: number): Uint8Array | undefined {
  if (value.length === length) return value;
  if (value.length > length) return undefined;
  const padded = new Uint8Array(length);
  padded.set(value, length - value.length);
  return padded;
}

/** Bits of an integer without leading zeros. */
export function bitLength(value: Uint8Array): number {
  return value.length === 0 ? 0 : value.length * 8 - (Math.clz32(value[0]!) - 24);
}
