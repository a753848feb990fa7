/** Completion scripts, made from the commands' own descriptions. They ask nothing of `signet` at run time, so that a key press costs nothing. */
import type { Command, Completion, OptionSpec } from "./command.ts";
import { everyCommandOptions } from "./common-options.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** The script for one shell. */
export function writeCompletion(shell: Shell, commands: readonly Command[]): string {
  if (shell === "bash") return writeBash(commands);
  return shell === "zsh" ? writeZsh(commands) : writeFish(commands);
}

function optionsOf(command: Command): readonly OptionSpec[] {
  return [...command.options, ...everyCommandOptions].filter((option) => option.hidden !== true);
}

function completionOf(option: OptionSpec): Completion {
  return option.kind === "text" || option.kind === "list" ? (option.completion ?? "nothing") : "nothing";
}

function takesValue(option: OptionSpec): boolean {
  return option.kind !== "flag" && option.kind !== "switch";
}

function choicesOf(option: OptionSpec): readonly string[] {
  return option.kind === "text" || option.kind === "pair" ? (option.choices ?? []) : [];
}

/** Words that may follow `prefix` in a command's name: `list`, `show` after `keys`. */
function firstWords(commands: readonly Command[]): readonly string[] {
  return [...new Set(commands.map((command) => command.name.split(" ")[0]!))];
}

/** A word that may follow in a command's name, and what it does; of a group, its own words. */
interface NextWord {
  readonly word: string;
  readonly summary: string;
}

/** The words that may follow the first ones of a name: after `keys`, `admin` and `admin user`. */
function groups(commands: readonly Command[]): ReadonlyMap<string, readonly NextWord[]> {
  const found = new Map<string, NextWord[]>();
  for (const command of commands) {
    const words = command.name.split(" ");
    for (let length = 1; length < words.length; length++) {
      const prefix = words.slice(0, length).join(" ");
      const members = found.get(prefix) ?? [];
      found.set(prefix, members);
      const word = words[length]!;
      const summary = length === words.length - 1 ? command.summary : `signet ${prefix} ${word} …`;
      if (!members.some((member) => member.word === word)) members.push({ word, summary });
    }
  }
  return found;
}

function writeBash(commands: readonly Command[]): string {
  const cases = commands.map((command) => {
    const words = optionsOf(command).map((option) => `--${option.name}`);
    const values = optionsOf(command)
      .filter(takesValue)
      .map((option) => {
        const forms = [`--${option.name}`, ...(option.short === undefined ? [] : [`-${option.short}`])].join("|");
        return `        ${forms}) ${bashReply(choicesOf(option), completionOf(option))} return ;;`;
      });
    const choices = command.arguments[0]?.choices ?? [];
    return [
      `    "${command.name}")`,
      '      case "$previous" in',
      ...values,
      "      esac",
      "      if [[ $current == -* ]]; then",
      `        COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$current"))`,
      "      else",
      `        ${bashReply(choices, "file")}`,
      "      fi ;;",
    ].join("\n");
  });
  const inGroups = [...groups(commands)].map(
    ([group, members]) =>
      `    "${group}") COMPREPLY=($(compgen -W "${members.map((member) => member.word).join(" ")}" -- "$current")) ;;`,
  );
  return `# bash completion for signet
_signet() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]} depth=2
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "${firstWords(commands).join(" ")} help" -- "$current"))
    return
  fi
  while ((COMP_CWORD > depth)); do
    case "$command" in
      ${[...groups(commands).keys()].map((group) => `"${group}"`).join("|")}) command="$command \${COMP_WORDS[depth]}"; ((depth++)) ;;
      *) break ;;
    esac
  done
  case "$command" in
${[...inGroups, ...cases].join("\n")}
    help) COMPREPLY=($(compgen -W "${firstWords(commands).join(" ")}" -- "$current")) ;;
  esac
}
complete -o filenames -F _signet signet
`;
}

function bashReply(choices: readonly string[], completion: Completion): string {
  if (choices.length > 0) return `COMPREPLY=($(compgen -W "${choices.join(" ")}" -- "$current"));`;
  if (completion === "file") return 'COMPREPLY=($(compgen -f -- "$current"));';
  return completion === "directory" ? 'COMPREPLY=($(compgen -d -- "$current"));' : ":;";
}

function writeZsh(commands: readonly Command[]): string {
  const described = (name: string, summary: string): string => `'${zshText(name)}:${zshText(summary)}'`;
  const summaryOf = (word: string): string =>
    commands.find((command) => command.name === word)?.summary ??
    (groups(commands).get(word) ?? []).map((member) => member.word).join(", ");
  const cases = commands.map((command) => {
    const options = optionsOf(command).map((option) => `        ${zshOption(option)}`);
    const choices = command.arguments[0]?.choices;
    const rest = choices === undefined ? "'*:argument:_files'" : `'1:argument:(${choices.join(" ")})'`;
    return [
      `    '${command.name}')`,
      "      _arguments -s \\",
      ...options.map((line) => `${line} \\`),
      `        ${rest} ;;`,
    ].join("\n");
  });
  const inGroups = [...groups(commands)].map(([group, members]) => {
    const words = members.map((member) => described(member.word, member.summary)).join(" ");
    return `    '${group}') local -a members=(${words}); _describe 'command' members ;;`;
  });
  return `#compdef signet
# zsh completion for signet
_signet() {
  local command=$words[2]
  if ((CURRENT == 2)); then
    local -a commands=(${firstWords(commands)
      .map((word) => described(word, summaryOf(word)))
      .join(" ")})
    _describe 'command' commands
    return
  fi
  while ((CURRENT > 3)); do
    case $command in
      ${[...groups(commands).keys()].map((group) => `'${group}'`).join("|")}) command="$command $words[3]"; shift words; ((CURRENT--)) ;;
      *) break ;;
    esac
  done
  shift words; ((CURRENT--))
  case $command in
${[...inGroups, ...cases].join("\n")}
  esac
}
if [ "$funcstack[1]" = "_signet" ]; then _signet "$@"; else compdef _signet signet; fi
`;
}

function zshOption(option: OptionSpec): string {
  const star = option.kind === "list" || option.kind === "pair" ? "*" : "";
  const choices = choicesOf(option);
  const completion = completionOf(option);
  const action =
    choices.length > 0
      ? `(${choices.join(" ")})`
      : completion === "file"
        ? "_files"
        : completion === "directory"
          ? "_files -/"
          : " ";
  const second = option.kind === "pair" ? ":file:_files" : "";
  const value = takesValue(option) ? `:value:${action}${second}` : "";
  const assigned = takesValue(option) ? "=" : "";
  return `'${star}--${option.name}${assigned}[${zshText(option.summary)}]${value}'`;
}

/** Inside single quotes, where brackets and colons have a meaning of their own. */
function zshText(text: string): string {
  return text.replaceAll("'", "'\\''").replace(/[[\]:]/g, (character) => `\\${character}`);
}

function writeFish(commands: readonly Command[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = ["# fish completion for signet", "complete -c signet -f"];
  for (const word of firstWords(commands)) {
    const summary = commands.find((command) => command.name === word)?.summary ?? `signet ${word} …`;
    lines.push(`complete -c signet -n __fish_use_subcommand -a ${word} -d ${quoted(summary)}`);
  }
  for (const [group, members] of groups(commands)) {
    const words = members.map((member) => member.word);
    const seen = group.split(" ").map((word) => `__fish_seen_subcommand_from ${word}`);
    const condition = `'${seen.join("; and ")}; and not __fish_seen_subcommand_from ${words.join(" ")}'`;
    for (const { word, summary } of members) {
      lines.push(`complete -c signet -n ${condition} -a ${word} -d ${quoted(summary)}`);
    }
  }
  for (const command of commands) {
    const condition = `'${command.name
      .split(" ")
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join("; and ")}'`;
    const choices = command.arguments[0]?.choices;
    const argument = choices === undefined ? "-F" : `-a ${quoted(choices.join(" "))}`;
    lines.push(`complete -c signet -n ${condition} ${argument}`);
    for (const option of optionsOf(command)) {
      const short = option.short === undefined ? "" : ` -s ${option.short}`;
      const value = fishValue(option, quoted);
      lines.push(`complete -c signet -n ${condition} -l ${option.name}${short}${value} -d ${quoted(option.summary)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function fishValue(option: OptionSpec, quoted: (text: string) => string): string {
  if (!takesValue(option)) return "";
  const choices = choicesOf(option);
  if (choices.length > 0) return ` -x -a ${quoted(choices.join(" "))}`;
  const completion = completionOf(option);
  if (completion === "file") return " -r -F";
  return completion === "directory" ? " -x -a '(__fish_complete_directories)'" : " -x";
}
