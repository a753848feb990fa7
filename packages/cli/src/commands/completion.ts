import type { ArgumentSpec, Command } from "../command-line/command.ts";
import { type Shell, shells, writeCompletion } from "../command-line/completion.ts";
import { exitCodes } from "../command-line/exit-code.ts";

const shellArgument: ArgumentSpec = { name: "SHELL", choices: shells, summary: "bash, zsh or fish" };

export const command: Command = {
  name: "completion",
  summary: "Print a script that completes signet's commands and options in a shell",
  description: [
    "Prints a completion script for the shell. It knows every command and option, and runs without calling signet.",
  ],
  arguments: [shellArgument],
  options: [],
  examples: [
    { line: "source <(signet completion bash)", purpose: "For this bash session" },
    { line: "signet completion fish > ~/.config/fish/completions/signet.fish", purpose: "For every fish session" },
  ],
  async run(invocation, { terminal }) {
    const { loadCommands } = await import("../command-index.ts");
    terminal.bytes(new TextEncoder().encode(writeCompletion(invocation.arguments[0] as Shell, await loadCommands())));
    return exitCodes.done;
  },
};
