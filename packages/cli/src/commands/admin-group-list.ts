import type { Command } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin group list",
  summary: "List the server's groups of accounts",
  description: ["One line a group: its name, and its accounts."],
  arguments: [],
  options: [...dataOptions, outputFormatOption],
  examples: [{ line: "signet admin group list", purpose: "All of them" }],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { listGroups } = await import("@signet/server");
    const groups = await listGroups(offline.database.read);
    if (invocation.get(outputFormatOption) === "json") terminal.json({ groups });
    else
      for (const { name, members } of groups)
        terminal.line(members.length === 0 ? name : `${name}  ${members.join(" ")}`);
    return exitCodes.done;
  },
};
