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

function groups(commands: readonly Command[]): ReadonlyMap<string, readonly Command[]> {
  const found = new Map<string, Command[]>();
  for (const command of commands) {
    const [first, second] = command.name.split(" ");
    if (second !== undefined) found.set(first!, [...(found.get(first!) ?? []), command]);
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
      `    ${group}) COMPREPLY=($(compgen -W "${members.map((member) => member.name.split(" ")[1]).join(" ")}" -- "$current")) ;;`,
  );
  return `# bash completion for signet
_signet() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "${firstWords(commands).join(" ")} help" -- "$current"))
    return
  fi
  case "$command" in
    ${[...groups(commands).keys()].join("|")}) ((COMP_CWORD > 2)) && command="$command \${COMP_WORDS[2]}" ;;
  esac
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
    commands
      .filter((command) => command.name.startsWith(`${word} `))
      .map((command) => command.name.split(" ")[1])
      .join(", ");
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
    const words = members.map((member) => described(member.name.split(" ")[1]!, member.summary)).join(" ");
    return `    ${group}) local -a members=(${words}); _describe 'command' members ;;`;
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
  case $command in
    ${[...groups(commands).keys()].join("|")}) if ((CURRENT > 3)); then command="$command $words[3]"; shift words; ((CURRENT--)); fi ;;
  esac
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
    const words = members.map((member) => member.name.split(" ")[1]!);
    const condition = `'__fish_seen_subcommand_from ${group}; and not __fish_seen_subcommand_from ${words.join(" ")}'`;
    members.forEach((member, index) => {
      lines.push(`complete -c signet -n ${condition} -a ${words[index]} -d ${quoted(member.summary)}`);
    });
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
