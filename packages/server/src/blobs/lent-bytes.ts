/** Reading files into memory that is used again: a large buffer for each read would be new memory, which the system has to clear first. */
import { close, read } from "node:fs";
import { promisify } from "node:util";
import type { LentBytes } from "./blob-store.ts";

/** Bytes of a large buffer. Over HTTP with 8 clients, 256 KiB gave 1.6 times the bytes a second of 64 KiB, and 1 MiB less again. */
const LARGE_BYTES = 256 * 1024;
/** Bytes of a buffer where all large ones are lent: of many readers each then takes as little as a stream would. */
const SMALL_BYTES = 64 * 1024;
/** Large buffers, lent and waiting: 40 MiB, enough for 80 readers. */
const MAX_LARGE = 160;

const readFile = promisify(read);
const closeFile = promisify(close);

/** Buffers that are lent and come back, of a bounded number. */
export class BufferPool {
  readonly #waiting: Buffer[] = [];
  #lent = 0;

  take(): Buffer {
    if (this.#lent >= MAX_LARGE) return Buffer.allocUnsafeSlow(SMALL_BYTES);
    this.#lent += 1;
    return this.#waiting.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
  }

  /** @param isUnused false where somebody may still look at it: then its memory is left to them, and never lent again */
  giveBack(buffer: Buffer, isUnused: boolean): void {
    if (buffer.length !== LARGE_BYTES) return;
    this.#lent -= 1;
    if (isUnused) this.#waiting.push(buffer);
  }
}

/**
 * The bytes of an open file from `first` to `last`, the next ones being read while those before are sent.
 * The descriptor is closed with it.
 */
export class LentFile implements LentBytes {
  readonly #descriptor: number;
  readonly #pool: BufferPool;
  readonly #wrong: (error?: unknown) => Error;
  #position: number;
  #left: number;
  #reading: Promise<number> | undefined;
  /** Being read into, or free. */
  #next: Buffer | undefined;
  /** In the caller's hands. */
  #lent: Buffer | undefined;
  #isEnded = false;

  /** @param wrong words a failure to read; without a cause: the file ends before `last` */
  constructor(
    descriptor: number,
    pool: BufferPool,
    { first, last }: { readonly first: number; readonly last: number },
    wrong: (error?: unknown) => Error,
  ) {
    this.#descriptor = descriptor;
    this.#pool = pool;
    this.#wrong = wrong;
    this.#position = first;
    this.#left = last - first + 1;
  }

  async next(): Promise<Uint8Array | undefined> {
    if (this.#left <= 0 || this.#isEnded) {
      this.#release(this.#lent, true);
      this.#lent = undefined;
      return undefined;
    }
    this.#reading ??= this.#read();
    let length: number;
    try {
      length = await this.#reading;
    } catch (error) {
      throw this.#wrong(error);
    } finally {
      this.#reading = undefined;
    }
    // A whole file was promised, and its length has been told: what is short is an error, not an end.
    if (length === 0) throw this.#wrong();
    const filled = this.#next!;
    this.#next = this.#lent;
    this.#lent = filled;
    this.#position += length;
    this.#left -= length;
    if (this.#left > 0) {
      this.#reading = this.#read();
      // Heard when it is asked for.
      this.#reading.catch(() => undefined);
    }
    return filled.subarray(0, length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    // The descriptor's number is another file's once it is closed: nothing may read from it any more.
    await this.#reading?.catch(() => undefined);
    this.#release(this.#next, true);
    // Not asked for the next one: whoever sends it may not have done with it.
    this.#release(this.#lent, false);
    this.#next = undefined;
    this.#lent = undefined;
    await closeFile(this.#descriptor);
  }

  async #read(): Promise<number> {
    this.#next ??= this.#pool.take();
    const length = Math.min(this.#left, this.#next.length);
    const { bytesRead } = await readFile(this.#descriptor, this.#next, 0, length, this.#position);
    return bytesRead;
  }

  #release(buffer: Buffer | undefined, isUnused: boolean): void {
    if (buffer !== undefined) this.#pool.giveBack(buffer, isUnused);
  }
}
