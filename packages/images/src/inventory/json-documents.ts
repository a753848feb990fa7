/** JSON documents one after the other, of any length, with the elements of a list's `items` handed out one by one: only one element is held at a time. */
import { FormatError } from "@signet/core";

/** Bytes of one object, and of a list without its items. The API server's store takes objects of 1.5 MiB, where it was told to 8 MiB. */
export const MAX_OBJECT_BYTES: number = 16 * 1024 * 1024;

/** A piece that is JSON in itself. */
export interface JsonPart {
  /** `item`: an element of the top-level member `items`. `document`: the whole value behind them, with `items` (where there were some) emptied. */
  readonly kind: "item" | "document";
  /** Overwritten when the next part is asked for. */
  readonly bytes: Uint8Array;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Where the splitter stands. */
type State =
  | "between documents"
  | "in document"
  /** Behind the name `items` at the top level, before its value. */
  | "before items"
  | "before first item"
  | "before item"
  | "in item"
  | "after item";

const itemsKey = new TextEncoder().encode('"items"');

/**
 * Splits a stream. Objects only: what else may stand at the top level of JSON is no list of images.
 *
 * Not checked: what lies inside an item or document beyond where it ends; whoever parses the parts finds that.
 * @param what the stream's name in messages
 * @throws FormatError `json-malformed` for what is no object and for a stream that ends in the middle, `input-too-large` for an object beyond 16 MiB
 */
export async function* splitJsonDocuments(
  chunks: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<JsonPart, void, undefined> {
  const document = new Gathered(what);
  const item = new Gathered(what);
  let state: State = "between documents";
  let depth = 0;
  let isInString = false;
  let isEscaped = false;
  // Set when a string ended at the top level of the document: where it began says whether it is `"items"`.
  let stringAt = 0;
  let lastString = false;
  let offset = 0;
  for await (const chunk of chunks) {
    const { length } = chunk;
    let from = 0;
    for (let at = 0; at < length; at++) {
      const byte = chunk[at]!;
      if (isInString) {
        if (isEscaped) isEscaped = false;
        else if (byte === BACKSLASH) isEscaped = true;
        else if (byte === QUOTE) {
          isInString = false;
          if (state === "in document" && depth === 1) {
            document.add(chunk, from, at + 1);
            from = at + 1;
            lastString = document.endsWith(itemsKey, document.length - stringAt);
          }
        }
        continue;
      }
      if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) continue;
      switch (state) {
        case "in item":
          if (byte === QUOTE) isInString = true;
          else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
          else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --depth === 2) {
            item.add(chunk, from, at + 1);
            yield { kind: "item", bytes: item.take() };
            state = "after item";
            from = at + 1;
          }
          break;
        case "in document":
          if (byte === QUOTE) {
            isInString = true;
            if (depth === 1) {
              document.add(chunk, from, at);
              from = at;
              stringAt = document.length;
            }
            break;
          }
          if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
          else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
            if (--depth > 0) break;
            document.add(chunk, from, at + 1);
            yield { kind: "document", bytes: document.take() };
            state = "between documents";
            from = at + 1;
          } else if (byte === 0x3a && depth === 1 && lastString) state = "before items";
          lastString = false;
          break;
        case "before items":
          if (byte === OPEN_BRACKET) {
            depth = 2;
            document.add(chunk, from, at + 1);
            from = at + 1;
            state = "before first item";
            break;
          }
          // Null, or a member of an object that is no list: whoever reads the document judges it.
          state = "in document";
          at--;
          break;
        case "before first item":
        case "before item":
          if (byte === OPEN_BRACE) {
            depth = 3;
            from = at;
            state = "in item";
            break;
          }
          if (byte !== CLOSE_BRACKET || state === "before item")
            throw malformed(what, offset + at, "expected an object inside items");
          depth = 1;
          from = at;
          state = "in document";
          break;
        case "after item":
          if (byte === COMMA) state = "before item";
          else if (byte === CLOSE_BRACKET) {
            depth = 1;
            from = at;
            state = "in document";
          } else throw malformed(what, offset + at, "expected , or ] after an item");
          break;
        case "between documents":
          if (byte !== OPEN_BRACE) throw malformed(what, offset + at, "expected an object");
          depth = 1;
          from = at;
          state = "in document";
          break;
      }
    }
    if (state === "in item") item.add(chunk, from, length);
    else if (state === "in document" || state === "before items") document.add(chunk, from, length);
    offset += length;
  }
  if (state !== "between documents")
    throw malformed(what, offset, "it ends in the middle of an object; was it cut off?");
}

/** The octets of one part, from as many chunks as it takes, in one buffer that grows and is used again. */
class Gathered {
  length = 0;
  readonly #what: string;
  #buffer = new Uint8Array(64 * 1024);

  constructor(what: string) {
    this.#what = what;
  }

  add(chunk: Uint8Array, from: number, to: number): void {
    if (to <= from) return;
    const length = this.length + to - from;
    if (length > MAX_OBJECT_BYTES) {
      throw new FormatError("input-too-large", `${this.#what}: one object has more than ${MAX_OBJECT_BYTES} bytes`, {
        hint: "give a Kubernetes list, whose items are read one by one",
      });
    }
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.min(MAX_OBJECT_BYTES, length * 2));
      larger.set(this.#buffer.subarray(0, this.length));
      this.#buffer = larger;
    }
    this.#buffer.set(chunk.subarray(from, to), this.length);
    this.length = length;
  }

  /** Whether the last `count` octets are these. */
  endsWith(bytes: Uint8Array, count: number): boolean {
    const from = this.length - count;
    return count === bytes.length && bytes.every((byte, index) => this.#buffer[from + index] === byte);
  }

  /** Valid until the next `add`. */
  take(): Uint8Array {
    const { length } = this;
    this.length = 0;
    return this.#buffer.subarray(0, length);
  }
}

function malformed(what: string, offset: number, problem: string): FormatError {
  return new FormatError("json-malformed", `${what}: ${problem} at offset ${offset}`, { offset });
}
