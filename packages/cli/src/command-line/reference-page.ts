/** docs/cli.md, written from the commands' own help: `node --conditions=@signet/source packages/cli/src/command-line/reference-page.ts`. A test compares. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadCommands } from "../command-index.ts";
import type { Command } from "./command.ts";
import { describeCommand, describeProgram } from "./help.ts";

/** Relative to the repository. */
export const referencePage = "docs/cli.md";

/** The whole page. */
export function writeReferencePage(commands: readonly Command[]): string {
  const sections = commands.map((command) => [`## signet ${command.name}`, "", ...fenced(describeCommand(command))]);
  return [
    "# Command line",
    "",
    "What `signet --help` and `signet COMMAND --help` print; a test compares this page with them.",
    "",
    ...fenced(describeProgram(commands)),
    ...sections.flat(),
  ].join("\n");
}

function fenced(lines: readonly string[]): readonly string[] {
  return ["```text", ...lines, "```", ""];
}

if (import.meta.main) {
  const commands = await loadCommands();
  writeFileSync(join(import.meta.dirname, "../../../..", referencePage), writeReferencePage(commands));
  console.log(`${referencePage}: ${commands.length} commands`);
}
