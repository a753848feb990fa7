import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin user remove",
  summary: "Remove an account from the server",
  description: [
    "Removes the account with its access tokens, memberships and roles. A later account of that name inherits nothing; what the account pushed stays.",
    "The last account that may administer the server is not removed.",
  ],
  arguments: [{ name: "NAME", summary: "The account", completion: "nothing" }],
  options: dataOptions,
  examples: [{ line: "signet admin user remove ann", purpose: "Somebody who has left" }],
  async run(invocation, runtime) {
    const [name] = invocation.arguments as [string];
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { removeAccount } = await import("@signet/server");
    await removeAccount(offline.audited("account.delete", name), name);
    runtime.terminal.line(`${name} is removed`);
    return exitCodes.done;
  },
};
