/** A stream of JSON values or YAML documents, cut into its documents: one at a time is in memory, however large the file is. */
import { FormatError, concatBytes } from "@signet/core";

/** Bytes of one document. Genuine ones, bundles that carry their manifests, have at most some 3 MB. */
export const MAX_DOCUMENT_BYTES: number = 16 * 1024 * 1024;

/** Levels of nesting in one JSON value; definitions of resources have some thirty. */
export const MAX_DOCUMENT_DEPTH = 1_000;

/** Documents of one file; the largest genuine catalogs have some fifty thousand. */
const MAX_DOCUMENTS = 1_000_000;

/** One document as it stands in its file. */
export interface DocumentText {
  readonly form: "json" | "yaml";
  readonly bytes: Uint8Array;
  /** The line at which it begins, from 1. */
  readonly line: number;
}

/** A problem at a place of a catalog's file. */
export function catalogMalformed(location: string, line: number, problem: string, cause?: unknown): FormatError {
  return new FormatError("catalog-malformed", `${location}:${line}: ${problem}`, {
    cause,
    details: { location, line },
  });
}

/**
 * Cuts a stream into its documents. Its first octet that is no white space decides, as with opm: `{` begins JSON values one after the other, anything else YAML.
 *
 * Not checked: more of the documents than where they begin and end. Text between JSON values is refused.
 * @throws FormatError `catalog-malformed` for what has no end or is nested too deeply, `input-too-large` for a document above {@link MAX_DOCUMENT_BYTES}; and what the
 *   stream throws
 */
export async function* splitDocuments(
  chunks: AsyncIterable<Uint8Array>,
  location: string,
): AsyncGenerator<DocumentText, void, undefined> {
  let splitter: JsonSplitter | YamlSplitter | undefined;
  let line = 1;
  let count = 0;
  for await (const chunk of chunks) {
    let begin = 0;
    if (splitter === undefined) {
      for (; begin < chunk.length && isSpace(chunk[begin]!); begin++) if (chunk[begin] === NEWLINE) line++;
      if (begin === chunk.length) continue;
      splitter = chunk[begin] === OPEN_BRACE ? new JsonSplitter(location, line) : new YamlSplitter(location, line);
      // Blanks before the first key are its indentation.
      if (splitter instanceof YamlSplitter) while (begin > 0 && chunk[begin - 1] === SPACE) begin--;
    }
    for (const document of splitter.push(begin === 0 ? chunk : chunk.subarray(begin))) {
      if (++count > MAX_DOCUMENTS)
        throw catalogMalformed(location, document.line, `more than ${MAX_DOCUMENTS} documents`);
      yield document;
    }
  }
  if (splitter !== undefined) yield* splitter.end();
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const TAB = 0x09;
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const DASH = 0x2d;
const HASH = 0x23;
const PERCENT = 0x25;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === NEWLINE || byte === RETURN || byte === TAB;
}

/** What was seen of the document under way. */
class Pending {
  readonly #location: string;
  #parts: Uint8Array[] = [];
  #length = 0;
  line: number;

  constructor(location: string, line: number) {
    this.#location = location;
    this.line = line;
  }

  add(part: Uint8Array): void {
    if (part.length === 0) return;
    this.#length += part.length;
    if (this.#length > MAX_DOCUMENT_BYTES) {
      throw new FormatError(
        "input-too-large",
        `${this.#location}:${this.line}: a document of more than ${MAX_DOCUMENT_BYTES} bytes`,
        { hint: "no genuine package, channel or bundle is that large" },
      );
    }
    this.#parts.push(part);
  }

  take(): Uint8Array {
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : concatBytes(this.#parts);
    this.#parts = [];
    this.#length = 0;
    return bytes;
  }
}

/** Counts brackets outside strings; that they fit each other is the parser's matter. */
class JsonSplitter {
  readonly #location: string;
  readonly #pending: Pending;
  #line: number;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  constructor(location: string, line: number) {
    this.#location = location;
    this.#line = line;
    this.#pending = new Pending(location, line);
  }

  *push(chunk: Uint8Array): Generator<DocumentText, void, undefined> {
    let from = 0;
    let depth = this.#depth;
    let isInString = this.#isInString;
    let isEscaped = this.#isEscaped;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (isInString) {
        if (isEscaped) isEscaped = false;
        else if (byte === BACKSLASH) isEscaped = true;
        else if (byte === QUOTE) isInString = false;
        continue;
      }
      if (byte === NEWLINE) {
        this.#line++;
        continue;
      }
      if (depth === 0) {
        if (isSpace(byte)) continue;
        if (byte !== OPEN_BRACE) throw catalogMalformed(this.#location, this.#line, "a JSON object is expected here");
        from = at;
        this.#pending.line = this.#line;
        depth = 1;
      } else if (byte === QUOTE) isInString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (++depth > MAX_DOCUMENT_DEPTH)
          throw catalogMalformed(this.#location, this.#line, `nested deeper than ${MAX_DOCUMENT_DEPTH} levels`);
      } else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --depth === 0) {
        this.#pending.add(chunk.subarray(from, at + 1));
        yield { form: "json", bytes: this.#pending.take(), line: this.#pending.line };
        from = at + 1;
      }
    }
    if (depth > 0) this.#pending.add(chunk.subarray(from));
    this.#depth = depth;
    this.#isInString = isInString;
    this.#isEscaped = isEscaped;
  }

  end(): readonly DocumentText[] {
    if (this.#depth === 0) return [];
    const began = `the JSON object that begins at line ${this.#pending.line} has no end`;
    throw catalogMalformed(this.#location, this.#line, began);
  }
}

/** Cuts at lines that begin with `---`, which no content of a document can (YAML 1.2.2, section 9.1). */
class YamlSplitter {
  readonly #pending: Pending;
  #line: number;
  /** The beginning of a line that is too short yet to tell what it is. */
  #held: Uint8Array = new Uint8Array(0);
  #isAtLineStart = true;
  /** False while there is nothing but blank lines, comments, directives and the separator itself. */
  #hasContent = false;

  constructor(location: string, line: number) {
    this.#line = line;
    this.#pending = new Pending(location, line);
  }

  *push(chunk: Uint8Array): Generator<DocumentText, void, undefined> {
    const bytes = this.#held.length === 0 ? chunk : concatBytes([this.#held, chunk]);
    this.#held = new Uint8Array(0);
    let from = 0;
    let at = 0;
    while (at < bytes.length) {
      const newline = bytes.indexOf(NEWLINE, at);
      if (this.#isAtLineStart) {
        const end = newline < 0 ? bytes.length : newline;
        if (newline < 0 && end - at < SEPARATOR_LENGTH + 1) {
          this.#held = bytes.slice(at);
          break;
        }
        const isSeparator = beginsWithSeparator(bytes, at, end);
        if (isSeparator && this.#hasContent) {
          this.#pending.add(bytes.subarray(from, at));
          yield this.#take();
          from = at;
        }
        if (isSeparator ? end - at > SEPARATOR_LENGTH + 1 : !isEmptyLine(bytes, at, end)) this.#hasContent = true;
        this.#isAtLineStart = false;
      }
      if (newline < 0) {
        at = bytes.length;
        break;
      }
      at = newline + 1;
      this.#line++;
      this.#isAtLineStart = true;
    }
    this.#pending.add(bytes.subarray(from, at));
  }

  end(): readonly DocumentText[] {
    this.#pending.add(this.#held);
    return this.#hasContent || this.#held.length > 0 ? [this.#take()] : [];
  }

  #take(): DocumentText {
    const document: DocumentText = { form: "yaml", bytes: this.#pending.take(), line: this.#pending.line };
    this.#pending.line = this.#line;
    this.#hasContent = false;
    return document;
  }
}

const SEPARATOR_LENGTH = 3;

function beginsWithSeparator(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < SEPARATOR_LENGTH) return false;
  if (bytes[at] !== DASH || bytes[at + 1] !== DASH || bytes[at + 2] !== DASH) return false;
  return end - at === SEPARATOR_LENGTH || isSpace(bytes[at + SEPARATOR_LENGTH]!);
}

function isEmptyLine(bytes: Uint8Array, at: number, end: number): boolean {
  const first = bytes[at];
  return at === end || first === RETURN || first === HASH || first === PERCENT;
}
