/** What a command declares: its arguments, options and examples. Parsing, help, completion and the documents are all made from this one description. */
import type { Runtime } from "../runtime.ts";
import type { ExitCode } from "./exit-code.ts";

/** What the shell should offer for a value. */
export type Completion = "file" | "directory" | "nothing";

interface OptionBase {
  /** Long name without dashes: `policy`. */
  readonly name: string;
  /** One letter, without dash. */
  readonly short?: string;
  /** One line for the help, without a full stop. */
  readonly summary: string;
  /** True: understood, for those who come from another tool, and left out of help and completion. */
  readonly hidden?: boolean;
}

/** `--all`: there or not. */
export interface FlagOption extends OptionBase {
  readonly kind: "flag";
}

/** `--tls-verify`, `--tls-verify=false`: three states, undefined when it is not given. */
export interface SwitchOption extends OptionBase {
  readonly kind: "switch";
}

/** `--policy FILE`: at most once. */
export interface TextOption extends OptionBase {
  readonly kind: "text";
  /** What stands for the value in the help: `FILE`. */
  readonly value: string;
  /** When given, no other value is taken. */
  readonly choices?: readonly string[];
  /** Words taken beside {@link choices}, for those who come from another tool, and shown nowhere. */
  readonly otherChoices?: readonly string[];
  readonly completion?: Completion;
}

/** `--key FILE`: as often as wanted. */
export interface ListOption extends OptionBase {
  readonly kind: "list";
  readonly value: string;
  readonly completion?: Completion;
}

/** `--jobs N`: a whole number within bounds. */
export interface NumberOption extends OptionBase {
  readonly kind: "number";
  readonly value: string;
  readonly minimum: number;
  readonly maximum: number;
}

/** `--report html FILE`: two values, as often as wanted; the first is one of a few. */
export interface PairOption extends OptionBase {
  readonly kind: "pair";
  /** What stands for both values in the help: `FORMAT FILE`. */
  readonly value: string;
  /** What the first may be. */
  readonly choices: readonly string[];
}

export type OptionSpec = FlagOption | SwitchOption | TextOption | ListOption | NumberOption | PairOption;

/** A positional argument. Only the last one may repeat, and only the last ones may be optional. */
export interface ArgumentSpec {
  readonly name: string;
  readonly summary: string;
  readonly optional?: boolean;
  readonly repeats?: boolean;
  /** True: `''` is an argument like others, and not the mistake of a script. */
  readonly mayBeEmpty?: boolean;
  readonly choices?: readonly string[];
  readonly completion?: Completion;
}

/** A line that can be typed, and what it is for. */
export interface Example {
  readonly line: string;
  readonly purpose: string;
}

/** One command of `signet`. */
export interface Command {
  /** The words that call it: `verify`, `keys list`. */
  readonly name: string;
  /** One line, without a full stop. */
  readonly summary: string;
  /** Paragraphs of the help. */
  readonly description: readonly string[];
  readonly arguments: readonly ArgumentSpec[];
  /** Without those every command has; see `everyCommandOptions`. */
  readonly options: readonly OptionSpec[];
  /** At least one. */
  readonly examples: readonly Example[];
  /**
   * Does the work. What prevents it is thrown as a `SignetError`.
   * @returns the exit status of the process
   */
  run(invocation: Invocation, runtime: Runtime): Promise<ExitCode>;
}

/** One call of a command: its arguments and options after parsing. */
export interface Invocation {
  /** Positional arguments in order; their number fits the command's {@link ArgumentSpec}s. */
  readonly arguments: readonly string[];
  /** The option's value; a flag that was not given is false, a list or pair empty, anything else undefined. */
  get(option: FlagOption): boolean;
  get(option: SwitchOption): boolean | undefined;
  get(option: ListOption): readonly string[];
  get(option: PairOption): readonly (readonly [string, string])[];
  get(option: NumberOption): number | undefined;
  get(option: TextOption): string | undefined;
}
