import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin user disable",
  summary: "Shut an account of the server out",
  description: [
    "Passwords, access tokens and bearer tokens of the account are refused from the next request on. Nothing of it is lost; `signet admin user enable` lets it in again.",
    "The last account that may administer the server is not disabled.",
  ],
  arguments: [{ name: "NAME", summary: "The account", completion: "nothing" }],
  options: dataOptions,
  examples: [{ line: "signet admin user disable ann", purpose: "Somebody who is on leave" }],
  async run(invocation, runtime) {
    const [name] = invocation.arguments as [string];
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { setDisabled } = await import("@signet/server");
    await setDisabled(offline.audited("account.disable", name), name, true);
    runtime.terminal.line(`${name} is disabled`);
    return exitCodes.done;
  },
};
