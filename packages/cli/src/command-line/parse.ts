import { UsageError } from "@signet/core";
import type { ArgumentSpec, Command, Invocation, OptionSpec } from "./command.ts";
import { findNearest } from "./nearest.ts";

type Pair = readonly [string, string];

type Value = boolean | string | number | readonly string[] | readonly Pair[];

/** Reads option tokens; shared by what stands before and after the command's name. */
interface Reader {
  readonly tokens: readonly string[];
  position: number;
}

/**
 * Reads a command's tokens, by the habits of GNU and Go tools: `--name value`, `--name=value`, `-n value`, `-nvalue`, single-letter flags together, `--` ends
 * the options, and options may stand between arguments. An option that takes one value may be given once.
 *
 * @param tokens what follows the command's name
 * @throws UsageError `command-line-malformed`
 */
export function parseInvocation(
  command: Command,
  options: readonly OptionSpec[],
  tokens: readonly string[],
): Invocation {
  const values = new Map<string, Value>();
  const positional: string[] = [];
  const reader: Reader = { tokens, position: 0 };
  while (reader.position < tokens.length) {
    const token = tokens[reader.position++]!;
    if (token === "--") {
      positional.push(...tokens.slice(reader.position));
      break;
    }
    if (token.startsWith("--")) readLong(token, reader, options, values, command.name);
    else if (token.startsWith("-") && token !== "-") readShort(token, reader, options, values, command.name);
    else positional.push(token);
  }
  if (values.get("help") !== true) checkArguments(command, positional);
  return {
    arguments: positional,
    get: ((option: OptionSpec) => {
      if (!options.includes(option)) throw new Error(`${command.name} does not declare --${option.name}`);
      return values.get(option.name) ?? absentValue(option);
    }) as Invocation["get"],
  };
}

function absentValue({ kind }: OptionSpec): Value | undefined {
  if (kind === "flag") return false;
  return kind === "list" || kind === "pair" ? [] : undefined;
}

/**
 * Splits off the options that stand before the command's name, as skopeo's global options do: `signet --policy FILE verify IMAGE`.
 * @param options those that may stand there
 * @returns the tokens from the command's name on, and those before it
 * @throws UsageError `command-line-malformed`
 */
export function splitLeadingOptions(
  tokens: readonly string[],
  options: readonly OptionSpec[],
): { readonly leading: readonly string[]; readonly rest: readonly string[] } {
  const reader: Reader = { tokens, position: 0 };
  const values = new Map<string, Value>();
  while (reader.position < tokens.length) {
    const token = tokens[reader.position]!;
    if (!token.startsWith("-") || token === "-" || token === "--") break;
    reader.position++;
    if (token.startsWith("--")) readLong(token, reader, options, values, undefined);
    else readShort(token, reader, options, values, undefined);
  }
  return { leading: tokens.slice(0, reader.position), rest: tokens.slice(reader.position) };
}

function readLong(
  token: string,
  reader: Reader,
  options: readonly OptionSpec[],
  values: Map<string, Value>,
  command: string | undefined,
): void {
  const equals = token.indexOf("=");
  const name = token.slice(2, equals < 0 ? undefined : equals);
  const attached = equals < 0 ? undefined : token.slice(equals + 1);
  const option = options.find((candidate) => candidate.name === name);
  if (option === undefined) throw unknownOption(`--${name}`, options, command);
  if (option.kind === "flag" && attached !== undefined && attached !== "true") {
    if (attached !== "false") throw usage(`--${name} takes no value`, command);
    return;
  }
  store(option, readValue(option, `--${name}`, attached, reader, command), values, command);
}

function readShort(
  token: string,
  reader: Reader,
  options: readonly OptionSpec[],
  values: Map<string, Value>,
  command: string | undefined,
): void {
  for (let at = 1; at < token.length; at++) {
    const letter = token[at]!;
    const option = options.find((candidate) => candidate.short === letter);
    if (option === undefined) throw unknownOption(`-${letter}`, options, command);
    if (option.kind === "flag" || option.kind === "switch") {
      store(option, true, values, command);
      continue;
    }
    const rest = token.slice(at + 1);
    const attached = rest === "" ? undefined : rest.startsWith("=") ? rest.slice(1) : rest;
    store(option, readValue(option, `-${letter}`, attached, reader, command), values, command);
    return;
  }
}

function readValue(
  option: OptionSpec,
  shown: string,
  attached: string | undefined,
  reader: Reader,
  command: string | undefined,
): boolean | string | number | Pair {
  if (option.kind === "flag") return true;
  if (option.kind === "switch") {
    // A value must be attached, or `--tls-verify docker://…` would swallow the image.
    if (attached === undefined || attached === "true") return true;
    if (attached === "false") return false;
    throw usage(`${shown} is true or false, not ${JSON.stringify(attached)}`, command);
  }
  const text = attached ?? reader.tokens[reader.position++];
  if (text === undefined) throw usage(`${shown} needs a value: ${option.value}`, command);
  if (option.kind === "number") {
    const number = /^[0-9]{1,15}$/.test(text) ? Number(text) : -1;
    if (number < option.minimum || number > option.maximum) {
      throw usage(
        `${shown} is a whole number from ${option.minimum} to ${option.maximum}, not ${JSON.stringify(text)}`,
        command,
      );
    }
    return number;
  }
  if (text === "") throw usage(`${shown} must not be empty`, command);
  const choices = option.kind === "text" || option.kind === "pair" ? option.choices : undefined;
  const isOtherChoice = option.kind === "text" && option.otherChoices?.includes(text) === true;
  if (choices !== undefined && !isOtherChoice && !choices.includes(text)) {
    throw usage(`${shown} is one of ${choices.join(", ")}, not ${JSON.stringify(text)}`, command);
  }
  if (option.kind !== "pair") return text;
  const second = reader.tokens[reader.position++];
  // A forgotten file would else be named after the option that follows.
  if (second === undefined || second === "" || second.startsWith("--"))
    throw usage(`${shown} needs two values: ${option.value}`, command);
  return [text, second];
}

function store(
  option: OptionSpec,
  value: boolean | string | number | Pair,
  values: Map<string, Value>,
  command: string | undefined,
): void {
  if (option.kind === "list") {
    values.set(option.name, [...((values.get(option.name) as readonly string[] | undefined) ?? []), value as string]);
    return;
  }
  if (option.kind === "pair") {
    values.set(option.name, [...((values.get(option.name) as readonly Pair[] | undefined) ?? []), value as Pair]);
    return;
  }
  // The last one winning would let a wrapper script's `--policy` be undone without a word.
  if (values.has(option.name) && values.get(option.name) !== value)
    throw usage(`--${option.name} was given twice, with different values`, command);
  values.set(option.name, value);
}

function checkArguments(command: Command, positional: readonly string[]): void {
  const specs = command.arguments;
  const least = specs.filter((spec) => spec.optional !== true).length;
  const most = specs.at(-1)?.repeats === true ? Infinity : specs.length;
  if (positional.length < least) throw usage(`${specs[positional.length]!.name} is missing`, command.name);
  if (positional.length > most)
    throw usage(`one argument too many: ${JSON.stringify(positional[specs.length])}`, command.name);
  positional.forEach((text, index) => checkArgument(specs[Math.min(index, specs.length - 1)]!, text, command.name));
}

function checkArgument(spec: ArgumentSpec, text: string, command: string): void {
  if (text === "" && spec.mayBeEmpty !== true) throw usage(`${spec.name} must not be empty`, command);
  if (spec.choices !== undefined && !spec.choices.includes(text))
    throw usage(`${spec.name} is one of ${spec.choices.join(", ")}, not ${JSON.stringify(text)}`, command);
}

function unknownOption(shown: string, options: readonly OptionSpec[], command: string | undefined): UsageError {
  const nearest = findNearest(
    shown,
    options.filter((option) => option.hidden !== true).map((option) => `--${option.name}`),
  );
  const where = command === undefined ? "" : ` for ${command}`;
  return usage(
    `unknown option ${shown}${where}`,
    command,
    nearest === undefined ? undefined : `did you mean ${nearest}?`,
  );
}

/** A mistake on the command line; without a better hint it points to the help. */
export function usage(problem: string, command?: string, hint?: string): UsageError {
  return new UsageError("command-line-malformed", problem, {
    hint: hint ?? `see \`signet ${command === undefined ? "" : `${command} `}--help\``,
  });
}
