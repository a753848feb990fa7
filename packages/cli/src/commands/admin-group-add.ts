import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin group add",
  summary: "Make a group of accounts on the server",
  description: [
    "The group is empty and may nothing: `signet admin group member add` puts accounts into it, and `signet admin role grant ROLE group:NAME` gives it a role, which every member has.",
  ],
  arguments: [{ name: "NAME", summary: "Lower-case letters, digits and . _ @ + -", completion: "nothing" }],
  options: dataOptions,
  examples: [{ line: "signet admin group add developers", purpose: "A group for a team" }],
  async run(invocation, runtime) {
    const [name] = invocation.arguments as [string];
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { createGroup } = await import("@signet/server");
    await createGroup(offline.audited("group.change", name, { change: "add" }), name, runtime.now());
    runtime.terminal.line(`group ${name} was made`);
    return exitCodes.done;
  },
};
