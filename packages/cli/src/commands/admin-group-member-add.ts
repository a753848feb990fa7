import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { groupMemberArguments } from "../server/group-arguments.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin group member add",
  summary: "Put an account of the server into a group",
  description: [
    "The account, a user or a robot, has the group's roles from the next request on. One that is in the group already stays there.",
  ],
  arguments: groupMemberArguments,
  options: dataOptions,
  examples: [{ line: "signet admin group member add developers ann", purpose: "Somebody new in a team" }],
  async run(invocation, runtime) {
    const [group, account] = invocation.arguments as [string, string];
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { addMember } = await import("@signet/server");
    await addMember(offline.audited("group.change", group, { change: "member-add", account }), group, account);
    runtime.terminal.line(`${account} is in group ${group}`);
    return exitCodes.done;
  },
};
