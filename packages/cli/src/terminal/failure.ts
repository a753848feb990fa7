import { SignetError, UsageError } from "@signet/core";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import { ClosedPipeError } from "./descriptor.ts";
import { InterruptedError } from "./prompt.ts";
import type { Terminal } from "./terminal.ts";

/** Codes whose class is UsageError, while the mistake lies in a file or in the environment and not on the command line: exit 2, not 64. */
const notOnTheCommandLine: ReadonlySet<string> = new Set([
  "passphrase-required",
  "passphrase-wrong",
  "proxy-malformed",
]);

/**
 * Says on standard error what went wrong, as `error: …` and where one is known `hint: …`.
 * @param isDebug adds the stack with its causes
 * @returns the exit status that belongs to it
 */
export function reportFailure(error: unknown, terminal: Terminal, isDebug: boolean): ExitCode {
  if (error instanceof ClosedPipeError) return exitCodes.failed;
  if (error instanceof InterruptedError) return exitCodes.interrupted;
  try {
    terminal.note(`error: ${describeFailure(error)}`);
    const hint = hintOf(error);
    if (hint !== undefined) terminal.note(`hint: ${hint}`);
    if (isDebug) for (const line of describeStack(error)) terminal.note(line);
  } catch {
    // Standard error is gone as well; the exit status still says it.
  }
  return exitStatusOf(error);
}

/** The exit status for something that was thrown. */
export function exitStatusOf(error: unknown): ExitCode {
  if (error instanceof UsageError && !notOnTheCommandLine.has(error.code)) return exitCodes.usage;
  if (error instanceof SignetError && error.code === "image-rejected") return exitCodes.rejected;
  return exitCodes.failed;
}

/** One line for people. */
export function describeFailure(error: unknown): string {
  if (error instanceof SignetError) return error.message;
  return `internal fault: ${error instanceof Error ? error.message : String(error)}`;
}

function hintOf(error: unknown): string | undefined {
  if (error instanceof SignetError) return error.hint;
  return "this is a bug in Signet; please report it with the command and its --debug output";
}

/** Links in a chain of causes that are shown. */
const MAX_CAUSES = 10;

function describeStack(error: unknown): readonly string[] {
  const lines: string[] = [];
  let current = error;
  for (let link = 0; current instanceof Error && link < MAX_CAUSES; link++) {
    const code = current instanceof SignetError ? ` [${current.code}]` : "";
    const stack = (current.stack ?? String(current)).split("\n");
    lines.push(`${link === 0 ? "" : "caused by "}${stack[0]}${code}`, ...stack.slice(1));
    current = current.cause;
  }
  return lines;
}
