import { cleanDocument, cleanJson, cleanText } from "./clean-text.ts";
import { writeDescriptor } from "./descriptor.ts";
import type { Progress } from "./progress.ts";

/** A piece of a line in a colour; without colours the piece alone. */
export interface Painted {
  readonly colour: "green" | "red" | "yellow" | "bold" | "dim";
  readonly text: string;
}

const colourCodes: Readonly<Record<Painted["colour"], number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

/** How output is to look. */
export interface TerminalSettings {
  /** Standard output is a terminal that takes colours. */
  readonly colours: boolean;
  /** Standard output is a terminal. */
  readonly isTerminal: boolean;
}

/**
 * All output of the commands. Everything passes {@link cleanText}, so commands may hand over untrusted text as it came. Data goes to standard output, what is
 * said about the work to standard error.
 */
export class Terminal {
  readonly isTerminal: boolean;
  readonly #colours: boolean;
  readonly #encoder = new TextEncoder();
  #progress: Progress | undefined;

  constructor(settings: TerminalSettings) {
    this.isTerminal = settings.isTerminal;
    this.#colours = settings.colours;
  }

  /** The status line that has to get out of the way before other lines are written. */
  showProgress(progress: Progress): void {
    this.#progress = progress;
  }

  /** One line on standard output; a line break inside is shown as `\n`. */
  line(...pieces: readonly (string | Painted)[]): void {
    this.#write(1, `${pieces.map((piece) => this.#paint(piece)).join("")}\n`);
  }

  /** A JSON document on standard output: two blanks of indentation, members in the order given. */
  json(value: unknown): void {
    this.#write(1, `${cleanJson(JSON.stringify(value, undefined, 2))}\n`);
  }

  /** A piece of JSON that was written out already, for documents that are printed as they come. It ends where a token does. */
  jsonText(text: string): void {
    this.#write(1, cleanJson(text));
  }

  /** Bytes as they are, when standard output is not a terminal; on a terminal the text with its control characters made visible. */
  bytes(bytes: Uint8Array): void {
    if (!this.isTerminal) {
      this.#progress?.clear();
      writeDescriptor(1, bytes);
      return;
    }
    const text = cleanDocument(new TextDecoder().decode(bytes));
    this.#write(1, text.endsWith("\n") ? text : `${text}\n`);
  }

  /** `warning: …` on standard error. */
  warn(message: string): void {
    this.#write(2, `warning: ${cleanText(message)}\n`);
  }

  /** One line on standard error. */
  note(message: string): void {
    this.#write(2, `${cleanText(message)}\n`);
  }

  #paint(piece: string | Painted): string {
    if (typeof piece === "string") return cleanText(piece);
    const text = cleanText(piece.text);
    return this.#colours ? `\u001b[${colourCodes[piece.colour]}m${text}\u001b[0m` : text;
  }

  #write(descriptor: 1 | 2, text: string): void {
    this.#progress?.clear();
    writeDescriptor(descriptor, this.#encoder.encode(text));
  }
}
