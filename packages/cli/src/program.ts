/** The composition root: every real part (clock, environment, streams) is chosen here. */
import { fstatSync } from "node:fs";
import { commandNames, loadCommand, loadCommands } from "./command-index.ts";
import type { Command, Invocation, OptionSpec } from "./command-line/command.ts";
import {
  debugOption,
  everyCommandOptions,
  helpOption,
  leadingOptions,
  quietOption,
  versionOption,
} from "./command-line/common-options.ts";
import { type ExitCode, exitCodes } from "./command-line/exit-code.ts";
import { parseInvocation, splitLeadingOptions } from "./command-line/parse.ts";
import { Interruption } from "./interruption.ts";
import { reportFailure } from "./terminal/failure.ts";
import { type Progress, makeProgress } from "./terminal/progress.ts";
import { Terminal } from "./terminal/terminal.ts";

/** Runs the command that the process was started with, and ends the process with its exit status. */
export async function runProgram(): Promise<void> {
  const tokens = process.argv.slice(2);
  const isTerminal = await isTty(1);
  const terminal = new Terminal({ isTerminal, colours: isTerminal && takesEscapes() });
  const fail = (error: unknown): ExitCode => reportFailure(error, terminal, tokens.includes(`--${debugOption.name}`));
  process.on("uncaughtException", (error) => process.exit(fail(error)));
  let status: ExitCode;
  try {
    status = await dispatch(tokens, terminal);
  } catch (error) {
    status = fail(error);
  }
  // Idle connections of a registry client must not keep a finished command waiting.
  process.exit(status);
}

async function dispatch(tokens: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { leading, rest } = splitLeadingOptions(tokens, leadingOptions);
  const name = nameOfCommand(rest);
  if (name === undefined) return runWithoutCommand(leading, rest, terminal);
  const command = await loadCommand(name);
  const options: readonly OptionSpec[] = [...command.options, ...everyCommandOptions];
  const invocation = parseInvocation(command, options, [...leading, ...rest.slice(name.split(" ").length)]);
  if (invocation.get(helpOption)) return showHelp(command, terminal);
  return runCommand(command, invocation, terminal);
}

/** Commands have one to four words; the longer name wins. */
function nameOfCommand(tokens: readonly string[]): string | undefined {
  const candidates = [4, 3, 2, 1].map((length) => tokens.slice(0, length).join(" "));
  return candidates.find((candidate) => commandNames.includes(candidate));
}

async function runCommand(command: Command, invocation: Invocation, terminal: Terminal): Promise<ExitCode> {
  const progress = await chooseProgress(invocation.get(quietOption));
  terminal.showProgress(progress);
  const interruption = new Interruption();
  try {
    return await command.run(invocation, {
      terminal,
      progress,
      env: process.env,
      now: () => Date.now(),
      interruption,
      askSecret: async (question) => (await import("./terminal/prompt.ts")).askSecret(question),
    });
  } catch (error) {
    // What fails because it was interrupted is no news; the interruption ends the process when all is taken back.
    if (interruption.signal.aborted) await interruption.ended;
    throw error;
  } finally {
    progress.clear();
  }
}

/** `signet`, `signet --help`, `signet help verify`, `signet keys`, `signet veryfi`. */
async function runWithoutCommand(
  leading: readonly string[],
  rest: readonly string[],
  terminal: Terminal,
): Promise<ExitCode> {
  const wanted = rest[0] === "help" ? rest.slice(1) : rest;
  const name = nameOfCommand(wanted);
  if (name !== undefined) return showHelp(await loadCommand(name), terminal);
  const asksFor = (option: { readonly name: string; readonly short?: string }): boolean =>
    [...leading, ...rest].some((token) => token === `--${option.name}` || token === `-${option.short}`);
  if (asksFor(versionOption)) {
    const { version } = await import("./version.ts");
    terminal.line(`signet ${version}`);
    return exitCodes.done;
  }
  const { describeProgram, unknownCommand } = await import("./command-line/help.ts");
  const commands = await loadCommands();
  const words = wanted.filter((token) => !token.startsWith("-"));
  const group = commands.filter((command) => command.name.startsWith(`${words.join(" ")} `));
  const isAsked = rest[0] === "help" || asksFor(helpOption);
  if (words.length > 0 && group.length === 0) throw unknownCommand(words, commands);
  const called = words.length === 0 ? undefined : words.join(" ");
  for (const line of describeProgram(called === undefined ? commands : group, called))
    if (isAsked) terminal.line(line);
    else terminal.note(line);
  return isAsked ? exitCodes.done : exitCodes.usage;
}

async function showHelp(command: Command, terminal: Terminal): Promise<ExitCode> {
  const { describeCommand } = await import("./command-line/help.ts");
  for (const line of describeCommand(command)) terminal.line(line);
  return exitCodes.done;
}

/** Columns of a terminal that does not say how wide it is. */
const DEFAULT_COLUMNS = 80;

async function chooseProgress(isQuiet: boolean): Promise<Progress> {
  if (isQuiet) return makeProgress("none", 0);
  if (!(await isTty(2)) || !takesEscapes()) return makeProgress("lines", 0);
  return makeProgress("bar", process.stderr.columns || DEFAULT_COLUMNS);
}

/** https://no-color.org: any value but the empty one asks for plain text. */
function takesEscapes(): boolean {
  return (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb";
}

/** Asks the file first: Node's terminal module is not loaded for pipes and files. */
async function isTty(descriptor: 1 | 2): Promise<boolean> {
  try {
    if (!fstatSync(descriptor).isCharacterDevice()) return false;
  } catch {
    return false;
  }
  const { isatty } = await import("node:tty");
  return isatty(descriptor);
}
