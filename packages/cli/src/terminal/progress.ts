import { cleanText } from "./clean-text.ts";
import { writeDescriptor } from "./descriptor.ts";

/** How far a command is. Purely for people: on standard error, never needed to understand the result. */
export interface Progress {
  /** What is being done now. On a terminal it replaces the line before, elsewhere it is a line of its own. */
  step(text: string): void;
  /** `done` of `total` things. On a terminal a bar; elsewhere a line now and then. */
  count(done: number, total: number, text: string): void;
  /** Takes the status line off the screen, before something else is written. */
  clear(): void;
}

/** How progress can be shown. */
export type ProgressStyle = "bar" | "lines" | "none";

export function makeProgress(style: ProgressStyle, columns: number): Progress {
  if (style === "bar") return new ProgressBar(columns);
  return style === "lines" ? new ProgressLines() : silent;
}

const silent: Progress = { step: () => {}, count: () => {}, clear: () => {} };

const encoder = new TextEncoder();

/** Milliseconds between two repaints: more often than that nobody can read. */
const REPAINT_MS = 60;

/** Characters between the brackets. */
const BAR_WIDTH = 20;

class ProgressBar implements Progress {
  readonly #columns: number;
  #painted = false;
  #paintedAt = 0;

  constructor(columns: number) {
    this.#columns = columns;
  }

  step(text: string): void {
    this.#paint(text, true);
  }

  count(done: number, total: number, text: string): void {
    const filled = total === 0 ? BAR_WIDTH : Math.floor((BAR_WIDTH * done) / total);
    const bar = `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}] ${done}/${total}`;
    this.#paint(`${bar} ${text}`, done === total);
  }

  clear(): void {
    if (!this.#painted) return;
    this.#painted = false;
    writeDescriptor(2, encoder.encode("\r\u001b[K"));
  }

  #paint(text: string, isForced: boolean): void {
    const now = performance.now();
    if (!isForced && now - this.#paintedAt < REPAINT_MS) return;
    this.#paintedAt = now;
    this.#painted = true;
    // One column stays free: a full line would wrap and could not be taken back.
    const line = cleanText(text).slice(0, Math.max(1, this.#columns - 1));
    writeDescriptor(2, encoder.encode(`\r\u001b[K${line}`));
  }
}

/** Milliseconds between two lines of a count, so that a log stays readable. */
const LINE_INTERVAL_MS = 5000;

class ProgressLines implements Progress {
  #writtenAt: number = performance.now();
  #last = "";

  step(text: string): void {
    this.#last = text;
    writeDescriptor(2, encoder.encode(`${cleanText(text)}\n`));
  }

  count(done: number, total: number, text: string): void {
    const now = performance.now();
    if (now - this.#writtenAt < LINE_INTERVAL_MS) return;
    const line = `${done} of ${total}: ${text}`;
    // A log of many equal lines tells no more than one of them.
    if (line === this.#last || text === this.#last) return;
    this.#writtenAt = now;
    this.step(line);
  }

  clear(): void {}
}
