/** Counts what `node:test` reports and says it in few lines: one a file, more for what failed or was skipped. */

import { relative } from "node:path";
import { inspect, stripVTControlCharacters } from "node:util";

/** The parts of the runner's events that are read here. */
export interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly message?: string;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly details?: { readonly duration_ms?: number; readonly type?: string; readonly error?: unknown };
  };
}

interface FileResult {
  passed: number;
  failed: number;
  readonly skipped: string[];
  readonly failures: string[];
  /** What the file printed, and what the runner has to say besides results; shown only after a failure. */
  output: string;
  diagnostics: string;
  milliseconds: number;
  hasEnded: boolean;
}

/** How many of the slowest files the summary names. */
const SLOWEST_FILES = 10;

export class TestReport {
  readonly #files: Map<string, FileResult> = new Map();
  readonly #root: string;
  readonly #print: (line: string) => void;

  constructor(root: string, print: (line: string) => void) {
    this.#root = root;
    this.#print = print;
  }

  /**
   * Takes one event of the run of `file`. An event's own `file` is where the test was written down, which for a contract suite is another one.
   */
  read(file: string, { type, data }: TestEvent): void {
    const { name } = data;
    const result = this.#resultOf(file);
    if (type === "test:stdout" || type === "test:stderr") result.output += data.message ?? "";
    // Without a file it is the runner's own count, which the last line replaces.
    if (type === "test:diagnostic" && data.file !== undefined) result.diagnostics += `${data.message ?? ""}\n`;
    if (name === file && type === "test:complete") {
      result.milliseconds = data.details?.duration_ms ?? 0;
      this.#readFileError(result, data.details?.error);
    } else if (name === undefined || name === file) {
      // What the runner says of the file as a whole is in the event above.
    } else if (type === "test:pass") {
      const reason = data.skip ?? data.todo;
      if (reason !== undefined && reason !== false)
        result.skipped.push(`${name} — ${typeof reason === "string" ? reason : "no reason"}`);
      else if (data.details?.type !== "suite") result.passed += 1;
    } else if (type === "test:fail" && failureType(data.details?.error) !== "subtestsFailed") {
      result.failed += 1;
      result.failures.push(`${name}\n${describeError(data.details?.error)}`);
    }
  }

  /** Prints the lines of a file whose run has ended. */
  end(file: string): void {
    const result = this.#resultOf(file);
    result.hasEnded = true;
    if (result.passed + result.failed + result.skipped.length === 0) {
      result.failed += 1;
      result.failures.push("the file itself\n       it holds no tests");
    }
    const skipped = result.skipped.length === 0 ? "" : `, ${result.skipped.length} SKIPPED`;
    const failed = result.failed === 0 ? "" : `, ${result.failed} FAILED`;
    const counts = `${result.passed} passed${failed}${skipped}`;
    this.#print(
      `${result.failed === 0 ? "ok  " : "FAIL"} ${relative(this.#root, file)}: ${counts} (${seconds(result.milliseconds)})`,
    );
    for (const reason of result.skipped) this.#print(`     skipped: ${reason}`);
    for (const failure of result.failures) this.#print(`     failed: ${failure}`);
    const output = stripVTControlCharacters(result.output + result.diagnostics).trimEnd();
    if (result.failed > 0 && output !== "") this.#print(`     output:\n${output}`);
  }

  get passed(): number {
    return this.#sum((result) => result.passed);
  }

  get failed(): number {
    return this.#sum((result) => result.failed);
  }

  get skipped(): number {
    return this.#sum((result) => result.skipped.length);
  }

  /** Files that have begun and not ended. */
  get running(): readonly string[] {
    const running = [...this.#files].filter(([, result]) => !result.hasEnded);
    return running.map(([file]) => relative(this.#root, file));
  }

  /** Prints the slowest files, every skipped test with its reason, and the names of what failed; then the totals, alone on the last line. */
  printSummary(): void {
    const entries = [...this.#files].sort(([, a], [, b]) => b.milliseconds - a.milliseconds);
    this.#print(`\nslowest of ${entries.length} files:`);
    for (const [file, { milliseconds }] of entries.slice(0, SLOWEST_FILES))
      this.#print(`  ${seconds(milliseconds)}  ${relative(this.#root, file)}`);
    this.#printAll("skipped", (result) => result.skipped);
    this.#printAll("failed", (result) => result.failures.map((failure) => failure.split("\n")[0] ?? ""));
    this.#print(`\n${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`);
  }

  #readFileError(result: FileResult, error: unknown): void {
    if (error === undefined || failureType(error) === "subtestsFailed") return;
    result.failed += 1;
    result.failures.push(`the file itself\n${describeError(error)}${describeExit(error)}`);
  }

  #printAll(title: string, list: (result: FileResult) => readonly string[]): void {
    const lines = [...this.#files].flatMap(([file, result]) =>
      list(result).map((line) => `  ${relative(this.#root, file)}: ${line}`),
    );
    if (lines.length > 0) this.#print(`\n${title}:\n${lines.join("\n")}`);
  }

  #resultOf(file: string): FileResult {
    let result = this.#files.get(file);
    if (result === undefined) {
      const output = { output: "", diagnostics: "" };
      result = { passed: 0, failed: 0, skipped: [], failures: [], ...output, milliseconds: 0, hasEnded: false };
      this.#files.set(file, result);
    }
    return result;
  }

  #sum(count: (result: FileResult) => number): number {
    return [...this.#files.values()].reduce((total, result) => total + count(result), 0);
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function failureType(error: unknown): string | undefined {
  return error instanceof Error && "failureType" in error ? String(error.failureType) : undefined;
}

/** The runner wraps what a test threw; people want the cause. */
function describeError(error: unknown): string {
  const thrown = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const text = typeof thrown === "string" ? thrown : inspect(thrown, { depth: 6, colors: false });
  return text.replace(/^/gm, "       ");
}

/** How the process of a file ended, when it is the file that failed. */
function describeExit(error: unknown): string {
  const { exitCode, signal } = error as { readonly exitCode?: unknown; readonly signal?: unknown };
  return ` (exit status ${String(exitCode)}, signal ${String(signal)})`;
}
