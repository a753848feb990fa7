import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin token revoke",
  summary: "End an access token of an account of the server",
  description: ["The token, and every bearer token that came by it, is refused from the next request on."],
  arguments: [
    { name: "USER", summary: "The account", completion: "nothing" },
    { name: "ID", summary: "As `signet admin token list` has it", completion: "nothing" },
  ],
  options: dataOptions,
  examples: [{ line: "signet admin token revoke 'robot$ci' 9f86d081884c7d65", purpose: "One that leaked" }],
  async run(invocation, runtime) {
    const [user, id] = invocation.arguments as [string, string];
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { revokeAccessToken } = await import("@signet/server");
    await revokeAccessToken(offline.audited("token.revoke", user, { id }), user, id);
    runtime.terminal.line(`${id} is revoked`);
    return exitCodes.done;
  },
};
