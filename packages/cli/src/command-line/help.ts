import type { UsageError } from "@signet/core";
import type { Command, OptionSpec } from "./command.ts";
import { everyCommandOptions } from "./common-options.ts";
import { findNearest } from "./nearest.ts";
import { usage } from "./parse.ts";

/** Columns that a help text fills at most, whatever the terminal: the same text everywhere, and in the documents. */
const WIDTH = 100;

/** Columns before a description. */
const INDENT = 30;

/** The help of one command, line by line. */
export function describeCommand(command: Command): readonly string[] {
  const lines = [`Usage: signet ${command.name}${usageOf(command)}`, ""];
  for (const paragraph of command.description) lines.push(...wrap(paragraph, WIDTH), "");
  if (command.arguments.length > 0) {
    lines.push("Arguments:");
    for (const argument of command.arguments) lines.push(...row(argument.name, argument.summary));
    lines.push("");
  }
  lines.push("Options:");
  for (const option of [...command.options, ...everyCommandOptions]) {
    if (option.hidden !== true) lines.push(...row(formOf(option), option.summary));
  }
  lines.push("", command.examples.length === 1 ? "Example:" : "Examples:");
  for (const example of command.examples) lines.push(`  # ${example.purpose}`, `  ${example.line}`, "");
  return lines.slice(0, -1);
}

/** The help of `signet`, or of a group such as `signet keys`. */
export function describeProgram(commands: readonly Command[], group?: string): readonly string[] {
  const lines = [`Usage: signet ${group === undefined ? "" : `${group} `}COMMAND [OPTIONS] …`, ""];
  if (group === undefined) lines.push("Signs, stores, verifies and inspects container image signatures.", "");
  lines.push("Commands:");
  for (const command of commands) lines.push(...row(command.name, command.summary));
  lines.push(
    "",
    "Exit status:",
    "  0  done, or accepted",
    "  1  rejected: a signature, policy or check said no; of several things, this outranks 2",
    "  2  could not tell or could not do: files, network, malformed configuration",
    "  64 the command line was wrong",
    "",
    "`signet COMMAND --help` has the options of a command and an example; `signet --version` the version.",
  );
  return lines;
}

/** For words that are no command. */
export function unknownCommand(words: readonly string[], commands: readonly Command[]): UsageError {
  const names = commands.map((command) => command.name);
  // As many words as begin some name, and the one after them, which does not.
  let known = 0;
  const prefix = (): string => words.slice(0, known + 1).join(" ");
  while (known < words.length && names.some((name) => name.startsWith(`${prefix()} `))) known++;
  const called = prefix();
  const nearest = findNearest(called, names);
  if (nearest !== undefined)
    return usage(`unknown command ${called}`, undefined, `did you mean \`signet ${nearest}\`?`);
  const group = known === 0 ? [] : names.filter((name) => name.startsWith(`${words.slice(0, known).join(" ")} `));
  return usage(
    `unknown command ${called}`,
    undefined,
    group.length === 0 ? undefined : `there are ${group.map((name) => `\`signet ${name}\``).join(", ")}`,
  );
}

function usageOf(command: Command): string {
  const words = command.arguments.map((argument) => {
    const name = `${argument.choices === undefined ? argument.name : argument.choices.join("|")}${argument.repeats === true ? "…" : ""}`;
    return argument.optional === true ? ` [${name}]` : ` ${name}`;
  });
  return `${words.join("")} [OPTIONS]`;
}

function formOf(option: OptionSpec): string {
  const short = option.short === undefined ? "    " : `-${option.short}, `;
  const value = option.kind === "flag" ? "" : option.kind === "switch" ? "[=true|false]" : ` ${option.value}`;
  return `${short}--${option.name}${value}`;
}

/** A name with its description beside it, or below it where it is too long. */
function row(name: string, text: string): readonly string[] {
  const wrapped = wrap(text, WIDTH - INDENT);
  const head = `  ${name}`;
  if (head.length > INDENT - 2) return [head, ...wrapped.map((line) => `${" ".repeat(INDENT)}${line}`)];
  return wrapped.map((line, index) => `${(index === 0 ? head : "").padEnd(INDENT)}${line}`);
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
