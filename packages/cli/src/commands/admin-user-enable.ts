import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin user enable",
  summary: "Let a disabled account of the server in again",
  description: ["Undoes `signet admin user disable`."],
  arguments: [{ name: "NAME", summary: "The account", completion: "nothing" }],
  options: dataOptions,
  examples: [{ line: "signet admin user enable ann", purpose: "Somebody who is back" }],
  async run(invocation, runtime) {
    const [name] = invocation.arguments as [string];
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { setDisabled } = await import("@signet/server");
    await setDisabled(offline.audited("account.enable", name), name, false);
    runtime.terminal.line(`${name} is enabled`);
    return exitCodes.done;
  },
};
