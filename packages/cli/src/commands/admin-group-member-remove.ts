import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { groupMemberArguments } from "../server/group-arguments.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin group member remove",
  summary: "Take an account of the server out of a group",
  description: [
    "The account has lost the group's roles from the next request on, also where it holds a bearer token. What it has by itself or by other groups stays.",
  ],
  arguments: groupMemberArguments,
  options: dataOptions,
  examples: [{ line: "signet admin group member remove developers ann", purpose: "Somebody who changes teams" }],
  async run(invocation, runtime) {
    const [group, account] = invocation.arguments as [string, string];
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { removeMember } = await import("@signet/server");
    await removeMember(offline.audited("group.change", group, { change: "member-remove", account }), group, account);
    runtime.terminal.line(`${account} is no longer in group ${group}`);
    return exitCodes.done;
  },
};
