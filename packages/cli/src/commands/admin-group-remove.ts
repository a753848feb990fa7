import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin group remove",
  summary: "Remove a group of accounts from the server",
  description: [
    "Removes the group with its memberships and roles; its accounts stay, and have lost what it gave them from the next request on. A later group of that name inherits nothing.",
  ],
  arguments: [{ name: "NAME", summary: "The group", completion: "nothing" }],
  options: dataOptions,
  examples: [{ line: "signet admin group remove developers", purpose: "A team that is no more" }],
  async run(invocation, runtime) {
    const [name] = invocation.arguments as [string];
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { removeGroup } = await import("@signet/server");
    await removeGroup(offline.audited("group.change", name, { change: "remove" }), name);
    runtime.terminal.line(`group ${name} is removed`);
    return exitCodes.done;
  },
};
